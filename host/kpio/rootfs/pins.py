"""host/rootfs.txt: which Debian packages the root file system holds, each with its version and checksum.

    want GROUP NAME ...                 what a group is made of
    source GROUP NAME FILE SHA256 BYTES MEMBER PLACE
                                        what of the package's source goes to a place in the root, where no package has it
    pin NAME VERSION SHA256 BYTES       the packages that this takes, dependencies included
"""
from __future__ import annotations

import re
from dataclasses import dataclass

from .. import command
from ..errors import MISSING, KpioError
from ..paths import ROOT

FILE = ROOT / "host" / "rootfs.txt"
# Packages that Debian's others depend on for their installation scripts, which are not run here.
LEFT_OUT = {"debconf", "debconf-2.0", "dpkg", "install-info", "init-system-helpers", "perl", "sensible-utils", "passwd", "adduser",
            "util-linux-extra", "libc-dev-bin", "python3-distutils", "media-types", "mime-support", "login", "usr-is-merged", "usrmerge"}


@dataclass(frozen=True)
class Pin:
    name: str
    version: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Source:
    """A folder of the archive that the package `name` is built from; its upstream version and checksum change with the package's."""

    name: str
    file: str
    sha256: str
    size: int
    member: str
    place: str


@dataclass(frozen=True)
class Pins:
    wants: dict[str, list[str]]
    sources: dict[str, list[Source]]  # by group
    pins: dict[str, Pin]


def read() -> Pins:
    wants: dict[str, list[str]] = {}
    sources: dict[str, list[Source]] = {}
    pins: dict[str, Pin] = {}
    for number, line in enumerate(FILE.read_text().splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "want" and len(words) > 2:
            wants.setdefault(words[1], []).extend(words[2:])
        elif words[0] == "source" and len(words) == 8 and checked(*words[4:6]):
            sources.setdefault(words[1], []).append(Source(*words[2:5], int(words[5]), *words[6:]))
        elif words[0] == "pin" and len(words) == 5 and checked(*words[3:]):
            pins[words[1]] = Pin(*words[1:4], int(words[4]))
        else:
            raise KpioError(f"{FILE}:{number}: 'want GROUP NAME ...', 'source GROUP NAME FILE SHA256 BYTES MEMBER PLACE' or "
                            "'pin NAME VERSION SHA256 BYTES' is expected")
    for source in [source for listed in sources.values() for source in listed]:
        if source.name not in pins:
            raise KpioError(f"{FILE}: a source of {source.name}, which is not pinned (./kpio rootfs --update)")
    return Pins(wants, sources, pins)


def checked(sha256: str, size: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", sha256) is not None and size.isdigit()


def stanza(name: str) -> dict[str, str]:
    """What apt knows of the newest version of a package."""
    shown = command.run(["apt-cache", "show", "--no-all-versions", name], limit=60)
    fields = {}
    for line in shown.lines:
        found = re.match(r"([A-Z][A-Za-z0-9-]*): (.*)", line)
        if found:
            fields.setdefault(found[1], found[2])
    return fields if shown.status == 0 else {}


def dependencies(fields: dict[str, str]) -> list[list[str]]:
    """Alternatives of each dependency, without versions."""
    listed = ", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
    return [[re.sub(r"[ (:].*", "", part.strip()) for part in one.split("|")] for one in listed.split(",") if one.strip()]


def resolve(names: list[str]) -> dict[str, dict[str, str]]:
    """The packages that these names take, with what apt says of each."""
    found: dict[str, dict[str, str]] = {}
    provided: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in found or name in provided or name in LEFT_OUT:
            continue
        fields = stanza(name)
        if not fields:
            raise KpioError(f"{name}: no such package in apt's lists (apt-get update, on Debian 12)", MISSING)
        found[name] = fields
        provided.update(re.sub(r"[ (].*", "", part.strip()) for part in fields.get("Provides", "").split(","))
        for alternatives in dependencies(fields):
            if not any(other in found or other in provided or other in LEFT_OUT for other in alternatives):
                waiting.append(alternatives[0])
    return found


def write(wants: dict[str, list[str]]) -> int:
    """Pins the newest versions of all that the wanted names take. Returns how many packages that are."""
    kept = [line for line in FILE.read_text().splitlines() if not line.startswith("pin ")]
    found = resolve([name for names in wants.values() for name in names])
    lines = [f"pin {name} {fields['Version']} {fields['SHA256']} {fields['Size']}" for name, fields in sorted(found.items())]
    FILE.write_text("\n".join(kept + lines) + "\n")
    return len(lines)
