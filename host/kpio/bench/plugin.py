"""The QEMU plugin: built into the cache when its sources change, and what it wrote joined with what the guest said."""
from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .. import command
from ..elf import Symbols
from ..errors import BUILD
from ..paths import ROOT, cache_folder, inputs_key

FOLDER = ROOT / "tests" / "bench" / "plugin"
FLAGS = ["-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{ROOT}"]
COUNTS = ("cr3", "msr", "fsgs", "xsave", "xrstor", "locked", "rep")


def library() -> Path:
    """The plugin as a file that QEMU can load."""
    sources = sorted(FOLDER.glob("*.[ch]")) + [ROOT / "lib" / "bench_mark.h"]
    made = cache_folder("plugin") / f"{inputs_key(*sources, *FLAGS)}.so"
    if not made.exists():
        unfinished = made.with_suffix(f".{os.getpid()}")
        compiled = [str(source) for source in sources if source.suffix == ".c"]
        command.check(["clang-19", *FLAGS, *compiled, "-o", str(unfinished)], status=BUILD)
        unfinished.rename(made)
    return made


def arguments(out: Path, lines: bool = False, profile: bool = False, stretches: int = 0) -> tuple:
    """For QEMU's command line."""
    options = (",lines=on" if lines else "") + (",profile=on" if profile else "") + (f",stretches={stretches}" if stretches else "")
    return "-plugin", f"{library()},out={out}{options}"


def read(out: Path) -> dict[int, dict]:
    """What was counted, by the index of the report mark."""
    records = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return {record["mark"]: record for record in records}


def per_operation(record: dict) -> dict[str, float]:
    """The counts of a record for one operation."""
    operations = record["ops"] or 1
    return {name: round(record[name] / operations, 2) for name in COUNTS}


@dataclass(frozen=True)
class Stretch:
    """The longest stretch without an interrupt that spent most of its time in one place."""

    length: int
    times: int             # that there was such a one, of whatever length
    functions: list[str]   # those that ran first, in order
    most: dict[str, int]   # where most instructions were


def stretches(out: Path, symbols: Symbols) -> list[Stretch]:
    """Those of a run, the longest first. It must have been asked for them, on one processor."""
    found = [Stretch(stretch["length"], stretch["times"],
                     list(dict.fromkeys(symbols.name(address).split("+")[0] for address in stretch["began"])),
                     {symbols.name(address): count for address, count in stretch["most"]})
             for stretch in read(out)[-1]["stretches"]]
    return sorted(found, key=lambda stretch: -stretch.length)
