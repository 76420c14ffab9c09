"""What QEMU's blklogwrites recorded of a disk, and the disks that a power cut may leave of it."""
from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

FLUSH, FUA, DISCARD = 1, 2, 4
WORD = 8


@dataclass(frozen=True)
class Entry:
    sector: int  # of 512 bytes, as the log's sectors are
    flags: int
    data: bytes


def read(log: Path) -> list[Entry]:
    """A sector of numbers (magic, version, how many, bytes of a sector), then for each entry one with sector, sectors and flags, and
    its data, but for discards."""
    raw, found = log.read_bytes(), []
    entries, size = int.from_bytes(raw[2 * WORD:3 * WORD], "little"), int.from_bytes(raw[3 * WORD:3 * WORD + 4], "little")
    at = size
    for _ in range(entries):
        sector, sectors, flags = (int.from_bytes(raw[at + n * WORD:at + (n + 1) * WORD], "little") for n in range(3))
        at += size
        held = 0 if flags & DISCARD else sectors * size
        found.append(Entry(sector * size // 512, flags, raw[at:at + held]))
        at += held
    return found


def cut(before: Path, entries: list[Entry], count: int, chance: random.Random, out: Path) -> None:
    """The disk when the power went after that many entries: all that was flushed, and any of what was written since."""
    shutil.copyfile(before, out)
    flushed = max((number + 1 for number, entry in enumerate(entries[:count]) if entry.flags & FLUSH), default=0)
    with open(out, "r+b") as disk:
        for number, entry in enumerate(entries[:count]):
            if number >= flushed and not entry.flags & FUA and chance.random() < 0.5:
                continue
            disk.seek(entry.sector * 512)
            disk.write(entry.data)
