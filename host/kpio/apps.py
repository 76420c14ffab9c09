"""WebAssembly made from C: by clang with wasi-libc, in one step. The sources of larger programs come from crates that apps/sources pins;
what was made is kept outside the tree, by what it is made of."""
from __future__ import annotations

import re
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path

from . import command, packages, progress
from .engine import RUST
from .errors import BUILD, MISSING, KpioError
from .paths import ROOT, cache_folder, inputs_key, keep

COMPILER = ["clang-19", "--target=wasm32-wasi", "-std=gnu17"]
# The linker's own 64 KiB of stack are few, and lie behind the data, which a stack that overflows would change unseen; before them it traps.
STACK = ["-Wl,--stack-first", "-Wl,-z,stack-size=1048576"]
SOURCES = ROOT / "apps" / "sources"
LIMIT = 1800
PRINTS = '#include <stdio.h>\nint main(void) {\n    puts("ready");\n    return 0;\n}\n'

# QuickJS: the engine, its library of system calls, and the command that runs a script.
QUICKJS = ("cutils", "libbf", "libregexp", "libunicode", "quickjs", "quickjs-libc", "qjs", "gen/repl", "gen/standalone")
QUICKJS_FLAGS = ["-w", "-D_GNU_SOURCE", "-D_WASI_EMULATED_PROCESS_CLOCKS", "-D_WASI_EMULATED_SIGNAL"]
QUICKJS_LINK = ["-lwasi-emulated-process-clocks", "-lwasi-emulated-signal", "-Wl,-z,stack-size=1048576"]
# The same for the runner of scripts, whose main program is apps/script, with a bound of its stack (bounded.c).
SCRIPT, SCRIPT_UNITS = ROOT / "apps" / "script", ("cutils", "libbf", "libregexp", "libunicode", "quickjs-libc")
SCRIPT_LINK = ["-Wl,--stack-first", "-Wl,-z,stack-size=2097152"]
SCRIPT_STACK = "32M"  # of the engine, more than QuickJS takes of it before the bound of its own (apps/script/main.c) is reached
# Functions by which QuickJS calls itself without a look at its stack, and what each is to begin with.
UNCHECKED = {
    "json_parse_value": "if (js_check_stack_overflow(s->ctx->rt, 0)) return JS_ThrowStackOverflow(s->ctx);",
    "js_json_to_str": "if (js_check_stack_overflow(ctx->rt, 0)) { JS_FreeValue(ctx, val); JS_ThrowStackOverflow(ctx); return -1; }",
    "JS_IteratorNext2": "if (js_check_stack_overflow(ctx->rt, 0)) { *pdone = false; return JS_ThrowStackOverflow(ctx); }",
}
SQLITE_FLAGS = ["-w", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_OS_OTHER=1", "-DSQLITE_TEMP_STORE=3",
                "-DLONGDOUBLE_TYPE=double", "-D_WASI_EMULATED_MMAN"]


def compile_c(sources: list[Path], made: Path, flags: list[str] | tuple = ()) -> None:
    """One program; what clang says against it is the error."""
    command.check([*COMPILER, *(str(source) for source in sources), *flags, "-o", str(made)], limit=LIMIT, status=BUILD)


def build(files: list[Path], made: Path, flags: list[str]) -> str:
    """One app of somebody's: what clang says of it; where that is an error, it is the command's. Headers are found from the tree's root."""
    ran = command.run([*COMPILER, *STACK, f"-I{ROOT}", *(str(file) for file in files), *flags, "-o", str(made)], limit=LIMIT)
    if ran.status != 0:
        said = "\n".join(ran.lines)
        raise KpioError(f"{made} was not made, clang's exit status is {ran.status}:\n{said}", BUILD)
    return "\n".join(ran.lines)


@lru_cache(maxsize=None)
def sources() -> Path:
    """The folder of the pinned sources, one below it for each crate; fetched once."""
    folder = cache_folder("apps") / f"sources-{inputs_key(SOURCES / 'Cargo.toml', SOURCES / 'Cargo.lock')}"
    if folder.exists():
        return folder
    if shutil.which("cargo") is None:
        raise KpioError(f"missing: cargo\n{RUST}", MISSING)
    with progress.step("Fetching the sources of WebAssembly programs; once"), tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, "sources")
        argv = ["cargo", "vendor", "--locked", "--versioned-dirs", "--manifest-path", str(SOURCES / "Cargo.toml"), str(made)]
        command.check(argv, limit=900, status=MISSING, env={"CARGO_TERM_COLOR": "never"})
        keep(made, folder)
    return folder


def crate(name: str) -> Path:
    return next(iter(sorted(sources().glob(f"{name}-[0-9]*"))))


