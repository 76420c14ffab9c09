"""A bash session on KPIO, on this terminal: the Debian root (`kpio rootfs`), made at the first use. Every key goes to the guest, Ctrl-C and
Ctrl-Z too; leaving the shell switches the machine off, and its exit status is the command's. What is written is gone then, unless
--root names an image of one's own. Enter ~ . ends the machine at once.

Without a terminal, or with -c, bash runs what it is given: streams and exit status are the command's own.

--monitor boots KPIO's own monitor instead: ps, handles, jobs, memory, log, kill, bench; `help` lists them. Ctrl-A x ends it,
Ctrl-A h shows QEMU's other keys.
"""
import os
import subprocess
import sys
import termios

from .. import accel, build, engine, folders, hostrun, linuxguest, machine, packages, progress, terminal, wasmfs
from ..errors import FAILED, OK, USAGE, KpioError
from ..rootfs import tree

HELP = "bash on KPIO, on this terminal (or the monitor)"
EXAMPLES = """  kpio shell                           bash, coreutils, less, vim.tiny, ps
  kpio shell --with python gcc         more packages: groups of host/rootfs.txt
  kpio shell --root my.ext4            a root of one's own (kpio rootfs -o my.ext4), which keeps what is written
  kpio shell --dir .::/mnt             a folder of this machine at /mnt
  kpio shell --fs tar.wasm=a.tar::/mnt a file system whose driver is a WebAssembly program (docs/fuse.md)
  kpio shell -c 'ls -l / | head -3'    one command; script.sh | kpio shell works too
  kpio shell --monitor                 the monitor
  kpio shell --monitor --smp 1 --memory 64M      the smallest machine
  kpio shell --monitor --fs tar.wasm=a.tar::/mnt  with a file system to look at
  echo ps | kpio shell --monitor       its commands from a pipe
"""
SHELL = "/bin/bash"
DIRECTORY = "/root"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": DIRECTORY, "USER": "root", "LOGNAME": "root",
               "SHELL": SHELL, "LANG": "C.UTF-8"}
USUAL_TERM = "xterm-256color"


def add_arguments(verb):
    machine.add_arguments(verb)
    shell = verb.add_argument_group("shell")
    shell.add_argument("-c", dest="command", metavar="COMMAND", help="run it instead of an interactive shell")
    shell.add_argument("--with", nargs="*", default=[], dest="groups", metavar="GROUP", help="groups of packages besides `shell`")
    shell.add_argument("--root", metavar="FILE", help="an image with the root file system, written to")
    shell.add_argument("--apps", action="store_true", help="with --monitor: with the engine that apps need (docs/appd.md)")
    folders.add_argument(shell)
    wasmfs.add_argument(shell)
    shell.add_argument("--monitor", action="store_true", help="KPIO's monitor instead of bash")


def execute(arguments):
    if arguments.monitor:
        if arguments.command is not None or arguments.groups or arguments.root:
            raise KpioError("--monitor: the monitor runs no Linux program, so -c, --with and --root do not go with it", USAGE)
    shares = folders.parse_all(arguments.dirs)
    systems = wasmfs.parse_all(arguments.fs, shares)
    if arguments.monitor:
        return monitor(arguments, shares, systems)
    piped = arguments.command is not None or not sys.stdin.isatty()
    if arguments.apps:
        raise KpioError("--apps goes with --monitor", USAGE)
    progress.silent = piped and not arguments.verbose
    packages.require("build", "run", "image")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    guest, root = with_root(chosen, arguments)
    with wasmfs.Mounted(variant, guest, systems) as mounted, folders.Served(mounted.machine, shares) as served:
        root = " ".join(f"{root} {served.words} {mounted.words}".split())
        return (run_command if piped else interactive)(mounted.build, served.machine, root, arguments)


def with_root(chosen, arguments):
    """The machine with the root's disk, and what root= says."""
    if arguments.root and arguments.groups:
        raise KpioError("--with: the image that --root names has the packages that it has", USAGE)
    disk = machine.parse_disk(arguments.root) if arguments.root else hostrun.root_disk(("shell", *arguments.groups))
    return chosen.with_disk(disk)


def term(groups):
    """TERM as it is here, where the guest knows it."""
    name = os.environ.get("TERM", "")
    folder = tree.make("shell", *groups)
    known = [folder / place / name[:1] / name for place in ("lib/terminfo", "usr/share/terminfo", "etc/terminfo")]
    return name if name and "/" not in name and any(path.is_file() for path in known) else USUAL_TERM


def interactive(variant, guest, root, arguments):
    environment = {**ENVIRONMENT, "TERM": term(arguments.groups)}
    rows, columns = terminal.window()
    words = [f"root={root}", "log=error", "kpio.mode=linux", f"kpio.program={SHELL}", "kpio.arguments=-l", f"kpio.directory={DIRECTORY}",
             f"kpio.window={rows}x{columns}", "kpio.environment=" + ",".join(f"{key}={value}" for key, value in environment.items()),
             arguments.append]
    print("`exit` or Ctrl-D leaves the shell, Enter ~ . ends the machine at once.", file=sys.stderr)
    return terminal.run(guest.arguments(variant.kernel, variant.initrd, " ".join(words).strip()), arguments.verbose)


def run_command(variant, guest, root, arguments):
    words = (SHELL, "-l", *(["-c", arguments.command] if arguments.command is not None else ["-s"]))
    ran = linuxguest.Command(words, {**ENVIRONMENT, "TERM": "dumb"}, DIRECTORY, SHELL)
    return hostrun.run_in(variant, guest, f"root={root} {arguments.append}".strip(), ran, {}, None, arguments.verbose)


def monitor(arguments, shares, systems):
    packages.require("build", "run")
    variant = build.ensure(build.Build(arguments.build))
    if arguments.apps:
        variant = engine.with_apps(variant)
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    with wasmfs.Mounted(variant, chosen, systems) as mounted, folders.Served(mounted.machine, shares) as served:
        root = "root=tmpfs" if (systems or shares) and "root=" not in arguments.append else ""  # where there is something to be mounted
        words = " ".join(f"kpio.mode=shell {root} {served.words} {mounted.words} {arguments.append}".split())
        argv = served.machine.arguments(mounted.build.kernel, mounted.build.initrd, words)
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
