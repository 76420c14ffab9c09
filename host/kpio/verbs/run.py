"""Boot the system in QEMU and run the demonstration, or a program of this machine with ARGS: FILE, a WebAssembly module or component,
a script (.js, run by QuickJS) or an ELF file for Linux. Its standard input, output, error output and exit status are the command's own.
A static Linux program starts in an empty root, a dynamic one in the Debian root (`kpio rootfs`), with those of its libraries that are
not there, as the leader of a session. --dir shows the program a folder of this machine, in which it starts if this command did. Options
go before FILE, or between FILE and `--`. --memory before FILE is the guest's, behind a WebAssembly FILE or a script that of its linear
memory."""
import argparse
import os
import sys
from pathlib import Path

from .. import accel, build, demo, folders, guest, hostrun, libraries, linuxguest, machine, packages, progress, wasm, wasmfs
from ..errors import FAILED, HANG, OK, USAGE, KpioError

HALVED_MIB = 512  # a guest's memory from which on half of it goes to a program's
HELP = "boot the system and run the demonstration, or a WebAssembly or Linux program"
EXAMPLES = """  kpio run                             the demonstration: 4 CPUs, 1 GiB, release build
  kpio run -v                          the same with all that the system says
  kpio run --smp 8 --memory 8G         the largest machine
  kpio run --machine microvm           without PCI and firmware
  kpio run --disk root.img --disk other.img,ro
  kpio run --build debug               with KASAN, UBSan and the lock-order checker
  kpio run ./a.out -l 3                a Linux program; its exit status is the command's
  kpio run ./a.out --memory 2G --env LANG=C -- -l 3
  kpio run script.js -- -l 3
  kpio run app.wasm --mode interp --timeout 5 -- -l 3
  kpio run app.wasm --memory 64M --cpu-time 2 --files 16 -W max-wasm-stack=512K
  kpio run app.wasm --dir . --dir /srv/data::/data::ro
  kpio run app.wasm --fs tar.wasm=archive.tar::/data     a file system whose driver is a WebAssembly program
"""


def add_options(verb):
    machine.add_arguments(verb)
    program = verb.add_argument_group("program")
    program.add_argument("--timeout", type=wasm.seconds, metavar="SECONDS", help="stop the program after that time, with status 124")
    program.add_argument("--env", action="append", default=[], metavar="KEY[=VALUE]",
                         help="one more for the program's environment; KEY alone passes on what this command has")
    folders.add_argument(program)
    wasmfs.add_argument(program)
    wasm.add_options(verb.add_argument_group("WebAssembly program, or script"))


def add_arguments(verb):
    add_options(verb)
    verb.add_argument("words", nargs=argparse.REMAINDER, metavar="FILE ARGS", help="a program and its arguments")


def show(line):
    print(line, flush=True)


def execute(arguments):
    if arguments.words:
        file = Path(arguments.words[0])
        return run_wasm(arguments, file) if wasm.is_program(file) or wasm.is_script(file) else run_program(arguments, file)
    if arguments.dirs or arguments.fs:
        raise KpioError("--dir, --fs: the demonstration uses no folder: a program is missing", USAGE)
    wasm.refuse(arguments, Path("the demonstration"))
    packages.require("build", "run")
    variant = build.ensure(build.Build(arguments.build))
    chosen = machine.from_arguments(arguments, accel.choose(arguments.accel, variant))
    return demonstrate(variant, chosen, arguments)


def demonstrate(variant, chosen, arguments):
    """With apps, where they can be had; of what the system says only what the demonstration does, unless -v asks for all."""
    chosen, initrd, words = demo.with_apps(variant, chosen, arguments.append)
    outcome = guest.boot(chosen, variant.kernel, initrd, f"kpio.mode=demo {words} {arguments.append}".strip(),
                         on_line=lambda line: show(line) if arguments.verbose or demo.is_shown(line) else None)
    if outcome.end is guest.End.SUCCESS:
        print(demo.about_times(chosen))
        return OK
    print(f"kpio: {outcome.detail}{'' if arguments.verbose else '; -v shows what the system said'}", file=sys.stderr)
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
    """What --env says: KEY=VALUE, or KEY alone for what this command has under it, if anything."""
    wrong = [text for text in texts if text.startswith("=") or not text]
    if wrong:
        raise KpioError(f"--env {wrong[0]}: KEY=VALUE is expected, or KEY to pass this command's own on", USAGE)
    pairs = (text.split("=", 1) if "=" in text else (text, os.environ.get(text)) for text in texts)
    return {name: value for name, value in pairs if value is not None}


def prepare(arguments, verbose):
    """The system and the machine that a program runs in."""
    progress.silent = not verbose
    packages.require("build", "run", "image")
    variant = build.ensure(build.Build(arguments.build))
    return variant, machine.from_arguments(arguments, accel.choose(arguments.accel, variant))


def wasm_pool(chosen, append):
    """Half of a guest that runs one such program, and has room, is for its linear memory; else the system takes a quarter."""
    return f"wasm_pool={chosen.memory_mib // 2}M" if chosen.memory_mib >= HALVED_MIB and "wasm_pool=" not in append else ""


def run_wasm(arguments, file):
    options, words = wasm.split(arguments.words[1:], arguments)
    environment = [f"{name}={value}" for name, value in environment_of(arguments.env + options.env).items()]
    shares = folders.parse_all(arguments.dirs + options.dirs, relative=True)
    systems = wasmfs.parse_all(arguments.fs + options.fs, shares)
    verbose = arguments.verbose or options.verbose
    variant, chosen = prepare(arguments, verbose)
    wasm.bound_tables(options, chosen.memory_mib)
    argv, files = wasm.command(file, options, environment, words, [*shares, *systems])
    ran, places = linuxguest.Command(tuple(argv)), wasm.places([*shares, *systems])
    with wasmfs.Mounted(variant, chosen, systems, places[len(shares):]) as mounted, \
            folders.Served(mounted.machine, shares, places[:len(shares)]) as served:
        pool = wasm_pool(chosen, arguments.append)
        append = " ".join(f"root=tmpfs kpio.jit=1 {pool} {served.words} {mounted.words} {arguments.append}".split())
        return hostrun.run_in(mounted.build, served.machine, append, ran, files, options.timeout, verbose, str(file))


def run_program(arguments, file):
    libraries.read(file)
    words, verbose = split(arguments), arguments.verbose
    wasm.refuse(arguments, file)
    environment = environment_of(arguments.env)
    shares = folders.parse_all(arguments.dirs)
    systems = wasmfs.parse_all(arguments.fs, shares)
    variant, chosen = prepare(arguments, verbose)
    with wasmfs.Mounted(variant, chosen, systems) as mounted:
        append = f"{mounted.words} {arguments.append}".strip()
        return hostrun.run(mounted.build, file, words, mounted.machine, environment, arguments.timeout, append, verbose, tuple(shares))
