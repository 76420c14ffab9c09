"""Debian's files, as they were pinned, kept in the cache."""
from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path
from typing import Sequence

from .. import command
from ..errors import MISSING, KpioError
from ..paths import cache_folder
from . import pins

LIMIT = 900  # seconds; of a slow mirror


def package(pin: pins.Pin) -> Path:
    """The package's file."""
    kept = cache_folder("debs") / f"{pin.name}_{pin.version.replace(':', '%3a')}.deb"
    return fetched(kept, ["apt-get", "download", f"{pin.name}={pin.version}"], f"{pin.name} {pin.version}", pin.sha256)


def source(wanted: pins.Source, pin: pins.Pin) -> Path:
    """The source's archive: it lies beside the package in Debian's pool."""
    kept = cache_folder("debs") / wanted.file
    if kept.exists():
        return fetched(kept, [], wanted.file, wanted.sha256)
    shown = command.run(["apt-get", "download", "--print-uris", f"{pin.name}={pin.version}"], limit=LIMIT)
    found = re.search(r"'(\S+/)[^/']+'", shown.lines[0]) if shown.status == 0 and shown.lines else None
    if not found:
        raise KpioError(unavailable(f"{pin.name} {pin.version}", shown.tail()), MISSING)
    get = ["/usr/lib/apt/apt-helper", "download-file", found[1] + wanted.file, f"./{wanted.file}", f"SHA256:{wanted.sha256}"]
    return fetched(kept, get, wanted.file, wanted.sha256)


def fetched(kept: Path, get: Sequence[str], name: str, sha256: str) -> Path:
    """The file `kept`, by `get` if it is not there, with this checksum."""
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            got = command.run(get, cwd=Path(folder), limit=LIMIT)
            files = list(Path(folder).iterdir())
            if got.status != 0 or len(files) != 1:
                raise KpioError(unavailable(name, got.tail()), MISSING)
            os.replace(files[0], kept)
    digest = hashlib.sha256(kept.read_bytes()).hexdigest()
    if digest != sha256:
        kept.unlink()
        raise KpioError(f"{name}: its SHA-256 is {digest}, pinned is {sha256}", MISSING)
    return kept


def unavailable(name: str, reason: str) -> str:
    return f"{name} is not to be had: {reason}\nNewer versions are pinned by: ./kpio rootfs --update"
