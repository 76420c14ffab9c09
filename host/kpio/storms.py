"""Storms of Linux programs (tests/linux/storm_*.c): in a guest, with what the system holds counted before and after each."""
from __future__ import annotations

import re
import tempfile
from pathlib import Path

from . import build, guest, ktest, linuxguest
from .paths import ROOT

NAMES = tuple(sorted(path.stem for path in (ROOT / "tests" / "linux").glob("storm_*.c")))
APPEND = "root=tmpfs kpio.test=linux kpio.program=/t/ kpio.tty=1 kpio.balance=1"
BALANCE = re.compile(r"LINUX balance (\S+): (.*)")
NOTHING = "nothing is lost"
SILENCE = 1800  # seconds that a case may take in its long form, on a busy machine


def programs() -> dict[str, Path]:
    """All of tests/linux by name, built."""
    with build.alone("linux-tests"):
        made = build.make(["-s", "linux-tests"], "Building the Linux programs", quiet=True)
    return {Path(line.split()[1]).name: ROOT / line.split()[1] for line in made.lines if line.startswith("LINUX ")}


def balances(lines: list[str]) -> dict[str, str]:
    """What was lost, by program."""
    return {Path(found[1]).name: found[2] for line in lines if (found := BALANCE.match(line))}


def round(variant: build.Build, machine, seed: int, append: str, on_line=None) -> list[str]:
    """The long form of all storms; what is wrong, nothing when all is well."""
    files = {f"/t/{name}": path.read_bytes() for name, path in programs().items() if name.partition(".")[0] in NAMES}
    suite = ktest.Suite()

    def see(line: str) -> None:
        suite.line(line)
        if on_line:
            on_line(line)

    with tempfile.TemporaryDirectory(prefix="kpio-storms-") as folder:
        initrd = Path(folder, "initrd.cpio")
        initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), [], files))
        outcome = guest.boot(machine, variant.kernel, initrd, f"{APPEND} kpio.long kpio.seed={seed} {append}".strip(), silence=SILENCE,
                             total=24 * 3600, on_line=see)
    found = [f"{case.name}: {case.detail}" for case in suite.cases if case.result == "failed"]
    lost = balances(outcome.lines)
    found += [f"{Path(place).name}: {lost.get(Path(place).name, 'it did not end')}" for place in files
              if lost.get(Path(place).name) != NOTHING]
    return found + ([outcome.report()] if found or outcome.end is not guest.End.SUCCESS else [])
