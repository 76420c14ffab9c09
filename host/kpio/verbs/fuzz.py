"""Fuzz in the long form: libFuzzer on the host code under ASan and UBSan, then the system-call fuzzer in a guest.

The guest fuzzer runs on the coverage build (KASAN, UBSan, lock-order checker). Every finding comes with the seed that
replays it. Corpora are kept in the cache between runs.
"""
import tempfile
from pathlib import Path

from .. import build, coverage, fuzzed, guest, ktest, packages
from ..errors import FAILED, HANG, OK, USAGE, KpioError
from ..machine import Machine
from ..paths import cache_folder

HELP = "fuzz host code and system calls in the long form"
MOST_THREADS = 8  # MAX_THREADS of tests/guest/fuzz/fuzz.h
EXAMPLES = """  kpio fuzz                            both, ten minutes and ten million calls
  kpio fuzz host --seconds 60
  kpio fuzz guest --calls 100000 --seed 7   replays what seed 7 does
"""


def add_arguments(verb):
    verb.add_argument("part", nargs="?", choices=("all", "host", "guest"), default="all", help="default all")
    verb.add_argument("--seconds", type=int, default=600, help="for the host fuzzers (default 600)")
    verb.add_argument("--calls", type=int, default=10_000_000, help="for the guest fuzzer (default 10,000,000)")
    verb.add_argument("--seed", type=int, default=1, help="for the guest fuzzer (default 1)")
    verb.add_argument("--smp", type=int, default=4, metavar="N", help="the guest's CPUs (default 4)")
    verb.add_argument("--threads", type=int, default=MOST_THREADS, choices=range(1, MOST_THREADS + 1), metavar="N",
                      help="that make the guest's calls: more than CPUs, as many of the calls wait (default 8)")


def execute(arguments):
    if arguments.calls < 1 or arguments.seconds < 1:
        raise KpioError("--calls and --seconds take numbers from 1", USAGE)
    packages.require("build", "run", "test")
    if arguments.part in ("all", "host"):
        build.make(["fuzz", f"FUZZ_SECONDS={arguments.seconds}", f"FUZZ_CORPUS={cache_folder('fuzz')}"],
                   f"Fuzzing host code for {arguments.seconds} s", limit=arguments.seconds * 4 + 600)
    return fuzz_guest(arguments) if arguments.part in ("all", "guest") else OK


def fuzz_guest(arguments):
    variant = build.ensure(build.Build("cov"))
    suite = ktest.Suite()

    def line(text):
        suite.line(text)
        if not text.startswith(coverage.MARK):
            print(text, flush=True)

    with tempfile.TemporaryDirectory(prefix="kpio-fuzzed-") as folder:
        chosen = Machine(cpus=arguments.smp, disks=fuzzed.make_disks(Path(folder)))
        outcome = guest.boot(chosen, variant.kernel, variant.initrd,
                             f"kpio.test=fuzz kpio.fuzz_calls={arguments.calls} kpio.seed={arguments.seed} "
                             f"kpio.fuzz_threads={arguments.threads}",
                             silence=600, total=24 * 3600, on_line=line)
        damaged = [f"{name}: {flaw}" for name, flaw in fuzzed.examine_disks(Path(folder)) if flaw] \
            if outcome.end is guest.End.SUCCESS else []
    found = coverage.places(outcome.lines)
    if found:
        print("line coverage:", coverage.summary(coverage.covered_lines(variant.kernel, found))[1])
    flaw = suite.flaw(outcome)
    if flaw:
        raise KpioError(flaw, HANG if outcome.end is guest.End.HUNG else FAILED)
    if damaged:
        raise KpioError("\n".join(damaged), FAILED)
    return OK if not suite.count("failed") else FAILED
