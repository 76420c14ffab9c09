"""The newc cpio archive, as the kernel reads it: written for guests, read to see what an initrd holds."""
from __future__ import annotations

from dataclasses import dataclass, field

from .errors import KpioError

MAGIC = b"070701"
HEADER = 110
TRAILER = "TRAILER!!!"
FILE, FOLDER = 0o100000, 0o040000


@dataclass
class Entry:
    name: str
    data: bytes = b""
    mode: int = FILE | 0o644
    header: int = field(default=0, compare=False)  # where it stands in the archive that it was read from
    offset: int = field(default=0, compare=False)  # of the data

    @property
    def is_file(self) -> bool:
        return self.mode & 0o170000 == FILE

    @property
    def end(self) -> int:
        """Where the next header stands."""
        return self.offset + len(self.data) + -(self.offset + len(self.data)) % 4


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def pack_entry(entry: Entry, inode: int) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 1 if entry.is_file else 2
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = MAGIC + b"".join(b"%08x" % field for field in fields)
    return padded(header + name) + padded(entry.data)


def pack(entries: list[Entry]) -> bytes:
    """The archive of these entries in this order, the same bytes each time."""
    body = b"".join(pack_entry(entry, inode) for inode, entry in enumerate(entries, 1))
    return body + pack_entry(Entry(TRAILER, mode=0), 0)


def unpack(archive: bytes) -> list[Entry]:
    """The entries of an archive; one that is not well formed is refused with the offset of the flaw."""
    entries, at = [], 0
    while True:
        header = archive[at:at + HEADER]
        if len(header) < HEADER or not header.startswith(MAGIC):
            raise KpioError(f"cpio archive: no newc header at offset {at}")
        try:
            fields = [int(header[6 + 8 * i:14 + 8 * i], 16) for i in range(13)]
        except ValueError:
            raise KpioError(f"cpio archive: a field of the header at offset {at} is not hexadecimal") from None
        mode, size, name_size = fields[1], fields[6], fields[11]
        name_end = at + HEADER + name_size
        start = name_end + -name_end % 4
        if name_size == 0 or start + size > len(archive):
            raise KpioError(f"cpio archive: the entry at offset {at} goes past the end")
        name = archive[at + HEADER:name_end - 1].decode(errors="replace")
        if name == TRAILER:
            return entries
        entries.append(Entry(name.removeprefix("./").lstrip("/"), archive[start:start + size], mode,
                             at, start))
        at = start + size + -(start + size) % 4
