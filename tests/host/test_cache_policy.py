"""The page cache's policy (kernel/block/car.c) beside LRU: ahead where programs that come back meet readers that do not."""
import pytest
from kpio.bench import policy
from kpio.build import Build

MIXED = ("scan+zipf", "mixed")
AHEAD, NEVER_BEHIND = 1.20, 0.98


@pytest.fixture(scope="module")
def cases():
    return policy.by_case(policy.measure(Build("release")))


def test_every_trace_is_there(cases):
    assert {trace for trace, _ in cases} == {"scan", "loop", "zipf", "scan+zipf", "mixed", "shifting"}
    assert len({pages for _, pages in cases}) >= 5


def test_ahead_on_mixed_traces(cases):
    short = {case: hits for case, hits in cases.items() if case[0] in MIXED and hits["car"] < AHEAD * hits["lru"]}
    assert not short


def test_never_far_behind(cases):
    behind = {case: hits for case, hits in cases.items() if hits["car"] < NEVER_BEHIND * hits["lru"]}
    assert not behind


def test_the_optimum_is_one(cases):
    assert all(max(hits.values()) == hits["optimum"] for hits in cases.values())
