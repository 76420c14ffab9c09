"""Reads protocols/*.def. Whatever is wrong is reported as FILE:LINE: what."""
import re
from dataclasses import dataclass, field
from pathlib import Path

from definition import KINDS, RIGHTS, fail

POLICIES = ("retry", "replay", "error")
SCALARS = {"u32": "uint32_t", "u64": "uint64_t", "i64": "int64_t"}
PAYLOAD_MAX = 4096


@dataclass
class Field:
    name: str
    type: str                # u32 u64 i64 text bytes handle
    size: int = 0            # of text and bytes
    kind: str = ""
    rights: list = field(default_factory=list)


@dataclass
class Message:
    name: str
    number: int
    policy: str
    text: str = ""
    request: list = field(default_factory=list)
    reply: list = field(default_factory=list)


@dataclass
class Protocol:
    name: str
    id: int
    path: Path
    text: str = ""
    messages: list = field(default_factory=list)


def parse_field(path: Path, line: int, text: str) -> Field:
    match = re.fullmatch(r"([a-z][a-z0-9_]*):([a-z0-9]+)(?:\(([^)]*)\))?", text)
    if not match:
        fail(path, line, f"expected FIELD:TYPE, found {text!r}")
    name, kind, inner = match.groups()
    if kind in SCALARS and inner is None:
        return Field(name, kind)
    if kind in ("text", "bytes") and inner and inner.isdigit() and 0 < int(inner) <= PAYLOAD_MAX:
        return Field(name, kind, int(inner))
    if kind == "handle" and inner:
        object_kind, _, rights = inner.partition(",")
        rights = [right for right in rights.split("+") if right]
        if object_kind in KINDS and all(right in RIGHTS for right in rights):
            return Field(name, kind, 0, object_kind, rights)
    fail(path, line, f"{name}: unknown or incomplete type in {text!r}")


def parse_fields(path: Path, line: int, text: str) -> list:
    fields = [parse_field(path, line, word) for word in text.split()]
    data = [f for f in fields if f.type != "handle"]
    if any(f.type == "bytes" for f in data[:-1]):
        fail(path, line, "bytes(N) must be the last field: its length varies")
    if len(fields) - len(data) > 4:
        fail(path, line, "a message carries at most 4 handles")
    if sum({"text": f.size, "bytes": f.size + 8}.get(f.type, 8) for f in data) > PAYLOAD_MAX:
        fail(path, line, f"more than {PAYLOAD_MAX} bytes")
    if len({f.name for f in fields}) != len(fields):
        fail(path, line, "a field name is used twice")
    return fields


def parse_line(path: Path, line: int, text: str, protocol) -> None:
    word, _, rest = text.strip().partition(" ")
    message = protocol.messages[-1] if protocol.messages else None
    if text[0].isspace():
        if message and word in ("request", "reply"):
            setattr(message, word, parse_fields(path, line, rest))
        else:
            target = message or protocol
            target.text += (" " if target.text else "") + text.strip()
        return
    match = re.fullmatch(r"message ([a-z][a-z0-9_]*) (\d+) lost ([a-z]+)", text.rstrip())
    if not match or match[3] not in POLICIES or not 0 < int(match[2]) < 256:
        fail(path, line, f"expected 'message NAME NUMBER lost {'|'.join(POLICIES)}', found {text!r}")
    if any(m.name == match[1] or m.number == int(match[2]) for m in protocol.messages):
        fail(path, line, f"message {match[1]} or its number is defined twice")
    protocol.messages.append(Message(match[1], int(match[2]), match[3]))


def read_protocol(path: Path) -> Protocol:
    protocol = None
    for line, text in enumerate(path.read_text().splitlines(), 1):
        if text[:1] in ("#", ""):
            continue
        if protocol:
            parse_line(path, line, text, protocol)
            continue
        match = re.fullmatch(r"protocol ([a-z][a-z0-9_]*) (\d+)", text.rstrip())
        if not match or not 0 < int(match[2]) < 256:
            fail(path, line, f"expected 'protocol NAME ID', found {text!r}")
        protocol = Protocol(match[1], int(match[2]), path)
    if protocol is None:
        fail(path, 1, "empty: expected 'protocol NAME ID'")
    return protocol


def read_protocols(folder: Path) -> list:
    protocols = [read_protocol(path) for path in sorted(folder.glob("*.def"))]
    seen = {}
    for protocol in protocols:
        if protocol.id in seen:
            fail(protocol.path, 1, f"id {protocol.id} is that of {seen[protocol.id]} too")
        seen[protocol.id] = protocol.name
    return protocols
