"""Disk images made on the fly: partition tables with blocks of any size."""
import struct
import uuid
import zlib
from pathlib import Path

LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
ENTRIES, ENTRY_SIZE = 128, 128


def blank(path: Path, mib: int) -> Path:
    with open(path, "wb") as image:
        image.truncate(mib << 20)
    return path


def gpt(path: Path, partitions, block: int = 512) -> Path:
    """Writes a GPT; partitions are (first, blocks) in logical blocks."""
    count = path.stat().st_size // block
    array = bytearray(ENTRIES * ENTRY_SIZE)
    for index, (first, blocks) in enumerate(partitions):
        guid = uuid.UUID(int=index + 1)
        array[index * ENTRY_SIZE:index * ENTRY_SIZE + 56] = \
            LINUX_DATA.bytes_le + guid.bytes_le + struct.pack("<QQQ", first, first + blocks - 1, 0)
    array_blocks = len(array) // block

    def header(mine: int, other: int, entries: int) -> bytes:
        made = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, mine, other, 2 + array_blocks,
                           count - 2 - array_blocks, uuid.UUID(int=99).bytes_le, entries, ENTRIES, ENTRY_SIZE, zlib.crc32(array))
        return made[:16] + struct.pack("<I", zlib.crc32(made)) + made[20:]

    with open(path, "r+b") as image:
        for at, data in ((0, mbr_block([(0xEE, 1, min(count - 1, 0xFFFFFFFF))])), (1, header(1, count - 1, 2)), (2, array),
                         (count - 1 - array_blocks, array), (count - 1, header(count - 1, 1, count - 1 - array_blocks))):
            image.seek(at * block)
            image.write(data)
    return path


def mbr_block(entries) -> bytes:
    """A block 0 with primary entries (type, first, blocks)."""
    made = bytearray(512)
    for index, (kind, first, blocks) in enumerate(entries):
        made[446 + 16 * index:462 + 16 * index] = struct.pack("<B3sB3sII", 0, b"", kind, b"", first, blocks)
    made[510:] = b"\x55\xaa"
    return bytes(made)


def write_at(path: Path, offset: int, data: bytes) -> Path:
    with open(path, "r+b") as image:
        image.seek(offset)
        image.write(data)
    return path
