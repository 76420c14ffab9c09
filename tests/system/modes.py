"""What the system does when it runs no suite: the demonstration that `./kpio run` shows."""
import re

from guests import Boot, Config
from kpio import cpio
from kpio.guest import End
from kpio.machine import Machine


def all_went_well(outcome):
    assert outcome.end is End.SUCCESS, outcome.detail
    assert any("Everything went as it should" in line for line in outcome.lines), "the demonstration did not say so"


def hung_ones_were_found(outcome):
    all_went_well(outcome)
    for driver in ("rng", "net"):
        assert any(f"init: {driver} " in line and "hung: its watchdog killed it" in line for line in outcome.lines), \
            f"no watchdog found {driver} hung"


def another_program_took_over(outcome):
    all_went_well(outcome)
    assert any("init: counter: version" in line and SUCCESSOR in line for line in outcome.lines), "nothing took over"
    assert any("a new version from another file" in line and " ok " in line for line in outcome.lines), "its row lacks"


def needs_were_waited_for(outcome):
    assert outcome.end is End.SUCCESS, outcome.detail
    without = {found[1]: found[2] for line in outcome.lines if (found := re.search(r"init: (\w+: starts without \w+), (.*)", line))}
    assert without.pop("hasty: starts without never", "") == "which is not ready after 2000 ms", without
    assert without.pop("other: starts without absent", "") == "which does not run", without
    assert set(without) <= {"last: starts without hasty", "last: starts without other"}, without  # which may have ended by then


PAGE = 4096
SUCCESSOR = "/bin/counter_next"


def with_files(*entries):
    """More files, before the trailer. Each begins at a page boundary, as programs are mapped from where they lie."""
    def add(archive):
        made = archive[:max(entry.end for entry in cpio.unpack(archive))]
        for entry in entries:
            if callable(entry):
                entry = entry(archive)
            heads = len(cpio.pack_entry(cpio.Entry(".pad"), 0)) + len(cpio.pack_entry(cpio.Entry(entry.name), 0))
            made += cpio.pack_entry(cpio.Entry(".pad", b"\0" * (-(len(made) + heads) % PAGE)), 0)
            made += cpio.pack_entry(entry, 0)
        return made + cpio.pack([])
    return add


def copy_of(name, path):
    return lambda archive: next(cpio.Entry(path.lstrip("/"), entry.data) for entry in cpio.unpack(archive) if entry.name == name)


def manifest(name, text):
    return cpio.Entry(f"etc/init/{name}", text.encode())


NEEDS = with_files(
    manifest("slow", "program = /bin/counter\n[settings]\nready_after = 1000\n"),
    manifest("never", "program = /bin/counter\n[settings]\nready_after = 3600000\n"),
    manifest("absent", "program = /bin/true\nrestart = never\n"),
    manifest("hasty", "program = /bin/true\nneeds = never\npatience = 2s\nserves = no\nrestart = never\n"),
    manifest("other", "program = /bin/true\nneeds = absent\nserves = no\nrestart = never\n"),
    manifest("last", "program = /bin/true\nneeds = slow hasty other\nserves = no\nrestart = never\nmain = yes\n"))

# tests/guest/takeover.c: the suite, and the services that it replaces by versions that are not fit.
TAKEOVER = with_files(
    manifest("takeover", "program = /test/takeover\ngrant = console\ngrant = control\ngrant = system inspect\ngrant = job\n"
             "needs = ends spoils hangs watched late\nserves = no\nrestart = never\nmain = yes\n"),
    *(manifest(name, f"program = /test/takeover\nargument = subject\nupdate = handover\n{more}[settings]\nfault = {fault}\n")
      for name, fault, more in (("ends", "end", ""), ("spoils", "spoil", ""), ("hangs", "hang", "ready = 5s\n"), ("late", "late", ""),
                                ("watched", "hang", "ready = 5s\nwatchdog = 1s\n"))))

MACHINES = [
    Config("release", machine=Machine(cpus=4)),
    Config("release", machine=Machine(cpus=1, memory_mib=64)),
    Config("release", machine=Machine(kind="microvm", cpus=4)),
    Config("release", "gcc-12", machine=Machine(cpus=4)),
    Config("debug", machine=Machine(cpus=8, memory_mib=8192)),
]


def boots():
    hanging = Config("release", machine=Machine(cpus=4))
    return [Boot(f"demonstration[{config}]", "kpio.mode=demo", config, all_went_well) for config in MACHINES] + \
        [Boot("demonstration-hanging-drivers", "kpio.mode=demo kpio.hang_after=80", hanging, hung_ones_were_found),
         Boot("demonstration-other-program", f"kpio.mode=demo kpio.successor={SUCCESSOR}", hanging, another_program_took_over,
              with_files(copy_of("bin/counter", SUCCESSOR))),
         Boot("needs", "kpio.mode=idle", hanging, needs_were_waited_for, NEEDS),
         Boot("takeover", "kpio.mode=idle", hanging, initrd=TAKEOVER)]
