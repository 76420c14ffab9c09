"""A guest that runs Linux programs (tests/linux/runner/run.c): what goes into its boot archive, and how each of them ended."""
from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from . import cpio
from .paths import ROOT

sys.path.insert(0, str(ROOT / "mk"))
import initrd as archives  # noqa: E402

APPEND = "kpio.test=linux"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "dumb", "LANG": "C.UTF-8"}
BEGIN, END = re.compile(r"LINUX begin (\S+)$"), re.compile(r"LINUX end (\S+) (0x[0-9a-f]+)$")


@dataclass(frozen=True)
class Command:
    """A program of the guest's root, with its arguments."""

    arguments: tuple  # the first is the program's name and, unless `program` says another, its path
    environment: dict = field(default_factory=dict)
    directory: str = "/"
    program: str = ""
    one_output: bool = False  # its error output is its output (drivers/console/hostrun)

    def words(self) -> list[str]:
        environment = [f"e{key}={value}" for key, value in {**ENVIRONMENT, **self.environment}.items()]
        one = ["o"] if self.one_output else []
        return [*environment, *one, f"d{self.directory}", *(f"a{word}" for word in self.arguments), f"g{self.program or self.arguments[0]}"]


def archive(raw: bytes, commands: list[Command], files: dict[str, bytes], more: dict[str, bytes] = {}) -> bytes:
    """The boot archive `raw` with these commands, these files to be put into the root, and more of the archive's own."""
    entries = [(entry.name, entry.data) for entry in cpio.unpack(raw) if entry.name not in (".pad", cpio.TRAILER)]
    script = "".join(f"{word}\0" for command in commands for word in command.words())
    if commands:
        entries.append(("linux/commands", script.encode("utf-8", "surrogateescape")))
    return archives.pack(entries + [(f"rootfs{place}", data) for place, data in sorted(files.items())] + sorted(more.items()))


@dataclass
class Ran:
    """What a command printed, and its wait status: None, it did not end."""

    program: str
    lines: list
    status: int | None = None

    @property
    def code(self) -> int | None:
        """As a shell tells it."""
        return None if self.status is None else self.status >> 8 if self.status & 0x7f == 0 else 128 + (self.status & 0x7f)


def runs(lines: list[str]) -> list[Ran]:
    """The commands of a console, in order."""
    found: list[Ran] = []
    running = False
    for line in lines:
        begin, end = BEGIN.search(line), END.search(line)
        if begin:
            found.append(Ran(begin[1], []))
            running = True
        elif end and running:
            if line[:end.start()]:
                found[-1].lines.append(line[:end.start()])  # it ended in the middle of a line
            found[-1].status, running = int(end[2], 16), False
        elif running:
            found[-1].lines.append(line)
    return found
