"""What the system does when it runs no suite: the demonstration that `./kpio run` shows."""
from guests import Boot, Config
from kpio.guest import End
from kpio.machine import Machine


def all_went_well(outcome):
    assert outcome.end is End.SUCCESS, outcome.detail
    assert any("Everything went as it should" in line for line in outcome.lines), "the demonstration did not say so"


def hung_ones_were_found(outcome):
    all_went_well(outcome)
    for driver in ("rng", "net"):
        assert any(f"init: {driver} " in line and "hung: its watchdog killed it" in line for line in outcome.lines), \
            f"no watchdog found {driver} hung"


MACHINES = [
    Config("release", machine=Machine(cpus=4)),
    Config("release", machine=Machine(cpus=1, memory_mib=64)),
    Config("release", machine=Machine(kind="microvm", cpus=4)),
    Config("release", "gcc-12", machine=Machine(cpus=4)),
    Config("debug", machine=Machine(cpus=8, memory_mib=8192)),
]


def boots():
    hanging = Config("release", machine=Machine(cpus=4))
    return [Boot(f"demonstration[{config}]", "kpio.mode=demo", config, all_went_well) for config in MACHINES] + \
        [Boot("demonstration-hanging-drivers", "kpio.mode=demo kpio.hang_after=80", hanging, hung_ones_were_found)]
