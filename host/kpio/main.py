"""The verbs of `kpio`, their common options, and how errors end the command."""
from __future__ import annotations

import argparse
import importlib
import os
import sys

from . import command, progress
from .errors import INTERRUPTED, STATUS_HELP, KpioError

VERBS = ("run", "test", "bench", "shell", "debug", "doctor", "build", "clean", "image", "fuzz", "soak", "rootfs", "app")


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="kpio", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Build, run, test and measure KPIO. What is missing on this machine is installed\n"
                    "through apt-get where that is allowed, else named.",
        epilog="start with:\n  ./kpio run     boots the system and runs the demonstration\n"
               "  ./kpio test    runs all tests\n\n" + STATUS_HELP)
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name in VERBS:
        module = importlib.import_module(f".verbs.{name}", __package__)
        verb = verbs.add_parser(name, help=module.HELP, description=module.__doc__,
                                epilog="examples:\n" + module.EXAMPLES + "\n" + STATUS_HELP,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
        verb.add_argument("-v", "--verbose", action="store_true", help="show what every program run prints")
        module.add_arguments(verb)
        verb.set_defaults(execute=module.execute)
    return top


def main(argv: list[str]) -> int:
    command.open_standard_streams()
    try:
        arguments = parser().parse_args(argv)
        progress.verbose = arguments.verbose
        command.interrupt_once()
        return arguments.execute(arguments)
    except KpioError as error:
        print(f"kpio: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("kpio: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `kpio ... | head`; nobody reads on, so there is nobody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
