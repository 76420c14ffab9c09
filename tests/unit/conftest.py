"""Host unit tests and the short form of fuzzing: every program of mk/unit.mk becomes a test, its cases tests too."""
import time
from functools import lru_cache
from pathlib import Path

import pytest
from guests import CaseItem
from kpio import build, command, guest
from kpio.guest import End
from kpio.paths import ROOT

COMPILERS = ("clang-19", "gcc-12")
PROGRAM_SECONDS = 600  # of a busy machine


@lru_cache(maxsize=None)
def build_all(compiler):
    """Builds as many as it can, all processors at work; what fails is told by the program that needs it."""
    command.run(["make", "-C", str(ROOT), "--no-print-directory", "-k", f"-j{build.processors()}", "unit-build",
                 f"COMPILER={compiler}"], limit=build.BUILD_LIMIT)


def built(program, compiler):
    """The path of a program that is up to date."""
    path = f"build/unit-{compiler}/{program}"
    with build.alone(f"unit-{compiler}"):
        build_all(compiler)
        build.make([path, f"COMPILER={compiler}"], f"Building {path}", quiet=True)
    return str(ROOT / path)


class UnitItem(CaseItem):
    def __init__(self, program, compiler, **rest):
        super().__init__(**rest)
        self.program = program
        self.compiler = compiler

    def work(self):
        program = built(self.program, self.compiler)
        started = time.monotonic()
        result = command.run([program], limit=PROGRAM_SECONDS)
        detail = "the program ended with success" if result.status == 0 else f"exit status {result.status}"
        return guest.Outcome(End.SUCCESS if result.status == 0 else End.FAILURE, detail, result.lines,
                             time.monotonic() - started)


class FuzzItem(CaseItem):
    def __init__(self, **rest):
        super().__init__(**rest)
        self.check = self.nothing_found

    def work(self):
        started = time.monotonic()
        with build.alone("fuzz"):
            result = command.run(["make", "-C", str(ROOT), "--no-print-directory", "fuzz-short"], limit=1200)
        return guest.Outcome(End.SUCCESS if result.status == 0 else End.FAILURE, f"exit status {result.status}",
                             result.lines, time.monotonic() - started)

    @staticmethod
    def nothing_found(outcome):
        assert outcome.end is End.SUCCESS, "a fuzzer found something, or did not build"


class Programs(pytest.File):
    def collect(self):
        for source in sorted(ROOT.glob("**/test/*_test.c")):
            program = source.relative_to(ROOT).with_suffix("")
            for compiler in COMPILERS:
                yield UnitItem.from_parent(self, name=f"{program}[{compiler}]", program=program, compiler=compiler)
        yield FuzzItem.from_parent(self, name="fuzz_short")


def pytest_collect_file(file_path, parent):
    if file_path == Path(__file__).parent / "unit_main.c":
        return Programs.from_parent(parent, path=file_path)
    return None
