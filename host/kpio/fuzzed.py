"""The disks of the system-call fuzzer (tests/guest/fuzz.c): the file systems that it works on, and whether they are still sound."""
from __future__ import annotations

from pathlib import Path

from . import command
from .machine import Disk

RAW_MIB, VOLUME_MIB = 8, 64
E2FSCK, FSCK_FAT = ("e2fsck", "-fn"), ("fsck.fat", "-n")
# name, how it is made, how it is checked: ext4 as it is made today, with neither extents nor journal, FAT32.
VOLUMES = (("ext4", ("mkfs.ext4", "-q", "-F"), E2FSCK),
           ("ext4-plain", ("mkfs.ext4", "-q", "-F", "-O", "^extent,^64bit,^has_journal"), E2FSCK),
           ("fat32", ("mkfs.fat", "-F", "32"), FSCK_FAT))


def make_disks(folder: Path) -> tuple:
    """vda is raw; the volumes follow."""
    for name, mib in (("raw", RAW_MIB), *((volume[0], VOLUME_MIB) for volume in VOLUMES)):
        with open(folder / name, "wb") as image:
            image.truncate(mib << 20)
    for name, make, _ in VOLUMES:
        command.check([*make, str(folder / name)])
    return tuple(Disk(folder / name, durable=False) for name in ("raw", *(volume[0] for volume in VOLUMES)))


def flaw(image: Path, check: tuple) -> str:
    """What the program finds wrong with a volume; "": nothing."""
    result = command.run([*check, str(image)], limit=command.LIMIT)
    return "" if result.status == 0 else f"{check[0]} exits with {result.status}\n{result.tail()}"


def examine_disks(folder: Path) -> list[tuple[str, str]]:
    """After the guest has ended well: each volume's name, and what is wrong with it ("": nothing)."""
    return [(name, flaw(folder / name, check)) for name, _, check in VOLUMES]
