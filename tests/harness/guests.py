"""Tests whose console tells cases (docs/testing.md): boots of a guest, and programs that run here.

All selected ones start together, as many at once as this machine has processors, while pytest goes through the other
tests (but for those marked "alone", which come first); an item waits for its work and reports it, each case as a test.
"""
from __future__ import annotations

import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Optional, Union

import pytest
from kpio import coverage, folders, guest, ktest
from kpio.build import DEFAULT_COMPILER, Build, ensure, processors
from kpio.errors import KpioError
from kpio.machine import Machine

stopping = threading.Event()
builds_lock = threading.Lock()
builds_done: dict[tuple[str, str], Union[Build, KpioError]] = {}


@dataclass(frozen=True)
class Config:
    """A kernel on a machine."""

    build: str = "debug"
    compiler: str = DEFAULT_COMPILER
    machine: Machine = field(default_factory=lambda: Machine(cpus=4))

    def __str__(self) -> str:
        memory = f"{self.machine.memory_mib // 1024}G" if self.machine.memory_mib >= 1024 else \
            f"{self.machine.memory_mib}M"
        words = [self.build, self.machine.kind, f"{self.machine.cpus}cpu", memory]
        if self.compiler != DEFAULT_COMPILER:
            words.insert(1, self.compiler)
        return "-".join(words)


@dataclass(frozen=True)
class Boot:
    """One guest: how it starts, and what must come of it."""

    name: str
    append: str
    config: Config = Config()
    check: Optional[Callable[[guest.Outcome], None]] = None  # None: the guest reports by KTEST lines
    initrd: Optional[Callable[[bytes], bytes]] = None  # makes another initrd of the built one
    silence: float = guest.HANG_SECONDS
    total: Optional[float] = None
    long: bool = False  # only in the long form
    long_append: str = ""  # more for the command line there
    disks: Optional[Callable[[Path], tuple]] = None  # makes images in a folder: the machine's disks
    shares: Optional[Callable[[Path], list]] = None  # the same with folders of this machine (folders.Share)
    # Looks at those images when the guest has ended well: names, and what is wrong with each ("": nothing).
    examine: Optional[Callable[[Path], list[tuple[str, str]]]] = None
    least_coverage: float = 0.0  # per cent of the kernel's lines, on a coverage build


def built(config: Config) -> Build:
    """The build that a config asks for, made once in a session."""
    with builds_lock:
        key = config.build, config.compiler
        if key not in builds_done:
            try:
                builds_done[key] = ensure(Build(*key))
            except KpioError as error:
                builds_done[key] = error
                raise
        if isinstance(builds_done[key], KpioError):
            raise KpioError(f"{' '.join(key)} does not build: see test_builds")
        return builds_done[key]


class CaseItem(pytest.Item):
    """A test that runs a program, here or in a guest, whose console tells cases. Subclasses say what work() is."""

    check: Optional[Callable[[guest.Outcome], None]] = None  # in place of cases: what must come of it
    future: Optional[Future] = None

    def work(self) -> guest.Outcome:
        raise NotImplementedError

    def reportinfo(self):
        return self.path, None, self.name

    def runtest(self):
        raise AssertionError("cases are reported by run_and_report()")

    def run_and_report(self) -> None:
        """Waits for the work and reports it: one report, or one per case."""
        started = time.time()
        try:
            outcome = wait(self.future)
        except Exception as error:  # what kept it from starting is what the test says
            self.report("", "failed", str(error), started, 0)
            return
        if not self.check:
            self.report_cases(outcome, started)
            return
        try:
            self.check(outcome)
        except AssertionError as error:
            self.report("", "failed", f"{error}\n{outcome.report()}", started, outcome.seconds)
        else:
            self.report("", "passed", None, started, outcome.seconds)

    def report_cases(self, outcome: guest.Outcome, started: float) -> None:
        suite = ktest.Suite()
        for line in outcome.lines:
            suite.line(line)
        flaw = suite.flaw(outcome)
        self.add_findings(suite, outcome)
        for case in suite.cases:
            self.report(f"::{case.name}", case.result, case.detail or case.result, started, 0)
        notes = [("note", text) for text in suite.notes]
        if flaw:
            self.report("::the run", "failed", flaw, started, outcome.seconds, notes)
        elif notes:
            self.report("::notes", "passed", None, started, outcome.seconds, notes, when="teardown")

    def add_findings(self, suite: ktest.Suite, outcome: guest.Outcome) -> None:
        """More cases and notes, which the console tells in other ways."""

    def report(self, suffix, result, detail, started, seconds, notes=(), when="call") -> None:
        longrepr = (str(self.path), 0, detail) if result == "skipped" else detail if result == "failed" else None
        made = pytest.TestReport(nodeid=self.nodeid + suffix, location=self.location, keywords={}, outcome=result,
                                 longrepr=longrepr, when=when, sections=(), duration=seconds, start=started,
                                 stop=started + seconds, user_properties=list(notes))
        self.ihook.pytest_runtest_logreport(report=made)


