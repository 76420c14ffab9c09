"""Where things are: the tree, and the cache outside it."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def cache_folder(*parts: str) -> Path:
    """A folder below $XDG_CACHE_HOME/kpio, made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(Path.home(), ".cache")
    folder = Path(base, "kpio", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def keep(made: Path, kept: Path) -> None:
    """Gives a finished folder its place in the cache. Another process may have made the same meanwhile: then that one stays."""
    try:
        os.rename(made, kept)
    except OSError:
        if not kept.is_dir():
            raise


def inputs_key(*inputs: bytes | str | Path) -> str:
    """A short name for what was made from these inputs; a Path stands for its file's content."""
    digest = hashlib.sha256()
    for value in inputs:
        if isinstance(value, Path):
            value = value.read_bytes()
        elif isinstance(value, str):
            value = value.encode()
        digest.update(len(value).to_bytes(8, "little") + value)
    return digest.hexdigest()[:16]
