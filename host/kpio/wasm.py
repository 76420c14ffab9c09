"""A WebAssembly program of the host, run in a guest: by wasmhost (user/wasmhost), which is a Linux program there. A script runs in
QuickJS, which is such a program."""
from __future__ import annotations

import argparse
from pathlib import Path

from . import apps, engine, folders, packages
from .errors import USAGE, KpioError
from .hostrun import FOLDER

SCRIPTS = (".js", ".mjs")
BEFORE_CPU = "x86-64-v2"  # what is compiled here, for any machine that runs the guest
MODULE, TEXTS = b"\0asm", (b"(module", b"(component", b";;", b"(;")
HOST = f"{FOLDER}/wasmhost"


def beginning(file: Path) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read(4096)
    except OSError as error:
        raise KpioError(f"{file}: {error.strerror}", USAGE) from None


def is_binary(file: Path) -> bool:
    return beginning(file).startswith(MODULE)


def is_program(file: Path) -> bool:
    """Whether the file is WebAssembly, binary or text, by its first bytes."""
    return is_binary(file) or beginning(file).lstrip().startswith(TEXTS)


def is_script(file: Path) -> bool:
    return file.suffix in SCRIPTS and file.is_file()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="kpio run APP.wasm", usage="%(prog)s [options] [--] ARGS", add_help=False)
    made.add_argument("--mode", choices=("aot", "jit", "interp"))
    made.add_argument("--memory", metavar="SIZE")
    made.add_argument("--timeout", type=float, metavar="SECONDS")
    made.add_argument("--env", action="append", default=[], metavar="KEY=VALUE")
    made.add_argument("-v", "--verbose", action="store_true")
    folders.add_argument(made)
    return made


def split(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Options behind the file's name, up to the first word that is none or `--`; and the program's arguments."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        at += 1 if "=" in words[at] or words[at] in ("-v", "--verbose") else 2
    return parser().parse_args(words[:at]), words[at + (at < len(words) and words[at] == "--"):]


def places(shares: list[folders.Share]) -> list[str]:
    """Where the guest's root has the folders that the program is shown: by names of its own, any text."""
    return [f"{FOLDER}/dir{number}" for number in range(len(shares))]


def placed(file: Path, options: argparse.Namespace, arguments: list[str], files: dict) -> tuple[str, str, list[str]]:
    """The mode, the program and its arguments; what the guest needs is added to the files."""
    place = f"{FOLDER}/{file.name}"
    if options.mode == "aot" and not is_binary(file):
        raise KpioError(f"{file}: --mode aot takes no text", USAGE)
    made = engine.artifact(file, BEFORE_CPU, engine.programs()) if options.mode == "aot" else file
    files[place] = made.read_bytes()
    return options.mode or "jit", place, arguments


def placed_script(file: Path, options: argparse.Namespace, arguments: list[str], files: dict) -> tuple[str, str, list[str]]:
    """The same for a script: QuickJS runs it, as it was compiled before unless a mode is asked for."""
    packages.require("apps")
    place = f"{FOLDER}/quickjs"
    before = options.mode in (None, "aot")
    files[place] = (apps.quickjs() if not before else engine.artifact(apps.quickjs(), BEFORE_CPU, engine.programs())).read_bytes()
    files[f"{FOLDER}/script/{file.name}"] = file.read_bytes()
    return options.mode or "aot", place, [f"/script/{file.name}", *arguments]


def command(file: Path, options: argparse.Namespace, environment: list[str], arguments: list[str],
            shares: list[folders.Share]) -> tuple[list[str], dict[str, bytes]]:
    """wasmhost's command line, and the files that the guest's root needs for it."""
    packages.require("wasm")
    files = {HOST: (engine.programs() / "wasmhost").read_bytes()}
    mode, place, arguments = placed_script(file, options, arguments, files) if is_script(file) else placed(file, options, arguments, files)
    words = [HOST, "--mode", mode]
    if options.memory:
        words += ["--memory", options.memory]
    for variable in environment:
        words += ["--env", variable]
    for at, share in zip(places(shares), shares):
        words += ["--dir", f"{at}::{share.guest}" + (",ro" if share.read_only else "")]
    if is_script(file):
        words += ["--dir", f"{FOLDER}/script::/script,ro"]
    return [*words, place, "--", *arguments], files
