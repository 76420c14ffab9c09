"""Building: `make` with progress, and where its output lies."""
from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
from pathlib import Path
from typing import Iterator

from . import command, packages, progress
from .errors import BUILD, KpioError
from .paths import ROOT

BUILDS = ("release", "debug", "cov")
DEFAULT_COMPILER = "clang-19"
BUILD_LIMIT = 1800
COMMAND = re.compile(r"(clang|gcc|ld\.lld|llvm-[a-z]+)-\d+ |/usr/bin/python3 ")  # as make prints it before it runs


class Build:
    """One variant of the system and the files that a boot needs."""

    def __init__(self, name: str = "release", compiler: str = DEFAULT_COMPILER):
        self.name = name
        self.compiler = compiler
        self.folder = ROOT / "build" / f"{name}-{compiler}"
        self.kernel = self.folder / "kernel.elf"
        self.initrd = self.folder / "initrd.cpio"

    def make_arguments(self) -> list[str]:
        return [f"BUILD={self.name}", f"COMPILER={self.compiler}"]

    def __str__(self) -> str:
        return f"{self.name} ({self.compiler})"


def processors() -> int:
    return len(os.sched_getaffinity(0))


def make(arguments: list[str], title: str, limit: float = BUILD_LIMIT, quiet: bool = False) -> command.Result:
    """Runs make at the root; a failure ends the command with the compiler's messages."""
    packages.require("build")
    argv = ["make", "-C", str(ROOT), "--no-print-directory", f"-j{processors()}", *arguments]
    if quiet:
        result = command.run(argv, limit=limit)
    else:
        with progress.step(title) as shown:
            result = command.run(argv, limit=limit, on_line=lambda line: shown.detail(source_of(line)))
    if result.status != 0:
        said = [line for line in result.lines if not COMMAND.match(line)]
        messages = "\n".join(said[-command.TAIL_LINES:])
        raise KpioError(f"{shlex.join(argv)}: exit status {result.status}\n{messages}", BUILD)
    return result


@contextlib.contextmanager
def alone(name: str) -> Iterator[None]:
    """Nobody else makes what is named so meanwhile: no other thread, no other command in this tree."""
    folder = ROOT / "build"
    folder.mkdir(exist_ok=True)
    with open(folder / f".{name}.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def source_of(line: str) -> str:
    """What a command that make prints works on: the source it compiles, or what it makes."""
    found = COMMAND.match(line) and re.search(r" -c (\S+)| -o (\S+)", line)
    return (found[1] or found[2]) if found else ""


def ensure(variant: Build) -> Build:
    """Brings kernel and initrd of this variant up to date."""
    if variant.compiler != DEFAULT_COMPILER:
        packages.require("test")
    with alone(variant.folder.name):
        make(variant.make_arguments(), f"Building {variant}")
    for made in (variant.kernel, variant.initrd):
        if not made.is_file():
            raise KpioError(f"make succeeded but did not make {relative(made)}", BUILD)
    return variant


def relative(path: Path) -> str:
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return str(path)
