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
import time

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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def gdb_arguments(kernel, port, commands, batch):
    argv = ["gdb", "-q", str(kernel), "-ex", "set pagination off", "-ex", f"target remote 127.0.0.1:{port}"]
    for text in commands:
        argv += ["-ex", text]
    return argv + ["-ex", "kill", "-ex", "quit"] if batch else argv


def execute(arguments):
    if arguments.accel == "kvm":
        raise KpioError("debug runs under TCG, where breakpoints are reliable: leave --accel out", USAGE)
    packages.require("build", "run", "debug")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, "tcg")
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="kpio-console-", delete=False) as console:
        pass
    argv = chosen.arguments(variant.kernel, variant.initrd, f"nokaslr kpio.{arguments.mode} {arguments.append}".strip())
    argv += ["-serial", f"file:{console.name}", "-gdb", f"tcp:127.0.0.1:{port}", "-S"]
    print(f"console: {console.name}", file=sys.stderr)
    qemu = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for GDB: it stops the guest
    try:
        wait_for_port(port, qemu)
        subprocess.call(gdb_arguments(variant.kernel, port, arguments.commands, arguments.batch),
                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    finally:
        signal.signal(signal.SIGINT, before)
        command.kill_group(qemu)
        if os.path.getsize(console.name) == 0:
            os.unlink(console.name)
    return OK


def wait_for_port(port, qemu):
    """QEMU listens a moment after it starts. The bind test makes no connection, which would be GDB's."""
    for _ in range(200):
        if qemu.poll() is not None:
            raise KpioError(f"QEMU ended with status {qemu.returncode} before GDB could attach")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return
        time.sleep(0.05)
    raise KpioError(f"QEMU did not open port {port} for GDB within 10 s")
