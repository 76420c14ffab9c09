"""Run guest suites again and again, each time with another seed, until one fails or the time is over.

Meant for storms and races: what shows once in a thousand boots. `power` is another kind of round: the power is cut at many
places of a workload on ext4 and on FAT32, and nothing that was synced may be missing (docs/storage.md). `linux` runs the storms of
Linux programs in their long form (docs/testing.md): nothing may be lost.
"""
import tempfile
import time

from .. import build, guest, ktest, machine, packages, power, storms
from ..errors import FAILED, OK, USAGE, KpioError
from ..paths import ROOT

HELP = "repeat guest suites with new seeds until one fails"
EXAMPLES = """  kpio soak storm                      for ten minutes
  kpio soak storm driver_rng --minutes 60 --smp 8
  kpio soak revoke --seed 1234 --rounds 1   replays one round
  kpio soak power                      1,000 power cuts of each file system, on the host's build and in guests
  kpio soak power --fs fat32 --cuts 100
  kpio soak linux --build release --rounds 1   10,000 forks, 4,000 threads, signals, execs, descriptors, FUSE drivers
  kpio soak fuse --rounds 1            2,000 drivers of FUSE killed under load
"""
CUTS_OF_ROUND = 100
GUEST_ROUND = 2


def add_arguments(verb):
    verb.add_argument("suites", nargs="+", metavar="SUITE", help="programs of tests/guest/, or `power`, or `linux`")
    verb.add_argument("--minutes", type=float, default=10, help="default 10")
    verb.add_argument("--rounds", type=int, default=0, help="stop after so many rounds (default: none but the time)")
    verb.add_argument("--cuts", type=int, default=1000, help="of power, of each file system (default 1000)")
    verb.add_argument("--fs", choices=[system.name for system in power.ALL], help="cut only this one's power (default: all)")
    verb.add_argument("--seed", type=int, default=1, help="of the first round (default 1)")
    machine.add_arguments(verb)
    verb.set_defaults(build="debug", accel="tcg")


def execute(arguments):
    if "power" in arguments.suites:
        if len(arguments.suites) > 1:
            raise KpioError("power is soaked by itself", USAGE)
        return cut_power(arguments)
    if "linux" in arguments.suites:
        if len(arguments.suites) > 1:
            raise KpioError("linux is soaked by itself", USAGE)
        return blow(arguments)
    for suite in arguments.suites:
        if not (ROOT / f"tests/guest/{suite}.c").is_file():
            raise KpioError(f"there is no suite {suite} in tests/guest/", USAGE)
    packages.require("build", "run")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, arguments.accel if arguments.accel != "auto" else "tcg")
    end, rounds = time.monotonic() + arguments.minutes * 60, 0
    while time.monotonic() < end and (not arguments.rounds or rounds < arguments.rounds):
        for suite in arguments.suites:
            if not passes(variant, chosen, suite, arguments.seed + rounds, arguments.append):
                return FAILED
        rounds += 1
    print(f"{rounds} rounds of {', '.join(arguments.suites)}: no failure")
    return OK


def cut_power(arguments):
    if arguments.cuts < 1:
        raise KpioError("--cuts takes a number from 1", USAGE)
    packages.require("build", "run", "test")
    variant, faults = build.ensure(build.Build("release")), 0
    for system in power.ALL:
        if arguments.fs in (None, system.name):
            faults += cut_power_of(system, variant, arguments)
    return FAILED if faults else OK


def cut_power_of(system, variant, arguments):
    """Rounds of CUTS_OF_ROUND, each a workload with a seed of its own; every second one in a guest. How many found faults."""
    done, faults = 0, 0
    while done < arguments.cuts:
        number, cuts = done // CUTS_OF_ROUND, min(CUTS_OF_ROUND, arguments.cuts - done)
        seed, started, in_guest = arguments.seed + number, time.monotonic(), number % GUEST_ROUND == GUEST_ROUND - 1
        if in_guest:
            with tempfile.TemporaryDirectory(prefix="kpio-power-") as folder:
                found = power.guest_round(system, variant, folder, cuts, seed)
        else:
            found = power.host_round(system, cuts, seed)
        done += cuts
        faults += len(found) > 0
        print(f"{system.name}: {done} of {arguments.cuts} cuts: seed {seed} {'in a guest' if in_guest else 'on the host'}: "
              f"{'FAULTS' if found else 'nothing lost'} ({time.monotonic() - started:.0f} s)", flush=True)
        for line in found:
            print(f"  {line}")
    return faults


def blow(arguments):
    """Storms of Linux programs."""
    packages.require("build", "run", "test")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, arguments.accel if arguments.accel != "auto" else "tcg")
    end, rounds = time.monotonic() + arguments.minutes * 60, 0
    while time.monotonic() < end and (not arguments.rounds or rounds < arguments.rounds):
        seed, started = arguments.seed + rounds, time.monotonic()
        found = storms.round(variant, chosen, seed, arguments.append, tell)
        print(f"linux seed {seed}: {'FAILED' if found else 'nothing is lost'} ({time.monotonic() - started:.0f} s)", flush=True)
        for line in found:
            print(f"  {line}")
        if found:
            return FAILED
        rounds += 1
    return OK


def tell(line):
    if line.startswith(("KTEST pass", "KTEST fail", "LINUX balance")):
        print(f"  {line}", flush=True)


def passes(variant, chosen, name, seed, append):
    suite = ktest.Suite()
    outcome = guest.boot(chosen, variant.kernel, variant.initrd,
                         f"kpio.test={name} kpio.seed={seed} kpio.long {append}".strip(), on_line=suite.line)
    flaw = suite.flaw(outcome)
    failed = [case for case in suite.cases if case.result == "failed"]
    print(f"{name} seed {seed}: {suite.count('passed')} passed, {len(failed)} failed ({outcome.seconds:.0f} s)",
          flush=True)
    for case in failed:
        print(f"  {case.name}: {case.detail}")
    if flaw:
        print(flaw)
    return not failed and not flaw
