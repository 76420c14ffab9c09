"""Programs of pinned crates below engines/, each built once and kept outside the tree, by what it is made of."""
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from . import command, progress
from .engine import RUST, rustc_version
from .errors import BUILD, MISSING, KpioError
from .paths import ROOT, cache_folder, inputs_key, keep

LIMIT = 1800


def make(name: str, what: str, folder: Path) -> None:
    target = cache_folder("engines", f"target-{name}")
    argv = ["cargo", "build", "--release", "--locked", "--manifest-path", str(ROOT / "engines" / name / "Cargo.toml"),
            "--target-dir", str(target)]
    with progress.step(f"Building {what}; once, about a minute") as shown:
        command.check(argv, limit=LIMIT, status=BUILD, on_line=lambda line: shown.detail(line.strip()), env={"CARGO_TERM_COLOR": "never"})
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, name)
        made.mkdir()
        shutil.copy2(target / "release" / f"kpio-{name}", made)
        keep(made, folder)


def program(name: str, what: str, user: str = "") -> Path:
    """The program kpio-NAME of engines/NAME, up to date. `what` it is and who (`user`) needs it are for messages."""
    if shutil.which("cargo") is None:
        raise KpioError(f"missing: cargo{user and f', which {user} needs'}\n{RUST}", MISSING)
    crate = ROOT / "engines" / name
    inputs = [crate / "Cargo.toml", crate / "Cargo.lock", *sorted(crate.glob("src/*.rs"))]
    folder = cache_folder("engines") / f"{name}-{inputs_key(rustc_version(), *inputs)}"
    if not folder.exists():
        make(name, what, folder)
    return folder / f"kpio-{name}"
