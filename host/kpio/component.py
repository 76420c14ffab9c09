"""Components of WASI preview 2, made of modules: by a program of pinned crates (engines/component), built once."""
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from . import command, progress
from .engine import RUST, rustc_version
from .errors import BUILD, MISSING, KpioError
from .paths import ROOT, cache_folder, inputs_key, keep

CRATE = ROOT / "engines" / "component"
PROGRAM = "kpio-component"
LIMIT = 1800


def make(folder: Path) -> None:
    target = cache_folder("engines", "target-component")
    argv = ["cargo", "build", "--release", "--locked", "--manifest-path", str(CRATE / "Cargo.toml"), "--target-dir", str(target)]
    with progress.step("Building what makes components; once, about a minute") as shown:
        command.check(argv, limit=LIMIT, status=BUILD, on_line=lambda line: shown.detail(line.strip()), env={"CARGO_TERM_COLOR": "never"})
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, "component")
        made.mkdir()
        shutil.copy2(target / "release" / PROGRAM, made / PROGRAM)
        keep(made, folder)


def ensure() -> Path:
    """The program, up to date."""
    if shutil.which("cargo") is None:
        raise KpioError(f"missing: cargo, which --component needs\n{RUST}", MISSING)
    inputs = [CRATE / "Cargo.toml", CRATE / "Cargo.lock", *sorted(CRATE.glob("src/*.rs"))]
    folder = cache_folder("engines") / f"component-{inputs_key(rustc_version(), *inputs)}"
    if not folder.exists():
        make(folder)
    return folder / PROGRAM


def encode(module: Path, made: Path) -> None:
    """A component that exports wasi:cli/run, of a WASI command."""
    ran = command.run([str(ensure()), str(module), str(made)], limit=LIMIT)
    if ran.status != 0:
        raise KpioError(f"no component can be made:\n{ran.tail()}", BUILD)