def kept(name: str, make, *inputs) -> Path:
    """The file of that name which `make(path)` makes of these inputs, and of this description."""
    folder = cache_folder("apps") / f"made-{inputs_key(name, Path(__file__), SOURCES / 'Cargo.lock', *inputs)}"
    if not folder.exists():
        packages.require("apps")
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "made")
            made.mkdir()
            make(made / name)
            keep(made, folder)
    return folder / name


def quickjs_objects(folder: Path, *flags: str, units: tuple[str, ...] = QUICKJS) -> list[Path]:
    """Compiled one by one: they do not see one another's macros."""
    source, objects = crate("rquickjs-sys") / "quickjs", []
    folder.mkdir(exist_ok=True)
    for name in units:
        objects.append(folder / f"{name.replace('/', '-')}.o")
        compile_c([source / f"{name}.c"], objects[-1], ["-c", *QUICKJS_FLAGS, *flags])
    return objects


def sqlite_objects(folder: Path) -> list[Path]:
    source, objects = crate("libsqlite3-sys") / "sqlite3", []
    for name in ("sqlite3", "wasm32-wasi-vfs"):
        objects.append(folder / f"{name}.o")
        compile_c([source / f"{name}.c"], objects[-1], ["-O2", "-c", *SQLITE_FLAGS])
    return objects


def make_quickjs(made: Path) -> None:
    with progress.step("Compiling QuickJS; once"), tempfile.TemporaryDirectory() as folder:
        compile_c(quickjs_objects(Path(folder), "-O2"), made, QUICKJS_LINK)


def quickjs() -> Path:
    """A WASI program that runs JavaScript: a file, or what stands behind -e."""
    return kept("qjs.wasm", make_quickjs)


def checked(source: str) -> str:
    """QuickJS's source with a look at its stack wherever it calls itself."""
    for name, look in UNCHECKED.items():
        source, found = re.subn(rf"^static \w+ {name}\([^)]*\)\n{{\n", lambda begin: f"{begin[0]}    {look}\n", source, flags=re.MULTILINE)
        if found != 1:
            raise KpioError(f"QuickJS is another than the one whose {name}() is known (host/kpio/apps.py)", BUILD)
    return source


def make_script(made: Path) -> None:
    with progress.step("Compiling QuickJS; once"), tempfile.TemporaryDirectory() as temporary:
        folder, source = Path(temporary), crate("rquickjs-sys") / "quickjs"
        (folder / "quickjs_checked.c").write_text(checked((source / "quickjs.c").read_text()))
        objects = quickjs_objects(folder / "objects", "-O2", units=SCRIPT_UNITS)
        own = ["-Wall", "-Werror", "-Wno-c23-extensions"]
        for name, flags in (("bounded", [f"-I{folder}", *QUICKJS_FLAGS]), ("main", own)):
            objects.append(folder / f"{name}.o")
            compile_c([SCRIPT / f"{name}.c"], objects[-1], ["-c", "-O2", f"-I{source}", *flags])
        compile_c(objects, made, [*QUICKJS_LINK, *SCRIPT_LINK])


def script() -> Path:
    """A WASI program that runs the script which its first argument names."""
    return kept("script.wasm", make_script, *sorted(SCRIPT.iterdir()))


def sqlite(program: Path, flags: list[str]) -> Path:
    """A program that is linked with SQLite, whose header it includes."""
    def make(made: Path) -> None:
        with progress.step("Compiling SQLite; once"), tempfile.TemporaryDirectory() as folder:
            include = f"-I{crate('libsqlite3-sys') / 'sqlite3'}"
            compile_c([program, *sqlite_objects(Path(folder))], made, ["-O2", include, *flags])
    return kept(f"{program.stem}.wasm", make, program, *flags)


def renamed(objects: list[Path], header: Path) -> None:
    """Writes a header that gives everything which these objects define another name, so that they can be linked twice."""
    listed = command.check(["llvm-nm-19", "--defined-only", "--extern-only", "--format=just-symbols", *(str(file) for file in objects)],
                           status=BUILD).lines
    names = sorted({line for line in listed if line.isidentifier()})
    header.write_text("".join(f"#define {name} {name}_again\n" for name in names))


def make_large(made: Path) -> None:
    """Everything that there is, QuickJS twice, none of it left out as unused; the program only says that it started."""
    with progress.step("Compiling a large module; once"), tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        main, header = folder / "main.c", folder / "again.h"
        main.write_text(PRINTS)
        once = quickjs_objects(folder / "once", "-O2", "-Dmain=quickjs_main")
        renamed(once, header)
        again = quickjs_objects(folder / "again", "-O3", "-Dmain=quickjs_main", "-include", str(header))
        compile_c([main, *sqlite_objects(folder), *once, *again], made, [*QUICKJS_LINK, "-Wl,--no-gc-sections"])


def large() -> Path:
    """A module of about 4 MB."""
    return kept("large.wasm", make_large)
