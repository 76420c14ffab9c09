"""File systems in WebAssembly (docs/fuse.md, `--fs`): drivers compiled before the guest boots, and what its boot archive needs for them."""
from __future__ import annotations

import copy
import os
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from . import apps, engine, linuxguest, packages, wasm
from .build import Build
from .errors import USAGE, KpioError
from .machine import Disk, Machine
from .paths import ROOT

SDK, SAMPLES = ROOT / "apps" / "sdk" / "fs", ROOT / "apps" / "fs"
FLAGS = ["-O3"]
PLACE = f"{engine.BOOT}/fs"  # where the boot archive has them
MOST = 4
SECTION = "kpio_fs"          # a driver's custom section with words about it (apps/sdk/fs/fs.h)
FORM = "DRIVER.wasm[=FILE[,rw]]::GUEST[::ro]"


@dataclass(frozen=True)
class FileSystem:
    """A driver, what it gets as its disk, and where its files are in the guest."""

    driver: Path
    guest: str
    image: Optional[Path] = None
    writes: bool = False
    read_only: bool = False


def add_argument(group) -> None:
    group.add_argument("--fs", action="append", default=[], metavar=FORM,
                       help=f"a file system whose driver is WebAssembly (apps/fs), with FILE as its disk, at GUEST; at most {MOST}")


def parse(text: str) -> FileSystem:
    """`,rw`: the driver may write to FILE. `::ro`: the mount is read only."""
    driver, *more = text.split("::")
    name, equals, image = driver.partition("=")
    writes = image.endswith(",rw")
    image = image.removesuffix(",rw")
    if not name or len(more) not in (1, 2) or more[1:] not in ([], ["ro"]) or (equals and not image):
        raise KpioError(f"--fs {text}: {FORM} is expected", USAGE)
    if not more[0].startswith("/") or os.path.normpath(more[0]).strip("/") == "" or ".." in more[0].split("/"):
        raise KpioError(f"--fs {text}: a file system is mounted below the root, by an absolute path without ..", USAGE)
    if not wasm.is_binary(Path(name)):
        raise KpioError(f"--fs {text}: {name} is no WebAssembly module", USAGE)
    if image and not os.access(image, os.R_OK | (os.W_OK if writes else 0)) or image and not Path(image).is_file():
        raise KpioError(f"--fs {text}: {image}: no file that may be {'written' if writes else 'read'}", USAGE)
    place, disk = os.path.normpath(more[0]).replace("//", "/"), Path(image).resolve() if image else None
    return FileSystem(Path(name), place, disk, writes, bool(more[1:]))


def parse_all(texts: list[str], taken: list = []) -> list[FileSystem]:
    """`taken`: folders that are mounted too."""
    found = [parse(text) for text in texts]
    if len(found) + len(taken) > MOST:
        raise KpioError(f"--fs, --dir: at most {MOST} file systems and folders", USAGE)
    places = [share.guest for share in taken] + [system.guest for system in found]
    for place in places:
        if places.count(place) > 1:
            raise KpioError(f"--fs, --dir: two of them at {place}", USAGE)
    return found


# ---- what a module says of itself ----------------------------------------------------------------------------------------------

def number_at(data: bytes, at: int) -> tuple[int, int]:
    """LEB128, and where it ends."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7f) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def words_of(module: bytes) -> list[str]:
    """The custom section's, one behind the other with NULs."""
    at = 8
    try:
        while at < len(module):
            kind, (size, body) = module[at], number_at(module, at + 1)
            length, name = number_at(module, body) if kind == 0 else (0, 0)
            if kind == 0 and module[name:name + length] == SECTION.encode():
                return [word.decode() for word in module[name + length:body + size].split(b"\0") if word]
            at = body + size
    except (IndexError, UnicodeDecodeError):
        pass  # wasmc says what is wrong with it
    return []


def sample(name: str) -> Path:
    """A driver of apps/fs, as `kpio app build` makes it."""
    inputs = [file for folder in (SAMPLES / name, SDK) for file in sorted(folder.glob("*.[ch]"))]
    sources = [file for file in inputs if file.suffix == ".c"]
    return apps.kept(f"{name}.wasm", lambda made: apps.build(sources, made, FLAGS), ROOT / "abi" / "fuse.h", *inputs)


def boot_files(drivers: dict[str, Path]) -> dict[str, bytes]:
    """For the boot archive: the host, and these drivers by their names, compiled."""
    packages.require("wasm", "apps")
    full = engine.programs()
    files = {f"{PLACE}/{name}.aot": engine.artifact(module, wasm.BEFORE_CPU, full).read_bytes() for name, module in drivers.items()}
    return {f"{engine.BOOT}/wasmhost": (engine.programs("runtime") / "boot" / "wasmhost").read_bytes(), **files}


# ---- mounts of a guest -----------------------------------------------------------------------------------------------------------

class Mounted:
    """A context manager: a build whose boot archive has these drivers, a machine with their disks, and what the command line says of them.

    `places`: where each is mounted, by default where it says."""

    def __init__(self, build: Build, machine: Machine, systems: list[FileSystem], places: Optional[list[str]] = None):
        self.build, self.machine, self.words = build, machine, ""
        self.systems, self.places = systems, places or [system.guest for system in systems]
        self.folder: Optional[tempfile.TemporaryDirectory] = None

    def __enter__(self) -> Mounted:
        if not self.systems:
            return self
        names = ["wasmfs" if number == 1 else f"wasmfs{number}" for number in range(1, len(self.systems) + 1)]
        more = boot_files({name: system.driver for name, system in zip(names, self.systems)})
        self.words = " ".join(self.mount(*each) for each in zip(names, self.places, self.systems))
        self.folder = tempfile.TemporaryDirectory(prefix="kpio-fs-")
        self.build = copy.copy(self.build)
        raw, self.build.initrd = self.build.initrd.read_bytes(), Path(self.folder.name, "initrd.cpio")
        self.build.initrd.write_bytes(linuxguest.archive(raw, [], {}, more))
        return self

    def mount(self, name: str, place: str, system: FileSystem) -> str:
        settings = words_of(system.driver.read_bytes())
        if system.image:
            self.machine, disk = self.machine.with_disk(Disk(system.image, read_only=not system.writes))
            settings += [f"disk:{disk}"] + (["rw"] if system.writes else [])
        said = f" kpio.{name}={','.join(settings)}" if settings else ""
        return f"kpio.mount={name}:{urllib.parse.quote(place)}{':ro' if system.read_only else ''}{said}"

    def __exit__(self, *_: object) -> None:
        if self.folder:
            self.folder.cleanup()
