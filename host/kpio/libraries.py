"""What a Linux program needs to run in a guest: its loader and shared libraries. Those that the root file system has are its own;
the others are brought along from this machine."""
from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from .errors import MISSING, USAGE, KpioError

MAGIC, AMD64 = b"\177ELF", 62
EXECUTABLE, SHARED = 2, 3
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_RPATH, DT_RUNPATH = 1, 5, 15, 29
MULTIARCH = "usr/lib/x86_64-linux-gnu"  # where the loader of Debian looks by itself
FOLDERS = (MULTIARCH, "lib/x86_64-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib")


@dataclass
class Program:
    """What the headers of an ELF file say."""

    interpreter: str = ""
    needed: list = field(default_factory=list)
    search: list = field(default_factory=list)  # folders, "$ORIGIN" in them replaced


def read(file: Path) -> Program:
    """The headers of a program or library for this system; a KpioError says what else the file is."""
    try:
        elf = file.read_bytes()
    except OSError as error:
        raise KpioError(f"{file}: {error.strerror}", USAGE) from None
    if elf[:4] != MAGIC:
        raise KpioError(f"{file} is no ELF file for Linux, no WebAssembly and no script (.js): `kpio run` runs those", USAGE)
    try:
        kind, machine = struct.unpack_from("<HH", elf, 16)
        if elf[4:6] != b"\2\1" or machine != AMD64:
            raise KpioError(f"{file} is an ELF file for another machine than x86-64", USAGE)
        if kind not in (EXECUTABLE, SHARED):
            raise KpioError(f"{file} is an ELF file, but no program: it is not linked", USAGE)
        return headers(elf, file)
    except (struct.error, ValueError, OverflowError):
        raise KpioError(f"{file} is a damaged ELF file", USAGE) from None


def headers(elf: bytes, file: Path) -> Program:
    at, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    segments = [struct.unpack_from("<IIQQQQ", elf, at + i * size) for i in range(count)]
    if any(kind == PT_LOAD and offset + length > len(elf) for kind, _, offset, _, _, length in segments):
        raise ValueError("it ends before its segments do")
    found = Program()
    for kind, _, offset, _, _, length in segments:
        if kind == PT_INTERP:
            found.interpreter = elf[offset:offset + length].rstrip(b"\0").decode(errors="surrogateescape")
        elif kind == PT_DYNAMIC:
            add_dynamic(elf, segments, list(struct.iter_unpack("<QQ", elf[offset:offset + length - length % 16])), file, found)
    return found


def add_dynamic(elf: bytes, segments: list, entries: list, file: Path, found: Program) -> None:
    address = next((value for tag, value in entries if tag == DT_STRTAB), 0)
    for kind, _, offset, start, _, length in segments:
        if kind == PT_LOAD and start <= address < start + length:
            strings = offset + address - start
            break
    else:
        return

    def text(at: int) -> str:
        return elf[strings + at:elf.index(b"\0", strings + at)].decode(errors="surrogateescape")

    found.needed = [text(value) for tag, value in entries if tag == DT_NEEDED]
    for tag, value in entries:
        if tag in (DT_RPATH, DT_RUNPATH):
            origin = str(file.resolve().parent)
            found.search += [word.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for word in text(value).split(":") if word]


def has(root: Path, place: str) -> bool:
    """Whether the root has this file; links are followed within it."""
    at = root
    parts = [part for part in place.split("/") if part]
    for _ in range(40):
        while parts:
            at = at / parts.pop(0)
            if at.is_symlink():
                break
        else:
            return at.is_file()
        target = str(at.readlink())
        at = root if target.startswith("/") else at.parent
        parts = [part for part in target.split("/") if part] + parts
    return False


def brought(file: Path, program: Program, root: Path) -> dict[str, bytes]:
    """The files that the program needs and the root has not, by their places in it."""
    files: dict[str, bytes] = {}
    if not has(root, program.interpreter):
        if not Path(program.interpreter).is_file():
            raise KpioError(f"{file} needs the loader {program.interpreter}, which neither the root nor this machine has", MISSING)
        files[program.interpreter] = Path(program.interpreter).read_bytes()
        if "ld-linux" not in program.interpreter:
            return files  # another C library, with other places: what the loader does not find it says
    waiting = [(name, program.search, file) for name in program.needed]
    known: set[str] = set()
    while waiting:
        name, search, wanted_by = waiting.pop()
        if name in known or any(has(root, f"{folder}/{name}") for folder in FOLDERS):
            continue
        known.add(name)
        places = [Path(folder, name) for folder in (*search, *(f"/{folder}" for folder in FOLDERS))]
        here = next((place for place in places if place.is_file()), None)
        if here is None:
            raise KpioError(f"{wanted_by} needs {name}, which neither the root nor this machine has", MISSING)
        files[f"/{MULTIARCH}/{name}"] = here.read_bytes()
        library = read(here)
        waiting += [(more, library.search + search, here) for more in library.needed]
    return files
