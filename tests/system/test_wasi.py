"""WASI call by call: the programs of tests/wasm/preview1 call every function of preview 1 and say which answer is wrong; as components
they reach preview 2, whose other functions tests/wasm/preview2 calls. Each in every mode, here and on KPIO (test_wasm.py)."""
import re
import shutil
import subprocess
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

import pytest
from kpio import command, component, engine, packages
from kpio.paths import ROOT, cache_folder, inputs_key, keep
from test_run_wasm import kpio_run
from test_wasm import HOST_SECONDS, Case, WasmItem, flaw_of

SAMPLES = [ROOT / "tests" / "wasm" / name for name in ("preview1", "preview2")]
ALONE = ROOT / "engines" / "wasmtime" / "src" / "wasi_functions.rs"
API = Path("/usr/include/wasm32-wasi/wasi/api.h")
CLANG = ["clang-19", "--target=wasm32-wasi", "-std=gnu17", "-Os", "-Wall", "-Werror", f"-I{ROOT}", "-Wl,--strip-all"]
ENDED = {"files": 0, "paths": 0, "rest": 42, "across": 0}  # the status of each program of preview 1
SHOWN = ("--dir", "@/data::/data", "--dir", "@/shown::/shown,ro", "--env", "A=b", "--env", "LONG=value=x=y")
ACROSS = ("--dir", "@/data::/data", "--dir", "/dev/shm::/other")  # a file system of its own, here and there
WORDS = ("one", "", "\u00e4 b")
INTERFACES = {"cli": ("environment", "exit", "run", "stdin", "stdout", "stderr", "terminal-input", "terminal-output", "terminal-stdin",
                      "terminal-stdout", "terminal-stderr"),
              "io": ("error", "poll", "streams"), "filesystem": ("preopens", "types"), "clocks": ("monotonic-clock", "wall-clock"),
              "random": ("random", "insecure", "insecure-seed"),
              "sockets": ("network", "instance-network", "tcp", "udp", "tcp-create-socket", "udp-create-socket", "ip-name-lookup")}
TEXTS = {"rest": "preview2", "descriptors": "descriptors", "sockets": "sockets"}  # of tests/wasm/preview2, and what they are called here
pytestmark = pytest.mark.usefixtures("webassembly")
making = threading.Lock()

