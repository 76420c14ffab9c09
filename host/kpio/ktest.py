"""The lines by which a guest reports its tests; docs/testing.md has the table."""
from __future__ import annotations

import re
from dataclasses import dataclass, field

from .guest import End, Outcome

LINE = re.compile(r"KTEST (start|pass|fail|skip|note) ([^\s:]+)(?:: (.*))?$")
DONE = re.compile(r"KTEST done (\d+) passed (\d+) failed\b")


@dataclass
class Case:
    name: str
    result: str  # passed, failed, skipped
    detail: str = ""


@dataclass
class Suite:
    """What a guest's console said, read line by line."""

    cases: list[Case] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    running: str | None = None
    done: tuple[int, int] | None = None
    results = {"pass": "passed", "fail": "failed", "skip": "skipped"}

    def line(self, text: str) -> None:
        at = text.find("KTEST ")
        if at < 0:
            return
        found = DONE.match(text, at)
        if found:
            self.done = int(found[1]), int(found[2])
            return
        found = LINE.match(text, at)
        if not found:
            return
        word, name, detail = found[1], found[2], found[3] or ""
        if word == "start":
            self.running = name
        elif word == "note":
            self.notes.append(f"{name}: {detail}")
        else:
            self.cases.append(Case(name, self.results[word], detail))
            self.running = None

    def count(self, result: str) -> int:
        return sum(case.result == result for case in self.cases)

    def flaw(self, outcome: Outcome) -> str | None:
        """What is wrong with the run as a whole; None if each case can be taken at its word."""
        where = f" in {self.running}" if self.running else ""
        if outcome.end is not End.SUCCESS and not (outcome.end is End.FAILURE and self.count("failed") and self.done):
            return f"{outcome.report()}\n(it was{where or ' between cases'})"
        if self.done is None:
            return f"the guest ended without `KTEST done`{where}\n{outcome.report()}"
        seen = self.count("passed"), self.count("failed")
        if self.done != seen:
            return (f"the guest says {self.done[0]} passed, {self.done[1]} failed, "
                    f"but reported {seen[0]} and {seen[1]}\n{outcome.report()}")
        if not self.cases:
            return "the suite has no case"
        return None
