"""Which programs of the root use which system calls: seen on this machine's Linux, with strace, in the root as it is made from
the packages, while scripts run that use them. docs/linux-abi.md shows it beside each call."""
from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from pathlib import Path

from .. import packages, progress
from ..errors import MISSING, KpioError
from ..paths import ROOT
from . import tree

FILE = ROOT / "user" / "liblinux" / "programs.txt"
SCRIPTS = Path(__file__).with_name("traced")
GROUPS = ("shell", "python", "gcc")
LIMIT = 5400  # seconds that a script may take; that of Python runs some of its tests
HEAD = "# Which of Debian's programs (host/rootfs.txt) were seen to use a call, by `./kpio rootfs --calls`: the call, then the programs.\n"
# What a script is run by: a root of its own above the packages', with this machine's devices but no right to change the machine.
ENTER = """set -e
mount -t tmpfs tmpfs {folder}; mkdir {folder}/upper {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir={root},upperdir={folder}/upper,workdir={folder}/work {folder}/root
mount --rbind /dev {folder}/root/dev; mount -t proc proc /proc; mount -t proc proc {folder}/root/proc; mount --rbind /sys {folder}/root/sys
exec strace -ff -qq -s 0 -e verbose=none -e signal=none -o {folder}.calls/trace \
    setpriv --bounding-set=-sys_boot,-sys_module,-sys_time,-net_admin,-sys_rawio,-syslog chroot {folder}/root /usr/bin/env -i \
    PATH=/usr/sbin:/usr/bin HOME=/root TERM=xterm LANG=C.UTF-8 /bin/bash -c {script}
"""
CALL = re.compile(r"([a-z][a-z0-9_]*)\(")
EXECUTED = re.compile(r'execve(?:at)?\([^"]*"([^"]*)".*\) += 0$')
BORN = re.compile(r"(?:clone3?|v?fork)\(.*\) += (\d+)$")


def require() -> None:
    absent = [name for name in ("strace", "unshare") if not packages.find_tool(name)]
    if absent:
        raise KpioError(f"missing: {', '.join(absent)}\nTo install: apt-get install --no-install-recommends strace util-linux", MISSING)


def names_in(root: Path) -> set[str]:
    """What programs of the root are called, as far as the kernel keeps names."""
    folders = [root / "usr/bin", root / "usr/sbin", *root.glob("usr/lib/gcc/*/*")]
    return {path.name[:15] for folder in folders for path in folder.iterdir()}


class Trace:
    """What one thread did: the calls by the program that it was, "" the one that it was born as; who was born, as what."""

    def __init__(self, path: Path) -> None:
        self.calls: dict[str, set[str]] = {}
        self.children: dict[str, str] = {}
        program = ""
        with open(path, errors="replace") as lines:
            for line in lines:
                call, executed, born = CALL.match(line), EXECUTED.match(line.rstrip()), BORN.match(line.rstrip())
                if call:
                    self.calls.setdefault(program, set()).add(call[1])
                if executed:
                    program = Path(executed[1]).name[:15]
                if born:
                    self.children[born[1]] = program


def by_program(traces: dict[str, Trace]) -> dict[str, set[str]]:
    """Calls by program. Who was born as what is known from the parents."""
    born = {child: (parent, program) for parent, trace in traces.items() for child, program in trace.children.items()}
    found: dict[str, set[str]] = {}
    for pid, trace in traces.items():
        for program, calls in trace.calls.items():
            at, steps = pid, 0
            while not program and at in born and steps < len(born):  # a number that was given twice may lead in a circle
                (at, program), steps = born[at], steps + 1
            found.setdefault(program, set()).update(calls)
    return found


def seen_by(script: str, root: Path) -> dict[str, set[str]]:
    """Calls of each program that the script runs."""
    with tempfile.TemporaryDirectory(prefix="kpio-calls-") as folder:
        enter = ENTER.format(folder=f"{folder}/mnt", root=root, script=shlex.quote(script))
        Path(folder, "mnt").mkdir()
        Path(folder, "mnt.calls").mkdir()
        argv = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c", enter]
        with open(Path(folder, "said"), "w") as said:
            try:
                subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=LIMIT, check=False)
            except subprocess.TimeoutExpired:
                pass  # what it did until then counts
        traces = {path.suffix[1:]: Trace(path) for path in Path(folder, "mnt.calls").iterdir()}
        if not traces:
            raise KpioError(f"strace did not start:\n{Path(folder, 'said').read_text()[-2000:]}")
        return by_program(traces)


def write() -> int:
    """Writes programs.txt. Returns how many calls were seen."""
    require()
    root = tree.make(*GROUPS)
    known, found = names_in(root), {}
    for script in sorted(SCRIPTS.glob("*.sh")):
        with progress.step(f"Tracing {script.stem}"):
            for program, calls in seen_by(script.read_text(), root).items():
                for call in calls if program in known else ():
                    found.setdefault(call, set()).add(program)
    lines = [f"{call} {' '.join(sorted(programs))}\n" for call, programs in sorted(found.items())]
    FILE.write_text(HEAD + "".join(lines))
    return len(lines)
