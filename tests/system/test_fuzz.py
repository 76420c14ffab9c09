"""The system-call fuzzer repeats exactly: what a seed found once it finds again."""
import re

from guests import Config, built
from kpio import guest
from kpio.machine import Machine

CALLS = 3000


def calls_of(seed):
    """What the guest says of its calls: a hash of every number, argument and result."""
    config = Config("release", machine=Machine(cpus=1, accelerator="icount"))
    variant = built(config)
    outcome = guest.boot(config.machine, variant.kernel, variant.initrd,
                         f"kpio.test=fuzz kpio.case=random_calls_harm_nobody kpio.fuzz_calls={CALLS} kpio.fuzz_threads=1 "
                         f"kpio.seed={seed}")
    assert outcome.end is guest.End.SUCCESS, outcome.report()
    found = re.search(r"hash of all calls: ([0-9a-f]+)", "\n".join(outcome.lines))
    assert found, outcome.report()
    return found[1]


def test_the_same_seed_makes_the_same_calls():
    first = calls_of(seed=5)
    assert calls_of(seed=5) == first, "the same seed made other calls"
    assert calls_of(seed=6) != first, "another seed made the same calls: the hash does not tell"
