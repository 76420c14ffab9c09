"""Components of WASI preview 2, made of modules: by a program of pinned crates (engines/component)."""
from __future__ import annotations

from pathlib import Path

from . import command, crate
from .errors import BUILD, KpioError

LIMIT = 1800


def encode(module: Path, made: Path) -> None:
    """A component that exports wasi:cli/run, of a WASI command."""
    program = crate.program("component", "what makes components", "--component")
    ran = command.run([str(program), str(module), str(made)], limit=LIMIT)
    if ran.status != 0:
        raise KpioError(f"no component can be made:\n{ran.tail()}", BUILD)
