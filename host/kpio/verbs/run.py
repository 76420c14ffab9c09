"""Boot the system in QEMU and run the demonstration."""
import sys

from .. import accel, build, guest, machine, packages
from ..errors import FAILED, HANG, OK

HELP = "boot the system and run the demonstration"
EXAMPLES = """  kpio run                             4 CPUs, 1 GiB, release build
  kpio run --smp 8 --memory 8G         the largest machine
  kpio run --machine microvm           without PCI and firmware
  kpio run --disk root.img --disk other.img,ro
  kpio run --build debug               with KASAN, UBSan and the lock-order checker
"""


def add_arguments(verb):
    machine.add_arguments(verb)


def show(line):
    print(line, flush=True)


def execute(arguments):
    packages.require("build", "run")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    outcome = guest.boot(chosen, variant.kernel, variant.initrd, f"kpio.mode=demo {arguments.append}".strip(),
                         on_line=show)
    if outcome.end is guest.End.SUCCESS:
        return OK
    print(f"kpio: {outcome.detail}", file=sys.stderr)
    return HANG if outcome.end is guest.End.HUNG else FAILED
