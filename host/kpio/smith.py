"""Random WebAssembly modules, by their seeds: from a program of pinned crates (engines/smith). What runs them and tells what came of it
is tests/wasm/random."""
from __future__ import annotations

import tempfile
from pathlib import Path

from . import command, crate, engine, packages
from .paths import cache_folder, inputs_key, keep

LIMIT = 1800


def runner() -> Path:
    """The program that runs them, stripped."""
    packages.require("wasm")
    return engine.programs(goal="wasmrandom") / "boot" / "random"


def modules(first: int, count: int) -> Path:
    """A folder of modules, SEED.wasm, with the artifacts that the runner's `make` makes of them; kept."""
    maker, runs = crate.program("smith", "what makes random modules"), runner()
    folder = cache_folder("wasm") / f"random-{inputs_key(maker, runs, f'{first} {count}')}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "random")
            made.mkdir()
            command.check([str(maker), str(first), str(count), str(made)], limit=LIMIT)
            command.check([str(runs), "make", str(made), str(first), str(count)], limit=LIMIT)
            keep(made, folder)
    return folder
