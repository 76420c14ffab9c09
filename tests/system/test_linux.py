"""Conformance of the Linux ABI: each program of tests/linux runs on this machine's Linux and on KPIO, from the same binary, and must tell
the same cases with the same results. Programs share boots; each case is a test."""
import re
import shutil
import sys
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

from guests import CaseItem, Config, built
from kpio import command, cpio, guest, ktest, storms
from kpio.machine import Machine
from kpio.paths import ROOT

sys.path.insert(0, str(ROOT / "mk"))
import initrd as archive  # noqa: E402

PROGRAM_SECONDS = 600  # of a busy machine
MEMORY = Path("/dev/shm")  # the guest's root is a tmpfs too
BEGIN, END = re.compile(r"LINUX begin (\S+)$"), re.compile(r"LINUX end (\S+) (0x[0-9a-f]+)$")
making = threading.Lock()

# Which programs share a boot: those of a source named here share one with it, all others one together; on which machines.
TOGETHER = ("tty", "jobs", "sockets", "datagrams", "socket_times", "names", "children")
GROUPS = {"session": (*TOGETHER, "mounts", "fuse_events", "fuse_locks", "calls", "orphans", "proc", "queues"), "crash": TOGETHER,
          "storms": storms.NAMES, "rest": ()}
APPEND = {"session": " kpio.tty=1 kpio.balance=1",
          "crash": " kpio.tty=crash kpio.crash=100", "storms": " kpio.tty=1 kpio.balance=1", "rest": " kpio.balance=1"}
MACHINES = [Config("release", machine=Machine(cpus=2)), Config("debug", machine=Machine(cpus=4))]


@lru_cache(maxsize=None)
def program_paths():
    """Names of the built programs: where each lies."""
    with making:
        return storms.programs()


def programs_of(group):
    named = {source for sources in GROUPS.values() for source in sources}
    sources = {name: name.partition(".")[0] for name in program_paths()}
    return sorted(name for name, source in sources.items() if source in GROUPS[group] or (group == "rest" and source not in named))


def runs_here(name, long=False):
    """What a program tells on this machine."""
    folder = tempfile.mkdtemp(prefix="kpio-linux-", dir=MEMORY if MEMORY.is_dir() else None)
    try:
        result = command.run([str(program_paths()[name])], limit=storms.SILENCE if long else PROGRAM_SECONDS, cwd=folder,
                             env={"LT_LONG": "1"} if long else None)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return suite_of(result.lines)


def suite_of(lines):
    suite = ktest.Suite()
    for line in lines:
        suite.line(line)
    return suite


def libraries(path):
    """What a dynamically linked program needs: (name in the root, file)."""
    with open(path, "rb") as file:
        if b"ld-linux" not in file.read(4096):
            return []
    found = command.run(["ldd", str(path)], limit=command.LIMIT).lines
    return [(place, Path(place).resolve()) for line in found for place in re.findall(r"(/\S+)", line)[-1:]]


def with_programs(raw, names):
    entries = [(entry.name, entry.data) for entry in cpio.unpack(raw) if entry.name not in (".pad", "TRAILER!!!")]
    files = {}
    for name in names:
        path = program_paths()[name]
        files[f"/t/{name}"] = path
        files.update(libraries(path))
    return archive.pack(entries + [(f"rootfs{place}", path.read_bytes()) for place, path in sorted(files.items())])


def by_program(lines):
    """The console's lines of each program, and its wait status (None: it did not end)."""
    told, statuses, running = {}, {}, None
    for line in lines:
        begin, end = BEGIN.search(line), END.search(line)
        if begin:
            running = Path(begin[1]).name
            told[running] = []
        elif end:
            statuses[Path(end[1]).name], running = int(end[2], 16), None
        elif running:
            told[running].append(line)
    return told, statuses


class LinuxItem(CaseItem):
    def __init__(self, group, machine, long, **rest):
        super().__init__(**rest)
        self.group = group
        self.machine = machine
        self.long = long and group == "storms"

    def work(self):
        self.names = programs_of(self.group)
        self.here = {name: runs_here(name, self.long) for name in self.names}
        variant = built(self.machine)
        with tempfile.TemporaryDirectory(prefix="kpio-boot-") as folder:
            initrd = Path(folder, "initrd.cpio")
            initrd.write_bytes(with_programs(variant.initrd.read_bytes(), self.names))
            append = "root=tmpfs kpio.test=linux kpio.program=/t/" + APPEND.get(self.group, "") + (" kpio.long" if self.long else "")
            with guest.Guest(self.machine.machine, variant.kernel, initrd, append) as running:
                silence = storms.SILENCE if self.long else guest.HANG_SECONDS
                for _ in running.follow(silence, None, threading.Event()):
                    pass
                return running.outcome()

    def report_cases(self, outcome, started):
        told, statuses = by_program(outcome.lines)
        if "kpio.balance" in APPEND.get(self.group, ""):
            self.report_balances(outcome, started)
        for name in self.names:
            self.report_program(name, suite_of(told.get(name, ())), statuses.get(name), outcome, started)

    def report_balances(self, outcome, started):
        """What the system holds after a program: kernel objects, handles and pages as before it."""
        counted = storms.balances(outcome.lines)
        for name in self.names:
            flaw = counted.get(name, "it was not counted")
            self.report(f"::{name}::nothing_is_lost", "passed" if flaw == storms.NOTHING else "failed", flaw, started, 0)

    def report_program(self, name, there, status, outcome, started):
        here = self.here[name]
        wanted, found = {case.name: case for case in here.cases}, {case.name: case for case in there.cases}
        for case, on_linux in wanted.items():
            result, detail = verdict(on_linux, found.get(case))
            self.report(f"::{name}::{case}", result, detail, started, 0)
        flaws = [f"{case} is told only by KPIO" for case in found if case not in wanted]
        if here.done is None or not wanted:
            flaws.append("on Linux it did not reach its end")
        if status != 0:
            flaws.append(f"its wait status is {status and hex(status)}\n{outcome.report()}")
        if flaws:
            self.report(f"::{name}::the run", "failed", "\n".join(flaws), started, outcome.seconds)


def verdict(on_linux, on_kpio):
    """The result of a case, and what to say of it."""
    if on_linux.result == "failed":
        return "failed", f"Linux fails it: {on_linux.detail}"
    if on_kpio is None:
        return "failed", "KPIO does not tell it"
    if on_linux.result == "skipped":  # what only KPIO promises
        return on_kpio.result, on_kpio.detail or on_linux.detail
    if on_kpio.result != on_linux.result:
        return "failed", f"Linux: {on_linux.result} {on_linux.detail}; KPIO: {on_kpio.result} {on_kpio.detail}"
    return on_linux.result, on_linux.detail or on_linux.result


def items(parent, long):
    for group in GROUPS:
        for machine in MACHINES:
            yield LinuxItem.from_parent(parent, name=f"linux-{group}[{machine}]", group=group, machine=machine, long=long)
