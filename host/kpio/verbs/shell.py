"""Boot the system with its monitor on this terminal: ps, handles, jobs, memory, log, kill, bench; `help` lists them.

Every key goes to the guest, Ctrl-C too. Ctrl-A x ends QEMU at once, Ctrl-A h shows QEMU's other keys.
"""
import subprocess
import sys
import termios

from .. import accel, build, machine, packages
from ..errors import FAILED, OK

HELP = "boot with the monitor on this terminal (Ctrl-A x ends it)"
EXAMPLES = """  kpio shell
  kpio shell --smp 1 --memory 64M      the smallest machine
  echo ps | kpio shell                 commands from a pipe
"""


def add_arguments(verb):
    machine.add_arguments(verb)


def execute(arguments):
    packages.require("build", "run")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    argv = chosen.arguments(variant.kernel, variant.initrd, f"kpio.mode=shell {arguments.append}".strip())
    argv += ["-chardev", "stdio,id=console,mux=on,signal=off", "-serial", "chardev:console"]
    return call_on_terminal(argv)


def call_on_terminal(argv):
    """Runs QEMU on this terminal, which QEMU makes raw; whatever becomes of it, the terminal is as it was."""
    saved = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    if saved:
        print("Ctrl-A x ends the guest.", file=sys.stderr)
    process = subprocess.Popen(argv)
    try:
        status = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if saved:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, saved)
    return OK if status in (0, machine.EXIT_SUCCESS) else FAILED
