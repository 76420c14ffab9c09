"""Boot the system in QEMU and run the demonstration, or a Linux program of this machine: FILE, an ELF file, with ARGS. Its standard
input, output, error output and exit status are the command's own. A static program starts in an empty root, a dynamic one in the
Debian root (`kpio rootfs`), with those of its libraries that are not there, as the leader of a session. Options go
before FILE, or between FILE and `--`."""
import argparse
import sys
from pathlib import Path

from .. import accel, build, guest, hostrun, libraries, machine, packages, progress
from ..errors import FAILED, HANG, OK, USAGE, KpioError

HELP = "boot the system and run the demonstration, or a Linux program"
EXAMPLES = """  kpio run                             4 CPUs, 1 GiB, release build
  kpio run --smp 8 --memory 8G         the largest machine
  kpio run --machine microvm           without PCI and firmware
  kpio run --disk root.img --disk other.img,ro
  kpio run --build debug               with KASAN, UBSan and the lock-order checker
  kpio run ./a.out -l 3                a Linux program; its exit status is the command's
  kpio run ./a.out --memory 2G --env LANG=C -- -l 3
"""


def add_options(verb):
    machine.add_arguments(verb)
    program = verb.add_argument_group("program")
    program.add_argument("--timeout", type=float, metavar="SECONDS", help="stop the program after that time, with status 124")
    program.add_argument("--env", action="append", default=[], metavar="KEY=VALUE", help="one more for the program's environment")


def add_arguments(verb):
    add_options(verb)
    verb.add_argument("words", nargs=argparse.REMAINDER, metavar="FILE ARGS", help="a Linux program and its arguments")


def show(line):
    print(line, flush=True)


def execute(arguments):
    if arguments.words:
        return run_program(arguments)
    packages.require("build", "run")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    outcome = guest.boot(chosen, variant.kernel, variant.initrd, f"kpio.mode=demo {arguments.append}".strip(),
                         on_line=show)
    if outcome.end is guest.End.SUCCESS:
        return OK
    print(f"kpio: {outcome.detail}", file=sys.stderr)
    return HANG if outcome.end is guest.End.HUNG else FAILED


def split(arguments):
    """The program's arguments; options that stand before a `--` are put among the others."""
    words = arguments.words[1:]
    if "--" not in words:
        return words
    at = words.index("--")
    more = argparse.ArgumentParser(prog="kpio run FILE", usage="%(prog)s [options] -- ARGS", add_help=False)
    more.add_argument("-v", "--verbose", action="store_true")
    add_options(more)
    more.parse_args(words[:at], arguments)
    return words[at + 1:]


def environment_of(texts):
    wrong = [text for text in texts if "=" not in text[1:]]
    if wrong:
        raise KpioError(f"--env {wrong[0]}: KEY=VALUE is expected", USAGE)
    return dict(text.split("=", 1) for text in texts)


def run_program(arguments):
    file = Path(arguments.words[0])
    libraries.read(file)
    words, verbose = split(arguments), arguments.verbose
    environment = environment_of(arguments.env)
    progress.silent = not verbose
    packages.require("build", "run", "image")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    return hostrun.run(variant, file, words, chosen, environment, arguments.timeout, arguments.append, verbose)
