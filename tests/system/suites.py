"""On which machines a guest suite runs. A suite is a program tests/guest/SUITE.c; one not named here runs on DEFAULT."""
from guests import Boot, Config
from kpio.machine import Machine
from kpio.paths import ROOT

DEFAULT = Config(machine=Machine(cpus=4))
SMALLEST = 64
LARGEST = 8192

# The ends of what the system runs on, and each of its builds, at least once.
ENDS = [
    Config(machine=Machine(cpus=1, memory_mib=SMALLEST)),
    Config(machine=Machine(cpus=4)),
    Config("release", machine=Machine(cpus=8, memory_mib=LARGEST)),
    Config("release", machine=Machine(cpus=1, memory_mib=SMALLEST)),
    Config("release", machine=Machine(kind="microvm", cpus=4)),
    Config("release", machine=Machine(kind="microvm", cpus=1, memory_mib=SMALLEST)),
    Config("release", machine=Machine(kind="microvm", cpus=8, memory_mib=LARGEST)),
    Config("release", "gcc-12", machine=Machine(cpus=4)),
]

MACHINES = {
    "boot": ENDS,
    "fuzz": [Config("cov", machine=Machine(cpus=4))],
    "driver_net": [Config(machine=Machine(cpus=4, net="pair")), Config("release", machine=Machine(cpus=1, net="pair"))],
}
# More of a suite's boots: silence, total, long, long_append, least_coverage (see Boot).
OPTIONS = {"fuzz": {"silence": 300, "total": 24 * 3600, "least_coverage": 70.0}}

# Once more with page tables of their own for user mode, which QEMU's processors do not ask for.
WITH_KPTI = ["boot", "thread", "process", "revoke"]


def boots():
    made = []
    for name in sorted(path.stem for path in (ROOT / "tests" / "guest").glob("*.c")):
        for config in MACHINES.get(name, [DEFAULT]):
            options = {"long_append": "kpio.long", **OPTIONS.get(name, {})}
            machine = f"kpio.cpus={config.machine.cpus} kpio.mib={config.machine.memory_mib}"
            made.append(Boot(f"{name}[{config}]", f"kpio.test={name} {machine}", config, **options))
        if name in WITH_KPTI:
            machine = f"kpio.cpus={DEFAULT.machine.cpus} kpio.mib={DEFAULT.machine.memory_mib}"
            made.append(Boot(f"{name}[{DEFAULT}-kpti]", f"kpio.test={name} {machine} kpti=on", DEFAULT))
    return made