class GuestItem(CaseItem):
    def __init__(self, boot: Boot, long: bool, **rest):
        super().__init__(**rest)
        self.boot = boot
        self.check = boot.check
        self.append = " ".join(filter(None, [boot.append, boot.long_append if long else ""]))
        self.examined: list[tuple[str, str]] = []

    def work(self) -> guest.Outcome:
        variant = built(self.boot.config)
        with tempfile.TemporaryDirectory(prefix="kpio-boot-") as folder:
            initrd = variant.initrd
            if self.boot.initrd:
                initrd = Path(folder, "initrd.cpio")
                initrd.write_bytes(self.boot.initrd(variant.initrd.read_bytes()))
            machine = self.boot.config.machine
            if self.boot.disks:
                machine = replace(machine, disks=self.boot.disks(Path(folder)))
            shares = self.boot.shares(Path(folder)) if self.boot.shares else []
            with folders.Served(machine, shares) as served, guest.Guest(served.machine, variant.kernel, initrd, self.append) as running:
                for _ in running.follow(self.boot.silence, self.boot.total, stopping):
                    pass
                outcome = running.outcome()
            if self.boot.examine and outcome.end is guest.End.SUCCESS:
                self.examined = self.boot.examine(Path(folder))
            return outcome

    def add_findings(self, suite, outcome) -> None:
        for name, flaw in self.examined:
            suite.cases.append(ktest.Case(f"{name} is sound", "failed" if flaw else "passed", flaw))
        found = coverage.places(outcome.lines)
        if not found:
            return
        lines = coverage.covered_lines(built(self.boot.config).kernel, found)
        percent, text = coverage.summary(lines)
        suite.notes.append(f"line coverage: {text}")
        if self.boot.least_coverage:
            result = "passed" if percent >= self.boot.least_coverage else "failed"
            suite.cases.append(ktest.Case("line coverage", result, f"{text}; {self.boot.least_coverage} % are wanted"))


def wait(future: Future):
    """A future's result; short waits, so that Ctrl-C is heard."""
    while not future.done():
        time.sleep(0.05)
    return future.result()


class CasePool:
    """The pytest plugin that starts the work early and reports it in its turn."""

    def __init__(self):
        self.workers = ThreadPoolExecutor(max_workers=processors())
        self.started = False

    def pytest_configure(self, config):
        config.addinivalue_line("markers", "alone: runs first, before other work takes this machine's processors")

    def pytest_collection_modifyitems(self, items):
        items.sort(key=lambda item: item.get_closest_marker("alone") is None)

    def start(self, session):
        self.started = True
        for item in session.items:
            if isinstance(item, CaseItem):
                item.future = self.workers.submit(item.work)

    def pytest_runtest_protocol(self, item, nextitem):
        if not self.started and item.get_closest_marker("alone") is None:
            self.start(item.session)
        if not isinstance(item, CaseItem):
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item.run_and_report()
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_sessionfinish(self, session):
        stopping.set()
        self.workers.shutdown(wait=True, cancel_futures=True)
