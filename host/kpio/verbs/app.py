"""Build apps: WebAssembly from C, with clang and wasi-libc, in one step.

SOURCE is a C file, an object, an archive, or a folder, of which every C file is taken. What is built is a WASI command that
`kpio run` runs and appd installs (docs/appd.md); docs/apps.md tells what an app finds, apps/samples has some to begin with. -D, -I, -L,
-W, -f, -l and -m mean what they mean to clang."""
import argparse
import sys
import tempfile
from pathlib import Path

from .. import apps, component, packages, progress
from ..build import relative
from ..errors import OK, USAGE, KpioError

HELP = "build WebAssembly apps from C"
EXAMPLES = """  kpio app build hello.c                       makes hello.wasm in this folder
  kpio app build hello.c -o out/hello.wasm
  kpio app build apps/samples/words            every .c file of a folder
  kpio app build main.c other.c -g -O0         to look for an error
  kpio app build --component survey.c          a component of WASI preview 2
  kpio app build game.c -Wall -Iinclude -DLEVELS=3 -lm
  kpio run hello.wasm -- Ada                   runs it
"""
SOURCES = (".c", ".o", ".a", ".s", ".S")
PASSED = {"-D": "define a macro", "-I": "look for headers there", "-L": "look for libraries there", "-l": "link with a library",
          "-W": "a warning, or -Wl,... for the linker", "-f": "a feature of the compiler", "-m": "a feature of WebAssembly"}


def add_arguments(verb):
    steps = verb.add_subparsers(dest="step", metavar="build", required=True)
    build = steps.add_parser("build", help=HELP, description=__doc__, epilog="examples:\n" + EXAMPLES,
                             formatter_class=verb.formatter_class)
    build.add_argument("sources", nargs="+", metavar="SOURCE", help="C files, or a folder of them")
    build.add_argument("-o", dest="output", metavar="FILE", help="what is made; else NAME.wasm here, after the first source")
    build.add_argument("-O", dest="level", default="2", choices=tuple("0123sz"), help="optimisation, as clang names it; default 2")
    build.add_argument("-g", dest="debug", action="store_true", help="with lines and variables, for debuggers")
    build.add_argument("--component", action="store_true", help="a component of WASI preview 2 in place of a module (needs Rust, once)")
    build.add_argument("-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="show the compiler's command")
    for option, meaning in PASSED.items():
        build.add_argument(option, dest="flags", action="append", default=[], metavar="...", type=(option + "{}").format, help=meaning)
    build.add_argument("-std", dest="standard", default="gnu17", metavar="C", help="the version of C; default gnu17")


def sources_of(word):
    """The files that one SOURCE stands for."""
    path = Path(word)
    if not path.exists():
        raise KpioError(f"{word}: no such file", USAGE)
    if not path.is_dir():
        if path.suffix not in SOURCES:
            raise KpioError(f"{word}: no C source, object or archive ({' '.join(SOURCES)})", USAGE)
        return [path]
    found = sorted(path.glob("*.c"))
    if not found:
        raise KpioError(f"{word}: a folder without C files", USAGE)
    return found


def output_of(arguments):
    if not arguments.output:
        return Path(Path(arguments.sources[0]).resolve().stem + ".wasm")
    made = Path(arguments.output)
    if made.is_dir() or not made.parent.is_dir():
        raise KpioError(f"-o {made}: {'a folder' if made.is_dir() else 'its folder is not there'}", USAGE)
    return made


def build_module(sources, made, flags):
    with progress.step(f"Compiling {relative(made)}"):
        return apps.build(sources, made, flags)


def build_component(sources, made, flags):
    with tempfile.TemporaryDirectory(prefix="kpio-app-") as folder:
        module = Path(folder, made.name)
        said = build_module(sources, module, flags)
        component.encode(module, made)
    return said


def execute(arguments):
    flags = [f"-O{arguments.level}", f"-std={arguments.standard}", *(["-g"] if arguments.debug else []), *arguments.flags]
    sources, made = [file for word in arguments.sources for file in sources_of(word)], output_of(arguments)
    packages.require("apps")
    said = (build_component if arguments.component else build_module)(sources, made, flags)
    if said:
        print(said, file=sys.stderr)
    print(f"{made}: {made.stat().st_size:,} bytes")
    return OK
