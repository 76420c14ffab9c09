"""A WebAssembly program of the host, run in a guest: by wasmhost (user/wasmhost), which is a Linux program there. A script runs in
QuickJS, which is such a program."""
from __future__ import annotations

import argparse
import re
import stat
from pathlib import Path

from . import apps, engine, folders, packages, scripts
from .errors import USAGE, KpioError
from .hostrun import FOLDER

SCRIPTS = (".js", ".mjs")
BEFORE_CPU = "x86-64-v2"  # what is compiled here, for any machine that runs the guest
MODULE, TEXTS = b"\0asm", (b"(", b";;")
HOST = f"{FOLDER}/wasmhost"
FLAGS = ("-v", "--verbose", "-h", "--help")  # options that have no value


def beginning(file: Path) -> bytes:
    try:
        if stat.S_ISFIFO(file.stat().st_mode) or stat.S_ISCHR(file.stat().st_mode):
            raise KpioError(f"{file}: a program is a file that can be read more than once, not a device or a pipe", USAGE)
        with open(file, "rb") as opened:
            return opened.read(4096)
    except OSError as error:
        raise KpioError(f"{file}: {error.strerror}", USAGE) from None


def is_binary(file: Path) -> bool:
    return beginning(file).startswith(MODULE)


def is_program(file: Path) -> bool:
    """Whether the file is WebAssembly, binary or text, by its first bytes."""
    return is_binary(file) or beginning(file).lstrip().startswith(TEXTS)


def is_script(file: Path) -> bool:
    return file.suffix in SCRIPTS and file.is_file()


def matching(pattern: str, expected: str, name: str = ""):
    """A type for argparse: the text as it is, if it has this form."""
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise KpioError(f"{name}{text}: {expected}", USAGE)
        return text
    return check


SIZE = (r"\d+([KMG](iB)?)?", "a size such as 64M is expected")
SECONDS = (r"(?=.*[1-9])\d*\.?\d*", "a time in seconds is expected, such as 0.5")
COUNT = (r"\d+", "a number is expected")
TABLE_MAX = 10_000_000  # elements, as user/wasmhost has it
ENGINE_LIMITS = {  # behind -W, as the wasmtime command has them
    "timeout": (r"(?=.*[1-9])\d*\.?\d*(s|ms|us|ns)?", "a time is expected, such as 500ms"),
    "max-memory-size": SIZE, "max-wasm-stack": SIZE, "max-table-elements": COUNT,
    "max-tables": COUNT, "max-memories": COUNT, "max-instances": COUNT,
    "trap-on-grow-failure": (r"y|yes|true|n|no|false", "y or n is expected"),
}
SWITCHES = ("trap-on-grow-failure",)  # which may stand without a value
# The wasmtime command has them, too; and one for each feature of the language.
NOT_OFFERED = {
    "fuel": "--cpu-time bounds what a program may use", "epoch-interruption": "--timeout and --cpu-time stop a program",
    "async-stack-size": "max-wasm-stack is what a program has", "async-stack-zeroing": "no stack is used again",
    "unknown-exports-allow": "exports of any name are", "unknown-imports-trap": "an import that is not there is an error",
    "unknown-imports-default": "an import that is not there is an error", "nan-canonicalization": "NaNs are the processor's",
    "wmemcheck": "clang's sanitizers check a C program before",
}
FEATURE = (r"all-proposals|bulk-memory|multi-memory|multi-value|reference-types|simd|relaxed-simd(-deterministic)?|tail-call|threads|"
           r"shared-memory|shared-everything-threads|memory64|component-model(-[a-z0-9-]+)?|function-references|stack-switching|gc|"
           r"custom-page-sizes|wide-arithmetic|branch-hinting|extended-const|exceptions|gc-support|concurrency-support")


def seconds(text: str) -> float:
    return float(matching(*SECONDS, "--timeout ")(text))


def refuse_engine_option(word: str, name: str) -> None:
    why = NOT_OFFERED.get(name) or ("each feature is on where it runs (docs/webassembly.md)" if re.fullmatch(FEATURE, name) else None)
    if why:
        raise KpioError(f"-W {name}: not offered: {why}", USAGE)
    raise KpioError(f"-W {word}: NAME=VALUE is expected, NAME one of {', '.join(ENGINE_LIMITS)}", USAGE)


def engine_limits(text: str) -> str:
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if name not in ENGINE_LIMITS or not (equals or name in SWITCHES):
            refuse_engine_option(word, name)
        if equals:
            matching(*ENGINE_LIMITS[name], f"-W {name}=")(value)
    return text


def add_options(group) -> None:
    """What only a WebAssembly program can be told."""
    group.add_argument("--mode", choices=("aot", "jit", "interp"),
                       help="compiled here, before; in the guest, when it is loaded (default); or started sooner and run slower")
    group.add_argument("--cpu-time", type=matching(*SECONDS, "--cpu-time "), metavar="SECONDS",
                       help="stop it when it used so much time of processors, with status 124")
    group.add_argument("--files", type=matching(*COUNT, "--files "), metavar="N", help="about how many files it may have open at a time")
    group.add_argument("--argv0", metavar="NAME", help="what it is called, by itself and in messages")
    group.add_argument("-W", action="append", default=[], type=engine_limits, dest="limits", metavar="NAME=VALUE,...",
                       help=f"limits of the engine, as the wasmtime command has them: {', '.join(ENGINE_LIMITS)}")


