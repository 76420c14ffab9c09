"""Run the tests: style, host tools, unit tests under sanitizers, fuzzing in its short form, guest suites under QEMU.

The last line is `N passed, N failed`. Guests run several at a time, one per processor of this machine.
"""
import os
import signal
import subprocess
import sys

from .. import build, packages
from ..errors import FAILED, INTERRUPTED, OK, KpioError
from ..paths import ROOT

HELP = "run the tests"
EXAMPLES = """  kpio test                            everything, in its short form
  kpio test -k ipc                     what has "ipc" in its name
  kpio test -k 'style or unit'         a pytest expression
  kpio test --list                     names only
  kpio test --long                     long forms: fuzzers, storms, 1,000 driver restarts
"""
# Debian's python3-pytest belongs to this interpreter, whichever one runs kpio.
PYTHON = "/usr/bin/python3"


def add_arguments(verb):
    verb.add_argument("-k", metavar="EXPR", dest="expression", help="only tests whose names match (as in pytest)")
    verb.add_argument("--list", action="store_true", help="name the tests, run none")
    verb.add_argument("--long", action="store_true", help="the long forms too")


def pytest_arguments(arguments):
    argv = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", "-c", str(ROOT / "tests" / "pytest.ini"),
            "--rootdir", str(ROOT)]
    if arguments.expression:
        argv += ["-k", arguments.expression]
    if arguments.list:
        argv.append("--collect-only")
    if arguments.long:
        argv.append("--long")
    if arguments.verbose:
        argv.append("-v")
    return argv + [str(ROOT / "tests")]


def build_ahead():
    """So that its progress is seen. What does not build is reported by the tests that need it."""
    for name in ("release", "debug"):
        try:
            build.ensure(build.Build(name))
        except KpioError as error:
            print(f"kpio: {str(error).splitlines()[0]}", file=sys.stderr)


def execute(arguments):
    packages.require("build", "run", "test", "bench", "image", "wasm")
    if not arguments.list:
        build_ahead()
    process = subprocess.Popen(pytest_arguments(arguments), cwd=ROOT, stdin=subprocess.DEVNULL,
                               env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # so that it ends its guests; a terminal's Ctrl-C has told it already
        process.wait()
        raise
    if status == 5:  # pytest's word for "nothing selected"
        print(f"kpio: no test matches {arguments.expression!r}", file=sys.stderr)
        return FAILED
    return OK if status == 0 else INTERRUPTED if status == 2 else FAILED
