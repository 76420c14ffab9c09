#!/usr/bin/env python3
"""Writes the boot archive: initrd.py OUTPUT NAME=FILE ... (cpio, "new ASCII" form; the same bytes each time).

Files begin at page boundaries, so that programs are mapped straight from the archive: a file named ".pad" before each
takes up the space.
"""
import sys
from pathlib import Path

PAGE, HEADER = 4096, 110


def entry(name: str, data: bytes, mode: int, inode: int) -> bytes:
    raw = name.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    head += b"\0" * (-len(head) % 4)
    return head + data + b"\0" * (-len(data) % 4)


def head_size(name: str) -> int:
    size = HEADER + len(name.encode()) + 1
    return size + -size % 4


def pack(files: list) -> bytes:
    archive = bytearray()
    for inode, (name, data) in enumerate(files, 1):
        if len(data) >= PAGE:
            behind_pad = len(archive) + head_size(".pad") + head_size(name)
            archive += entry(".pad", b"\0" * (-behind_pad % PAGE), 0o100400, 0)
        mode = 0o100755 if data.startswith(b"\x7fELF") else 0o100644
        archive += entry(name, data, mode, inode)
    archive += entry("TRAILER!!!", b"", 0, 0)
    return bytes(archive + b"\0" * (-len(archive) % PAGE))


def main() -> int:
    output, files = Path(sys.argv[1]), []
    for argument in sys.argv[2:]:
        name, _, path = argument.partition("=")
        files.append((name.lstrip("/"), Path(path).read_bytes()))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(pack(files))
    return 0


if __name__ == "__main__":
    sys.exit(main())
