"""A GUID partition table with its protective MBR (UEFI specification 2.10, chapter 5)."""
from __future__ import annotations

import binascii
import struct
import uuid
from dataclasses import dataclass

SECTOR = 512
ENTRIES, ENTRY_BYTES = 128, 128
TABLE_SECTORS = ENTRIES * ENTRY_BYTES // SECTOR
FIRST_USABLE = 2 + TABLE_SECTORS
ALIGNMENT = 2048  # sectors: 1 MiB

BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
LINUX_FILES = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")  # ext4 has no type of its own


@dataclass(frozen=True)
class Partition:
    name: str
    type: uuid.UUID
    first: int  # sector
    sectors: int


def entry(partition: Partition) -> bytes:
    name = partition.name.encode("utf-16-le").ljust(72, b"\0")
    last = partition.first + partition.sectors - 1
    return struct.pack("<16s16sQQQ72s", partition.type.bytes_le, uuid.uuid4().bytes_le, partition.first, last, 0, name)


def header(disk: uuid.UUID, here: int, other: int, table: int, sectors: int, table_crc: int) -> bytes:
    def pack(crc: int) -> bytes:
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, here, other, FIRST_USABLE,
                           sectors - TABLE_SECTORS - 2, disk.bytes_le, table, ENTRIES, ENTRY_BYTES, table_crc)
    return pack(binascii.crc32(pack(0))).ljust(SECTOR, b"\0")


def protective_mbr(sectors: int, boot_code: bytes) -> bytes:
    """One entry of type 0xee over the whole disk, behind up to 440 bytes of boot code."""
    whole = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF))
    return boot_code[:440].ljust(446, b"\0") + whole.ljust(64, b"\0") + b"\x55\xaa"


def write(file, sectors: int, partitions: list[Partition], boot_code: bytes = b"") -> None:
    """Writes both copies into an open file of that many sectors."""
    table = b"".join(entry(partition) for partition in partitions).ljust(ENTRIES * ENTRY_BYTES, b"\0")
    disk, crc, last = uuid.uuid4(), binascii.crc32(table), sectors - 1
    file.seek(0)
    file.write(protective_mbr(sectors, boot_code) + header(disk, 1, last, 2, sectors, crc) + table)
    file.seek((last - TABLE_SECTORS) * SECTOR)
    file.write(table + header(disk, last, 1, last - TABLE_SECTORS, sectors, crc))
