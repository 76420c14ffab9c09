"""A WebAssembly program of the host, run in a guest: by wasmhost (user/wasmhost), which is a Linux program there."""
from __future__ import annotations

import argparse
from pathlib import Path

from . import engine, folders, packages
from .errors import USAGE, KpioError
from .hostrun import FOLDER

MODULE, TEXTS = b"\0asm", (b"(module", b"(component", b";;", b"(;")
HOST = f"{FOLDER}/wasmhost"


def is_program(file: Path) -> bool:
    """Whether the file is WebAssembly, binary or text, by its first bytes."""
    try:
        with open(file, "rb") as opened:
            begin = opened.read(4096)
    except OSError as error:
        raise KpioError(f"{file}: {error.strerror}", USAGE) from None
    return begin.startswith(MODULE) or begin.lstrip().startswith(TEXTS)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="kpio run APP.wasm", usage="%(prog)s [options] [--] ARGS", add_help=False)
    made.add_argument("--mode", choices=("jit", "interp"), default="jit")
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


def command(file: Path, options: argparse.Namespace, environment: list[str], arguments: list[str],
            shares: list[folders.Share]) -> tuple[list[str], dict[str, bytes]]:
    """wasmhost's command line, and the files that the guest's root needs for it."""
    packages.require("wasm")
    place = f"{FOLDER}/{file.name}"
    words = [HOST, "--mode", options.mode]
    if options.memory:
        words += ["--memory", options.memory]
    for variable in environment:
        words += ["--env", variable]
    for at, share in zip(places(shares), shares):
        words += ["--dir", f"{at}::{share.guest}" + (",ro" if share.read_only else "")]
    return [*words, place, "--", *arguments], {place: file.read_bytes(), HOST: (engine.programs() / "wasmhost").read_bytes()}