INVALID = r"exit with invalid exit status outside of \[0..126\)"
EXITS = (125, 126, 255, -1)  # of proc_exit
EXIT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const {}))))
"""
CODES = (0, 126, 255)  # of wasi:cli/exit, which takes any byte
COMPONENT_EXIT = """(component
  (import "wasi:cli/exit@0.2.6" (instance $exit (export "exit-with-code" (func (param "status-code" u8)))))
  (core func $code (canon lower (func $exit "exit-with-code")))
  (core module $m (import "exit" "code" (func $code (param i32)))
    (func (export "run") (result i32) (call $code (i32.const {})) (unreachable)))
  (core instance $i (instantiate $m (with "exit" (instance (export "code" (func $code))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $shown (export "run" (func $run)))
  (export "wasi:cli/run@0.2.6" (instance $shown)))
"""

# What faults.c does, by its number: the reason why it ends, or the errno.
BOUNDS, TOO_MANY = r"Pointer out of bounds: .*", 48
FAULTS = [BOUNDS, TOO_MANY, BOUNDS, TOO_MANY, BOUNDS, BOUNDS, TOO_MANY, TOO_MANY, BOUNDS, r"requested len 4294967295 exceeds limit \d+",
          BOUNDS, r"Pointer not aligned to 8: .*", BOUNDS, BOUNDS, BOUNDS, TOO_MANY, "Invalid enum value Whence",
          "Invalid enum value Advice", "Invalid flag value Fstflags", "Invalid flag value Fdflags", "Invalid enum value Clockid",
          "Invalid flag value Lookupflags", "Invalid flag value Oflags", r"exit with invalid exit status outside of \[0..126\)"]


def in_mode(mode, name):
    made, text = ("aot", "aot") if mode == "aot" else ("wasm", "wat")

    def case(title, *program, output="", status=0, options=SHOWN):
        return Case(f"{name}_{title}", ("--mode", mode, *options), program, output, status)

    said = {"files": "every file function works", "paths": "every path function works", "rest": "every other function works",
            "across": "what crosses file systems works"}
    shown = {"across": ACROSS}
    yield from (case(f"preview1_{program}", f"{program}.{made}", *WORDS, output=said[program], status=status,
                     options=shown.get(program, SHOWN)) for program, status in ENDED.items())
    # Of statuses only success and failure come through the adapter.
    yield from (case(f"component_{program}", f"{program}_component.{made}", *WORDS, output=said[program], status=min(status, 1),
                     options=shown.get(program, SHOWN)) for program, status in ENDED.items())
    yield case("preview2", f"preview2.{text}", output="preview 2 works", options=())
    yield case("descriptors", f"descriptors.{text}", output="descriptors work", options=("--dir", "@/data::/data"))
    yield case("sockets", f"sockets.{text}", options=())
    for number, told in enumerate(FAULTS):  # not 134 as after a trap: the wasmtime command makes the same difference
        ends = isinstance(told, str)
        output = rf"wasmhost: \S+: {told}(\n +\d+: .*)+" if ends else f"refused: {told}"
        yield case(f"fault_{number}", f"faults.{made}", str(number), output=output, status=1 if ends else 0,
                   options=("--dir", "@/data::/data"))
    for status in EXITS:
        ends = not 0 <= status < 126
        yield case(f"exit_{status}", f"exit_{status}.{text}", output=rf"wasmhost: \S+: {INVALID}(\n +\d+: .*)+" if ends else "",
                   status=1 if ends else status, options=())
    yield from (case(f"component_exit_{code}", f"component_exit_{code}.{text}", status=code, options=()) for code in CODES)


JIT = [*in_mode("jit", "jit"), *in_mode("interp", "interp"), *in_mode("aot", "aot")]
PLAIN = [*in_mode("interp", "pulley")]  # without the right to make executable memory


def samples():
    with making:
        return made_samples()


@lru_cache(maxsize=None)
def made_samples():
    """The folder of everything that the cases name, made once."""
    packages.require("wasm", "test", "apps")
    host = engine.programs()
    sources = sorted(file for folder in SAMPLES for file in folder.iterdir())
    tools = [ROOT / "engines" / "component" / name for name in ("Cargo.lock", "src/main.rs")]
    folder = cache_folder("wasm") / f"wasi-{inputs_key(Path(__file__), *sources, *tools, host / 'wasmc', host / 'wasmhost')}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "wasi")
            (made / "shown" / "d").mkdir(parents=True)
            (made / "shown" / "a").write_text("a")
            (made / "shown" / "d" / "b").write_text("b")
            make_programs(made, host)
            keep(made, folder)
    return folder


def make_programs(folder, host):
    shutil.copy(host / "boot" / "wasmhost", folder / "wasmhost")
    for name in ENDED:
        source, bare = SAMPLES[0] / f"{name}.c", folder / f"{name}_bare.wasm"
        command.check([*CLANG, str(source), "-o", str(folder / f"{name}.wasm")])
        command.check([*CLANG, "-DCOMPONENT", str(source), "-o", str(bare)])
        component.encode(bare, folder / f"{name}_component.wasm")
        bare.unlink()
    command.check([*CLANG, "-nostdlib", "-Wl,--no-entry", str(SAMPLES[0] / "faults.c"), "-o", str(folder / "faults.wasm")])
    for name, called in TEXTS.items():
        shutil.copy(SAMPLES[1] / f"{name}.wat", folder / f"{called}.wat")
    for status in EXITS:
        (folder / f"exit_{status}.wat").write_text(EXIT.format(status))
    for code in CODES:
        (folder / f"component_exit_{code}.wat").write_text(COMPONENT_EXIT.format(code))
    for source in [*folder.glob("*.wasm"), *folder.glob("*.wat")]:
        command.check([str(host / "wasmc"), "--cpu", "x86-64-v3", str(source), str(source.with_suffix(".aot"))])


class WasiItem(WasmItem):
    groups, made = {"jit": (JIT, " kpio.jit=1"), "plain": (PLAIN, "")}, staticmethod(samples)


@pytest.mark.parametrize("mode", ("jit", "interp", "aot"))
def test_end_of_input(mode):
    """What a component says of streams that have come to their end; the console of the other guests never does."""
    done = kpio_run("--mode", mode, samples() / "preview2.wat", "--", "ended")
    assert (done.returncode, done.stdout, done.stderr) == (0, "preview 2 works\n", "")


@pytest.mark.parametrize("mode", ("jit", "interp", "aot"))
def test_on_this_machine(mode, tmp_path):
    (tmp_path / "data").mkdir()
    for file in samples().iterdir():
        (tmp_path / file.name).symlink_to(file)
    for case in in_mode(mode, mode):
        argv = [str(tmp_path / "wasmhost"), *case.words(str(tmp_path))]
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=HOST_SECONDS)
        flaw = flaw_of(case, ran.returncode, ran.stdout.rstrip("\n"))
        assert not flaw, f"{case.name}: {flaw}"


def test_every_function_is_called():
    """Of preview 1 by the C library's list of them; of preview 2 every interface, and each function that is defined alone."""
    functions = set(re.findall(r"\b__wasi_(\w+)\($", API.read_text(), re.MULTILINE)) | {"sched_yield", "proc_raise"}
    assert len(functions) == 46, sorted(functions)  # with two that this list may have in another form or not at all
    modules = b"".join((samples() / f"{name}.wasm").read_bytes() for name in ENDED) + (samples() / "faults.wasm").read_bytes()
    lacking = [name for name in functions if b"wasi_snapshot_preview1" + bytes([len(name)]) + name.encode() not in modules]
    assert not lacking
    components = b"".join((samples() / name).read_bytes() for name in
                          (*(f"{name}_component.wasm" for name in ENDED), *(f"{name}.wat" for name in TEXTS.values())))
    lacking = [f"{package}/{name}" for package, names in INTERFACES.items() for name in names
               if f"wasi:{package}/{name}@0.2.".encode() not in components]
    assert not lacking
    alone = re.findall(r'"(\[method\][\w.-]+|filesystem-error-code|subscribe-\w+|resolution|now)":', ALONE.read_text())
    assert len(alone) == 48, alone
    assert not [name for name in alone if name.encode() not in components]


@pytest.mark.parametrize("imported, function, there", [
    ("wasi:clocks/monotonic-clock@0.2.0", "now", True), ("wasi:clocks/monotonic-clock@0.2.99+x", "now", True),
    ("wasi:clocks/monotonic-clock@0.3.0", "now", False), ("wasi:clocks/monotonic-clock@0.2.0-rc-1", "now", False),
    ("wasi:clocks/monotonic-clock", "now", False), ("wasi:clocks/monotonic-clock@0.2.0", "later", False)])
def test_version_and_function_of_an_import(imported, function, there, tmp_path):
    """Where single functions are defined: what WASI 0.2 has is there under each of its versions, and nothing else."""
    source = tmp_path / "program.wat"
    source.write_text(f'(component (import "{imported}" (instance (export "{function}" (func (result u64))))))')
    argv = [str(samples() / "wasmhost"), "--mode", "jit", str(source)]
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=HOST_SECONDS)
    lacking = rf"component imports instance `{re.escape(imported)}`, .* export `{function}` .* missing"
    said = "no program: it exports no wasi:cli/run of version 0.2" if there else lacking
    assert ran.returncode == 2 and re.search(said, ran.stdout), (ran.returncode, ran.stdout)


def items(parent, long):
    for group in WasiItem.groups:
        yield WasiItem.from_parent(parent, name=f"wasi-{group}", group=group)
