"""Reads abi/syscalls.def and abi/errors.def. Whatever is wrong is reported as FILE:LINE: what."""
import re
from dataclasses import dataclass, field
from pathlib import Path

SYSCALL_BASE = 0x1000
KINDS = ("job process thread vmo aspace endpoint reply event port timer irq mmio dma pci disk directory file pipe "
         "wasm_pool system counter fuse").split()
RIGHTS = ("READ WRITE EXECUTE MAP DUPLICATE TRANSFER CALL RECEIVE MANAGE KILL INSPECT JIT WAIT DEVICE LOG POWER BADGE "
          "EXPIRE AUDIT").split()
SCALARS = "u32 u64 i64 addr size time text".split()
FLAGS = {"fast": 1, "frame": 2, "waits": 4}
ELEMENTS = {"u8": "void", "i32": "int32_t", "u32": "uint32_t", "u64": "uint64_t"}


class DefinitionError(Exception):
    """Text that the definition does not allow; str() says file, line and what."""


@dataclass
class Error:
    name: str
    number: int
    text: str
    when: str


@dataclass
class Argument:
    name: str
    type: str                       # a scalar, or flags, handle, in, out, inout
    optional: bool = False          # handle?: may be 0
    kinds: list = field(default_factory=list)
    rights: list = field(default_factory=list)
    element: str = ""               # of in, out, inout; of flags: the constants' prefix
    length: str = ""                # name of the argument that counts elements


@dataclass
class Syscall:
    name: str
    number: int
    line: int
    arguments: list
    result: str                     # "0", "u64", or "handle"
    result_kind: str
    flags: list
    errors: list
    text: str


def fail(path: Path, line: int, what: str):
    raise DefinitionError(f"{path}:{line}: {what}")


def read_errors(path: Path) -> list:
    pattern = re.compile(r'(E[A-Z0-9]+)\s+(\d+)\s+"([^"]*)"\s*\|\s*(.*)')
    errors, numbers = [], {}
    for line, text in enumerate(path.read_text().splitlines(), 1):
        if text[:1] in ("#", ""):
            continue
        if text[0].isspace():       # continues the text of the line before
            if not errors:
                fail(path, line, "a continuation without an error before it")
            errors[-1].when += " " + text.strip().lstrip("# ")
            continue
        match = pattern.fullmatch(text.rstrip())
        if not match:
            fail(path, line, f'expected NAME number "text" | when, found {text!r}')
        error = Error(match[1], int(match[2]), match[3], match[4].strip())
        if error.number in numbers or error.name in numbers.values():
            fail(path, line, f"{error.name} or its number {error.number} is defined twice")
        numbers[error.number] = error.name
        errors.append(error)
    return errors


def split_arguments(text: str) -> list:
    """Splits at commas outside parentheses."""
    parts, depth, start = [], 0, 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def parse_argument(path: Path, line: int, text: str) -> Argument:
    match = re.fullmatch(r"([a-z_][a-z0-9_]*):([a-z0-9]+)(\??)(?:\((.*)\))?", text)
    if not match:
        fail(path, line, f"expected name:TYPE, found {text!r}")
    name, kind, optional, inner = match[1], match[2], match[3] == "?", match[4]
    if kind in SCALARS and inner is None:
        return Argument(name, kind)
    if inner is None:
        fail(path, line, f"{name}: unknown type {kind!r}, or its (…) is missing")
    if kind == "flags":
        return Argument(name, kind, element=inner)
    first, _, second = (part.strip() for part in inner.partition(","))
    if kind == "handle":
        kinds, rights = first.split("|"), [right for right in second.split("+") if right]
        for item, known in [(k, KINDS + ["any"]) for k in kinds] + [(r, RIGHTS) for r in rights]:
            if item not in known:
                fail(path, line, f"{name}: unknown kind or right {item!r}")
        return Argument(name, kind, optional, kinds, rights)
    if kind in ("in", "out", "inout"):
        if first not in ELEMENTS and not first.startswith("kpio_"):
            fail(path, line, f"{name}: unknown element type {first!r}")
        return Argument(name, kind, element=first, length=second)
    fail(path, line, f"{name}: unknown type {kind!r}")


def parse_syscall(path: Path, line: int, text: str, number: int, errors: set) -> Syscall:
    match = re.fullmatch(r"([a-z][a-z0-9_]*)\((.*)\)\s*->\s*(0|u64|handle\(([a-z_]+)\))\s*:\s*([A-Za-z0-9 ]*)", text)
    if not match:
        fail(path, line, f"expected NAME(ARG, ...) -> RESULT : ERRORS, found {text!r}")
    arguments = [parse_argument(path, line, part) for part in split_arguments(match[2])]
    names = [argument.name for argument in arguments]
    if len(arguments) > 6:
        fail(path, line, f"{match[1]} has {len(arguments)} arguments, at most 6 fit into registers")
    if len(set(names)) != len(names):
        fail(path, line, f"{match[1]}: an argument name is used twice")
    for argument in arguments:
        if argument.length and argument.length not in names:
            fail(path, line, f"{argument.name}: no argument {argument.length!r} for its length")
    words = match[5].split()
    for word in words:
        if word not in FLAGS and word not in errors:
            fail(path, line, f"{word} is neither a flag nor in errors.def")
    return Syscall(match[1], number, line, arguments, match[3].partition("(")[0], match[4] or "",
                   [w for w in words if w in FLAGS], [w for w in words if w not in FLAGS], "")


def read_syscalls(path: Path, errors: list) -> list:
    calls, known = [], {error.name for error in errors}
    for line, text in enumerate(path.read_text().splitlines(), 1):
        if text[:1] in ("#", ""):
            continue
        if text[0].isspace():
            if not calls:
                fail(path, line, "text without a system call before it")
            calls[-1].text += (" " if calls[-1].text else "") + text.strip()
            continue
        call = parse_syscall(path, line, text.rstrip(), SYSCALL_BASE + len(calls), known)
        if any(other.name == call.name for other in calls):
            fail(path, line, f"{call.name} is defined twice")
        calls.append(call)
    return calls


def read_not_yet(path: Path, calls: list) -> list:
    """Names whose handler may still be missing: each gets a weak one that answers ENOSYS."""
    names, known = [], {call.name for call in calls}
    for line, text in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
        name = text.partition("#")[0].strip()
        if not name:
            continue
        if name not in known:
            fail(path, line, f"{name} is not in syscalls.def")
        names.append(name)
    return names
