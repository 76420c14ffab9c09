"""An ext4 image of a root file system."""
from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path

from .. import command, progress
from ..paths import cache_folder, inputs_key
from . import tree

SPARE_MIB = 256  # room for what programs write


def content_mib(folder: Path) -> int:
    """Room that the files take in blocks of 4 KiB, with a block for each name."""
    total = 0
    for at, folders, files in os.walk(folder):
        for name in folders + files:
            total += 4096 + math.ceil(os.lstat(os.path.join(at, name)).st_size / 4096) * 4096
    return math.ceil(total / (1 << 20))


def cached(groups: tuple[str, ...]) -> Path:
    """The image in the cache; not to be written to."""
    folder = tree.make(*groups)
    kept = cache_folder("rootfs-images") / f"{folder.name}-{inputs_key(str(SPARE_MIB))}.ext4"
    if not kept.exists():
        size = content_mib(folder) * 9 // 8 + SPARE_MIB
        with progress.step(f"Making an image of it, {size} MiB"), tempfile.TemporaryDirectory(dir=kept.parent) as name:
            made = Path(name, "image")
            command.check(["mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "linux-root", "-E", "root_owner=0:0,lazy_itable_init=0", "-d",
                           str(folder), str(made), f"{size}M"], limit=1800)
            os.rename(made, kept)
    return kept


def make(groups: tuple[str, ...], out: Path) -> Path:
    """A copy of one's own."""
    shutil.copyfile(cached(groups), out)
    return out
