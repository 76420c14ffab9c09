"""The report of a test run: a line per test (a guest suite is one line), failures in full, the sums last.

On a terminal what passed shows only as a count on one line.
"""
import sys
import time

import pytest


class Reporter:
    def __init__(self, config):
        self.verbose = config.getoption("verbose", 0) > 0
        self.listing = config.getoption("collectonly", False)
        self.on_terminal = sys.stdout.isatty() and not self.verbose
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.failures = []
        self.current = {}  # the counts of the test that is running
        self.started = 0.0
        self.selected = 0

    # -- collection

    def pytest_collectreport(self, report):
        if report.failed:
            self.fail(report.nodeid or "collection", report.longrepr)

    def pytest_collection_finish(self, session):
        self.selected = len(session.items)
        if self.listing:
            for item in session.items:
                print(item.nodeid)

    # -- running

    def pytest_runtest_logstart(self, nodeid, location):
        self.current = {"passed": 0, "failed": 0, "skipped": 0}
        self.started = time.monotonic()
        self.status(f"{self.sums()}  {nodeid}")

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.current["failed"] += 1
            self.fail(report.nodeid, report.longrepr, report.sections)
        elif report.skipped:
            self.current["skipped"] += 1
            self.counts["skipped"] += 1
            self.line(f"  skipped {report.nodeid}: {skip_reason(report)}")
        elif report.when == "call":
            self.current["passed"] += 1
            self.counts["passed"] += 1
            if self.verbose:
                self.line(f"  passed {report.nodeid}")
        for name, text in getattr(report, "user_properties", ()):
            if name == "note":
                self.line(f"  {report.nodeid.rpartition('::')[2]}: {text}")

    def pytest_runtest_logfinish(self, nodeid, location):
        if self.on_terminal:
            return
        seconds = time.monotonic() - self.started
        words = ", ".join(f"{count} {word}" for word, count in self.current.items() if count)
        self.line(f"{nodeid}: {words or 'nothing ran'} ({seconds:.1f} s)")

    # -- the end

    def pytest_internalerror(self, excrepr):
        self.fail("pytest itself", excrepr)

    def pytest_keyboard_interrupt(self, excinfo):
        self.line("interrupted")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self):
        if self.listing and not self.failures:
            return
        self.status("")
        if len(self.failures) > 1:
            print("\nfailed:")
            for nodeid in self.failures:
                print(f"  {nodeid}")
        print(self.sums(), flush=True)

    # -- helpers

    def sums(self):
        text = f"{self.counts['passed']} passed, {self.counts['failed']} failed"
        return text + (f", {self.counts['skipped']} skipped" if self.counts["skipped"] else "")

    def fail(self, nodeid, what, sections=()):
        self.counts["failed"] += 1
        self.failures.append(nodeid)
        self.line(f"FAILED {nodeid}")
        text = str(what)
        for title, content in sections:
            text += f"\n--- {title}\n{content}"
        for line in text.splitlines():
            self.line(f"    {line}")

    def line(self, text):
        if self.on_terminal:
            print("\r\033[K", end="")
        print(text, flush=True)

    def status(self, text):
        if self.on_terminal:
            print(f"\r\033[K{text[:120]}", end="", flush=True)


def skip_reason(report):
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].replace("Skipped: ", "", 1)
    return str(report.longrepr)
