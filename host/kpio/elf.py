"""The little of an ELF file that the host tools look at: what is loaded, and the names of addresses."""
from __future__ import annotations

import bisect
import struct
from pathlib import Path

from .errors import KpioError

PT_LOAD = 1
SHT_SYMTAB = 2
STT_FUNC, STT_OBJECT = 2, 1


class Elf:
    """A 64-bit little-endian ELF file."""

    def __init__(self, path: Path):
        self.data = path.read_bytes()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise KpioError(f"{path} is not a 64-bit little-endian ELF file")
        (self.segments_at, self.sections_at) = struct.unpack_from("<QQ", self.data, 32)
        self.segment_size, self.segment_count, self.section_size, self.section_count = \
            struct.unpack_from("<4H", self.data, 54)

    def loaded_bytes(self) -> int:
        """Bytes that are loaded from the file: code, constants and initialised data."""
        total = 0
        for index in range(self.segment_count):
            kind, _, _, _, _, size = struct.unpack_from("<IIQQQQ", self.data,
                                                        self.segments_at + index * self.segment_size)
            total += size if kind == PT_LOAD else 0
        return total

    def sections(self):
        """(type, offset, size, link, entry size) of each section."""
        for index in range(self.section_count):
            _, kind, _, _, offset, size, link, _, _, entry = \
                struct.unpack_from("<IIQQQQIIQQ", self.data, self.sections_at + index * self.section_size)
            yield kind, offset, size, link, entry

    def symbols(self, every: bool = False) -> list[tuple[int, str]]:
        """Functions and objects by ascending address; with `every` also what a linker script or assembly names."""
        sections, found = list(self.sections()), []
        for kind, offset, size, link, entry in sections:
            if kind != SHT_SYMTAB:
                continue
            names = sections[link][1]
            for at in range(offset, offset + size, entry):
                name, info, _, section, value = struct.unpack_from("<IBBHQ", self.data, at)
                if section and (every or info & 15 in (STT_FUNC, STT_OBJECT)):
                    end = self.data.index(b"\0", names + name)
                    found.append((value, self.data[names + name:end].decode(errors="replace")))
        return sorted(found)


class Symbols:
    """Names for addresses."""

    def __init__(self, elf: Elf, every: bool = False):
        self.pairs = elf.symbols(every)
        self.addresses = [address for address, _ in self.pairs]

    def name(self, address: int, reach: int = 1 << 20) -> str:
        """The symbol at or before the address with the distance, or the address where there is none near."""
        index = bisect.bisect_right(self.addresses, address) - 1
        if index < 0 or address - self.addresses[index] > reach:
            return f"{address:#x}"
        start, name = self.pairs[index]
        return f"{name}+{address - start:#x}" if address > start else name
