"""Boot the system stopped at its first instruction, with GDB attached and the kernel's symbols loaded.

The kernel gets `nokaslr`, so that addresses are those of the ELF file. Leaving GDB ends the guest. The console goes
to a file that is named at the start.
"""
import os
import signal
import socket
import subprocess
import sys
import tempfile

from .. import build, command, machine, packages
from ..errors import OK, USAGE, KpioError

HELP = "boot with GDB attached and symbols loaded"
EXAMPLES = """  kpio debug                                    stops before the first instruction
  kpio debug -x 'hbreak kernel_main' -x continue   runs to the boot order
  kpio debug --build release --smp 1            as it ships
  kpio debug --mode test=ipc                    in the guest suite `ipc`
"""


def add_arguments(verb):
    machine.add_arguments(verb, cpus=1)
    verb.set_defaults(build="debug")
    verb.add_argument("-x", dest="commands", action="append", default=[], metavar="COMMAND",
                      help="a GDB command to run after attaching (may be repeated)")
    verb.add_argument("--mode", default="mode=demo", metavar="KEY=VALUE",
                      help="what init does: mode=demo, test=SUITE, bench=SUITE (default mode=demo)")
    verb.add_argument("--batch", action="store_true", help="leave GDB after the commands")


def gdb_arguments(kernel, place, commands, batch):
    argv = ["gdb", "-q", str(kernel), "-ex", "set pagination off", "-ex", f"target remote {place}"]
    for text in commands:
        argv += ["-ex", text]
    return argv + ["-ex", "kill", "-ex", "quit"] if batch else argv


def start(argv, place):
    """QEMU, which GDB reaches by the socket of that name: it listens before QEMU starts, so nobody comes too early."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen(1)
        stub = ["-chardev", f"socket,id=gdb,fd={listening.fileno()},server=on,wait=off", "-gdb", "chardev:gdb", "-S"]
        return subprocess.Popen(argv + stub, stdin=subprocess.DEVNULL, start_new_session=True, pass_fds=(listening.fileno(),))


def attach(argv, variant, arguments):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for GDB: it stops the guest
    with tempfile.TemporaryDirectory(prefix="kpio-gdb-") as folder:
        place = os.path.join(folder, "socket")
        qemu = start(argv, place)
        try:
            subprocess.call(gdb_arguments(variant.kernel, place, arguments.commands, arguments.batch),
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        finally:
            signal.signal(signal.SIGINT, before)
            command.kill_group(qemu)


def execute(arguments):
    if arguments.accel == "kvm":
        raise KpioError("debug runs under TCG, where breakpoints are reliable: leave --accel out", USAGE)
    packages.require("build", "run", "debug")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, "tcg")
    with tempfile.NamedTemporaryFile(prefix="kpio-console-", delete=False) as console:
        pass
    argv = chosen.arguments(variant.kernel, variant.initrd, f"nokaslr kpio.{arguments.mode} {arguments.append}".strip())
    print(f"console: {console.name}", file=sys.stderr)
    try:
        attach(argv + ["-serial", f"file:{console.name}"], variant, arguments)
    finally:
        if os.path.getsize(console.name) == 0:
            os.unlink(console.name)
    return OK