def given(options: argparse.Namespace) -> list[str]:
    """Those of them that were given, as wasmhost takes them; the mode aside."""
    words = []
    for name in ("cpu-time", "files", "argv0"):
        value = getattr(options, name.replace("-", "_"))
        words += [] if value is None else [f"--{name}", value]
    return words + [word for limit in options.limits for word in ("-W", limit)]


def bound_tables(options: argparse.Namespace, memory_mib: int) -> None:
    """Tables lie on the host's heap in the guest: at most a quarter of its memory, unless other bounds were given (user/wasmhost)."""
    if not options.memory and not any("max-table-elements=" in limit for limit in options.limits):
        options.limits.append(f"max-table-elements={min(TABLE_MAX, (memory_mib << 20) // 4 // 8)}")


def refuse(options: argparse.Namespace, file: Path) -> None:
    """Ends the command where one was given for another program."""
    words = (["--mode"] if options.mode else []) + given(options)
    if words:
        raise KpioError(f"{words[0]}: only a WebAssembly program or a script can be told that; {file} is neither", USAGE)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="kpio run APP.wasm", usage="%(prog)s [options] [--] ARGS",
                                   epilog="`kpio run --help` tells of the guest, whose options stand before the program.")
    add_options(made)
    made.add_argument("--memory", type=matching(*SIZE, "--memory "), metavar="SIZE",
                      help="most of its linear memory; before the program it is the guest's memory")
    made.add_argument("--timeout", type=seconds, metavar="SECONDS", help="stop it after that time, with status 124")
    made.add_argument("--env", action="append", default=[], metavar="KEY[=VALUE]",
                      help="one more for its environment; KEY alone passes on what this command has")
    made.add_argument("-v", "--verbose", action="store_true", help="show what the system says, too")
    folders.add_argument(made)
    made.add_argument("--fs", action="append", default=[])  # as wasmfs.py has it
    return made


def split(words: list[str], before: argparse.Namespace) -> tuple[argparse.Namespace, list[str]]:
    """Options behind the file's name, up to the first word that is none or `--`, with those that stood before it where they are not
    said again; and the program's arguments."""
    at = 0
    while at < len(words) and words[at].startswith("-") and words[at] != "--":
        at += 1 if "=" in words[at] or words[at] in FLAGS else 2
    options, unknown = parser().parse_known_args(words[:at])
    if unknown:
        raise KpioError(f"{unknown[0]}: no option of `kpio run`; the program's own arguments stand behind a --", USAGE)
    for name in ("mode", "cpu_time", "files", "argv0", "timeout"):
        if getattr(options, name) is None:
            setattr(options, name, getattr(before, name))
    options.limits = before.limits + options.limits
    return options, words[at + (at < len(words) and words[at] == "--"):]


def places(shares: list[folders.Share]) -> list[str]:
    """Where the guest's root has the folders that the program is shown: by names of its own, any text."""
    return [f"{FOLDER}/dir{number}" for number in range(len(shares))]


def placed(file: Path, options: argparse.Namespace, arguments: list[str], files: dict) -> tuple[str, str, list[str]]:
    """The mode, the program and its arguments; what the guest needs is added to the files."""
    place = f"{FOLDER}/{file.name}"
    made = engine.artifact(file, BEFORE_CPU, engine.programs()) if options.mode == "aot" else file
    files[place] = made.read_bytes()
    return options.mode or "jit", place, arguments


def placed_script(file: Path, options: argparse.Namespace, arguments: list[str], files: dict) -> tuple[str, str, list[str]]:
    """The same for a script: QuickJS runs it, as it was compiled before unless a mode is asked for."""
    packages.require("apps")
    place = f"{FOLDER}/quickjs"
    before = options.mode in (None, "aot")
    files[place] = (apps.script() if not before else engine.artifact(apps.script(), BEFORE_CPU, engine.programs())).read_bytes()
    path, found = scripts.laid_out(file)
    files.update({f"{FOLDER}/script/{name}": data for name, data in found.items()})
    return options.mode or "aot", place, [f"/script/{path}", *arguments]


def command(file: Path, options: argparse.Namespace, environment: list[str], arguments: list[str],
            shares: list[folders.Share]) -> tuple[list[str], dict[str, bytes]]:
    """wasmhost's command line, and the files that the guest's root needs for it."""
    packages.require("wasm")
    files = {HOST: (engine.programs() / "wasmhost").read_bytes()}
    mode, place, arguments = placed_script(file, options, arguments, files) if is_script(file) else placed(file, options, arguments, files)
    words = [HOST, "--argv0", file.name, "--mode", mode]  # the file's name and no path of either machine, as wasmtime has it
    words += [*(["-W", f"max-wasm-stack={apps.SCRIPT_STACK}"] if is_script(file) else []), *given(options)]
    if options.memory:
        words += ["--memory", options.memory]
    for variable in environment:
        words += ["--env", variable]
    for at, share in zip(places(shares), shares):
        words += ["--dir", f"{at}::{share.guest}" + (",ro" if share.read_only else "")]
    if is_script(file):
        words += ["--dir", f"{FOLDER}/script::/script,ro"]
    return [*words, place, "--", *arguments], files
