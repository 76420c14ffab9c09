"""Bad input at boot: what is wrong is named with its place, and the system runs on without that piece.

Each boot damages the initrd or the command line, then runs the suite `boot`, which must pass as if nothing were amiss.
Damage is done in place: programs are mapped from where they lie in the archive.
"""
import re

from guests import Boot, Config
from kpio import cpio, ktest
from kpio.machine import Machine

MACHINE = Config("release", machine=Machine(cpus=2))
SUITE = "kpio.test=boot"
E_PHOFF = 32  # where an ELF header says where the program headers are
PLACE = r"(initrd|boot archive).*(offset|byte) (0x)?[0-9a-f]+"


def says(*patterns):
    """A check: the suite passed, and the console has a line for each pattern."""
    def check(outcome):
        suite = ktest.Suite()
        for line in outcome.lines:
            suite.line(line)
        for pattern in patterns:
            assert any(re.search(pattern, line) for line in outcome.lines), f"no console line matches {pattern!r}"
        flaw = suite.flaw(outcome)
        assert flaw is None, f"the system did not run on: {flaw}"
        assert suite.count("failed") == 0, [case for case in suite.cases if case.result == "failed"]
    return check


def refuses(*patterns):
    """A check: there was nothing to run on with; the console says why, and the guest ends instead of hanging."""
    def check(outcome):
        for pattern in patterns:
            assert any(re.search(pattern, line) for line in outcome.lines), f"no console line matches {pattern!r}"
        assert outcome.end.name in ("FAILURE", "OFF"), f"it did not end by itself: {outcome.detail}"
    return check


def damaged(archive, name, at, data):
    """The archive with `data` written at offset `at` into the file `name`."""
    for entry in cpio.unpack(archive):
        if entry.name == name:
            start = entry.offset + at
            return archive[:start] + data + archive[start + len(data):]
    raise AssertionError(f"the initrd has no {name}: this test damages it")


def without_trailer(archive):
    """Cut inside the last entry: everything before it can be read."""
    last = max(entry.offset for entry in cpio.unpack(archive) if entry.is_file)
    return archive[:last + 1]


def bad_header(archive):
    """The magic of the last entry is wrong."""
    last = max(entry.header for entry in cpio.unpack(archive) if entry.is_file)
    return archive[:last] + b"XXXXXX" + archive[last + 6:]


def with_extra(name, data):
    """One more file, before the trailer, so that nothing that is mapped moves."""
    def add(archive):
        entries = cpio.unpack(archive)
        end = max(entry.end for entry in entries)
        return archive[:end] + cpio.pack([cpio.Entry(name, data)])
    return add


def boots():
    return [
        Boot("initrd without an end", SUITE, MACHINE, says(PLACE), without_trailer),
        Boot("initrd with a bad header", SUITE, MACHINE, says(PLACE), bad_header),
        Boot("initrd that is none", SUITE, MACHINE, refuses(PLACE), lambda _: b"not an archive" * 99),
        Boot("init with a bad ELF header", SUITE, MACHINE, refuses(r"sbin/init: at byte 0: "),
             lambda archive: damaged(archive, "sbin/init", 0, b"\x7fBAD")),
        Boot("suite with a bad ELF header", SUITE, MACHINE, refuses(r"test/boot: at byte 0: "),
             lambda archive: damaged(archive, "test/boot", 0, b"\x7fBAD")),
        Boot("suite with its segments out of bounds", SUITE, MACHINE, refuses(rf"test/boot: at byte {E_PHOFF}: "),
             lambda archive: damaged(archive, "test/boot", E_PHOFF, b"\xff" * 8)),
        Boot("suite that is not there", "kpio.test=nothing_of_that_name", MACHINE, refuses(r"nothing_of_that_name")),
        Boot("manifest with a bad line", SUITE, MACHINE, says(r"/etc/init/broken:2:\d+: "),
             with_extra("etc/init/broken", b"program = /test/boot\nthis is no entry\n")),
        Boot("manifest without a program", SUITE, MACHINE, says(r"/etc/init/absent: .*/bin/nowhere"),
             with_extra("etc/init/absent", b"program = /bin/nowhere\n")),
        Boot("unknown kernel option", SUITE + " no_such_option=7", MACHINE, says(r"no_such_option")),
        Boot("kernel option with a bad value", SUITE + " log=shout", MACHINE, says(r"log.*shout|shout.*log")),
        Boot("unknown mode", SUITE + " kpio.mode=dance", MACHINE, says(r"dance")),
    ]
