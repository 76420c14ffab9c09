"""An app that would take all it can get is stopped at its limit, and nothing before; meanwhile another one keeps its latency. Counted in
instructions, which do not depend on this machine: `wake` (tests/bench/wasm/apps) sleeps a millisecond again and again, on one processor,
and tells how late it woke. What starts and stops the other one (tests/bench/wasm/bench.c) fails unless its limit is what ended it. That
no call spawns, and these limits in every mode, is in test_wasm.py."""
import pytest
from guests import Config, built
from kpio import packages
from kpio.bench import wasm

GREEDY = ("loop", "recurse", "grow", "open")
ALL = (*GREEDY, "fill", "talk")
ALONE = 1_100_000  # instructions: the engine wakes a sleeper at its next millisecond
MORE = 100_000     # that any wake beside a greedy app may be later, also beside one that sets up a big heap and ends, again and again


def measure(rows):
    packages.require("test", "wasm", "apps")
    return wasm.measure_kpio(built(Config("release")), rows)


@pytest.fixture(scope="module")
def in_aot():
    return measure([row for row in wasm.ROWS if row.name.startswith("wake_")])


@pytest.fixture(scope="module")
def compiled():
    return measure([row for rows in wasm.WAKE_ROWS.values() for row in rows])


def check(measured, what, mode):
    alone, beside, most = (measured.get(name, {"error": "not measured"}) for name in
                           (f"wake_alone{mode}", f"wake_beside_{what}{mode}", f"wake_beside_{what}{mode}_most"))
    assert not [found for found in (alone, beside, most) if "error" in found], (alone, beside, most)
    assert 0 < alone["ns"] <= ALONE, alone
    assert 0 < beside["ns"] <= most["ns"] <= alone["ns"] + MORE, (alone, beside, most)


@pytest.mark.parametrize("what", ALL)
def test_beside(in_aot, what):
    check(in_aot, what, "")


@pytest.mark.parametrize("mode", wasm.WAKE_ROWS)
@pytest.mark.parametrize("what", GREEDY)
def test_beside_compiled(compiled, what, mode):
    check(compiled, what, f"_{mode}")
