"""The tables in docs/benchmarks.md: what a command printed, put there by that command."""
from __future__ import annotations

from ..errors import KpioError
from ..paths import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def write(suite: str, text: str) -> None:
    """Replaces what stands between the suite's marks."""
    begin, end = f"<!-- {suite}: begin -->", f"<!-- {suite}: end -->"
    before, found_begin, rest = PAGE.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise KpioError(f"{PAGE} has no place for the suite {suite}: {begin} ... {end}")
    PAGE.write_text(f"{before}{begin}\n```\n{text}\n```\n{end}{after}")
