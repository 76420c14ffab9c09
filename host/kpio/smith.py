"""Random WebAssembly modules, by their seeds: from a program of pinned crates (engines/smith), built once. What runs them and tells what
came of it is tests/wasm/random."""
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from . import command, engine, packages, progress
from .errors import BUILD, MISSING, KpioError
from .paths import ROOT, cache_folder, inputs_key, keep

CRATE = ROOT / "engines" / "smith"
PROGRAM = "kpio-smith"
LIMIT = 1800


def make(folder: Path) -> None:
    target = cache_folder("engines", "target-smith")
    argv = ["cargo", "build", "--release", "--locked", "--manifest-path", str(CRATE / "Cargo.toml"), "--target-dir", str(target)]
    with progress.step("Building what makes random modules; once, about a minute") as shown:
        command.check(argv, limit=LIMIT, status=BUILD, on_line=lambda line: shown.detail(line.strip()), env={"CARGO_TERM_COLOR": "never"})
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, "smith")
        made.mkdir()
        shutil.copy2(target / "release" / PROGRAM, made / PROGRAM)
        keep(made, folder)


def ensure() -> Path:
    """The program, up to date."""
    if shutil.which("cargo") is None:
        raise KpioError(f"missing: cargo\n{engine.RUST}", MISSING)
    inputs = [CRATE / "Cargo.toml", CRATE / "Cargo.lock", *sorted(CRATE.glob("src/*.rs"))]
    folder = cache_folder("engines") / f"smith-{inputs_key(engine.rustc_version(), *inputs)}"
    if not folder.exists():
        make(folder)
    return folder / PROGRAM


def runner() -> Path:
    """The program that runs them, stripped."""
    packages.require("wasm")
    return engine.programs(goal="wasmrandom") / "boot" / "random"


def modules(first: int, count: int) -> Path:
    """A folder of modules, SEED.wasm, with the artifacts that the runner's `make` makes of them; kept."""
    maker, runs = ensure(), runner()
    folder = cache_folder("wasm") / f"random-{inputs_key(maker, runs, f'{first} {count}')}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "random")
            made.mkdir()
            command.check([str(maker), str(first), str(count), str(made)], limit=LIMIT)
            command.check([str(runs), "make", str(made), str(first), str(count)], limit=LIMIT)
            keep(made, folder)
    return folder
