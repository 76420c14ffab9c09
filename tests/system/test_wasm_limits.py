"""An app that would take all it can get is stopped at its limit, and nothing before; meanwhile another one keeps its latency. Counted in
instructions, which do not depend on this machine: `wake` (tests/bench/wasm/apps) sleeps a millisecond again and again, on one processor,
and tells how late it woke. What starts and stops the other one (tests/bench/wasm/bench.c) fails unless its limit is what ended it. That
no call spawns, and these limits in every mode, is in test_wasm.py."""
import pytest
from guests import Config, built
from kpio import packages
from kpio.bench import wasm

GREEDY = ("loop", "recurse", "grow", "open")
MORE = 100_000         # instructions that the median may be later
MOST = 6_000_000       # and the latest of all: two slices of the scheduler's


@pytest.fixture(scope="module")
def measured():
    packages.require("test", "wasm", "apps")
    rows = [row for row in wasm.ROWS if row.name.startswith("wake_")]
    return wasm.measure_kpio(built(Config("release")), rows)


@pytest.mark.parametrize("what", GREEDY)
def test_beside(measured, what):
    alone, beside, most = (measured[name] for name in ("wake_alone", f"wake_beside_{what}", f"wake_beside_{what}_most"))
    assert "error" not in alone and "error" not in beside, (alone, beside)
    assert 0 < beside["ns"] <= alone["ns"] + MORE, (alone, beside)
    assert most["ns"] <= MOST, (alone, most)
