"""WebAssembly programs on KPIO: wasmhost (user/wasmhost) runs the samples of tests/wasm, each in several modes, in guests that share a
boot; the same wasmhost runs them on this machine, and both must tell the same."""
import re
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest
from guests import CaseItem, Config, built, stopping
from kpio import command, engine, guest, linuxguest, packages
from kpio.machine import Machine
from kpio.paths import ROOT, cache_folder, inputs_key, keep

SAMPLES = ROOT / "tests" / "wasm"
CONFIG = Config("release", machine=Machine(cpus=2, memory_mib=2048, net="none"))
SILENCE = 900  # of a busy machine
making = threading.Lock()
# What many.wat and parts.wat make, and how the engine names it.
COUNTS = [("max-tables", 3, "table count"), ("max-memories", 2, "memory count"), ("max-instances", 1, "instance count")]
PARTS = [("max-tables", 2, "table count"), ("max-memories", 2, "memory count"), ("max-instances", 3, "instance count")]
HOST_SECONDS = 600
PLACE = "/w"
WASMHOST = f"{PLACE}/wasmhost"

# Which of the engine's ways runs a feature: jit, interp with the JIT right, interp without. "": it is refused.
FEATURES = {
    "numeric": ("cranelift", "winch", "pulley"),
    "bulk_memory": ("cranelift", "winch", "pulley"),
    "multi_memory": ("cranelift", "winch", "pulley"),
    "memory64": ("cranelift", "winch", "pulley"),
    "simd": ("cranelift", "winch", "pulley"),
    "threads": ("cranelift", "winch", ""),
    "relaxed_simd": ("cranelift", "pulley", "pulley"),
    "tail_calls": ("cranelift", "pulley", "pulley"),
    "exceptions": ("cranelift", "pulley", "pulley"),
    "gc": ("cranelift", "pulley", "pulley"),
}


@dataclass(frozen=True)
class Case:
    name: str
    options: tuple      # of wasmhost
    program: tuple      # a sample and its arguments
    output: str = ""    # a pattern for all that is printed
    status: int = 0

    def words(self, folder):
        return (*(word.replace("@", folder) for word in self.options), f"{folder}/{self.program[0]}", "--", *self.program[1:])


def in_mode(mode):
    """What runs alike in every mode."""
    def case(name, *program, output="", status=0, options=()):
        return Case(f"{mode}_{name}", ("--mode", mode, *options), program, output, status)

    many, parts, table = (f"{name}.aot" if mode == "aot" else f"{name}.wat" for name in ("many", "parts", "table"))
    trap = ("trap.aot" if mode == "aot" else "trap.wasm")
    wasi = ("wasi.aot" if mode == "aot" else "wasi.wasm")
    frames = r"(\n +\d+: +(0x[0-9a-f]{6} )?\S+( \+ 0x[0-9a-f]+)?)+"
    return [
        case("arguments", wasi, "arguments", "a b", "--c", output=r"\[a b\]\[--c\]red", options=("--env", "COLOUR=red")),
        case("no_environment", wasi, "arguments", output="none"),
        case("exit", wasi, "exit", "7", status=7),
        case("files", wasi, "files", output="files work", options=("--dir", "@/data::/data")),
        case("nothing_shown", wasi, "files", output=r"failed: .*", status=1),
        case("read_only", wasi, "files", output=r"failed: fd >= 0: .*", status=1, options=("--dir", "@/data::/data,ro")),
        case("clocks", wasi, "clocks", output="clocks work"),
        case("random", wasi, "random", output="random works"),
        case("divide", trap, "divide", output=rf"wasmhost: \S+: wasm trap: integer divide by zero{frames}", status=134),
        case("descend", trap, "descend", output=rf"wasmhost: \S+: wasm trap: call stack exhausted{frames}", status=134),
        case("bounds", trap, "bounds", output=rf"wasmhost: \S+: wasm trap: out of bounds memory access{frames}", status=134),
        case("abort", trap, "abort", output=rf"wasmhost: \S+: wasm trap: wasm `unreachable` instruction executed{frames}", status=134),
        case("loop", trap, "loop", output=r"wasmhost: \S+: stopped: its time of 0.5 s is over", status=124, options=("--timeout", "0.5")),
        case("sleep", trap, "sleep", output=r"wasmhost: \S+: stopped: its time of 0.5 s is over", status=124, options=("--timeout", "0.5")),
        case("cpu_time", trap, "loop", output=r"wasmhost: \S+: stopped: its CPU time of 0.3 s is over", status=124,
             options=("--cpu-time", "0.3")),
        case("wasmtimes_flags", trap, "sleep", output=r"wasmhost: \S+: stopped: its time of 0.2 s is over", status=124,
             options=("-W", "timeout=200ms,max-memory-size=64M,max-wasm-stack=128K")),
        case("small_stack", trap, "descend", output=rf"wasmhost: \S+: wasm trap: call stack exhausted{frames}", status=134,
             options=("-W", "max-wasm-stack=64K")),
        case("large_stack", trap, "descend", output=rf"wasmhost: \S+: wasm trap: call stack exhausted{frames}", status=134,
             options=("-W", "max-wasm-stack=16M")),
        case("open", trap, "open", output="stopped at the limit", options=("--dir", "@/data::/data", "--files", "20")),
        case("grow", trap, "grow", output="stopped at the limit", options=("--memory", "16M")),
        *(case(f"within_{name}", many, options=("-W", f"{name}={count}")) for name, count, _ in COUNTS),
        *(case(f"beyond_{name}", many, status=2, options=("-W", f"{name}={count - 1}"),
               output=rf"wasmhost: \S+: .*{said} too high at {count} \(-W {name}\)") for name, count, said in COUNTS),
        *(case(f"component_{name}", parts, status=2, options=("-W", f"{name}={count - 1}"),
               output=rf"wasmhost: \S+: .*{said} too high at {count} \(-W {name}\)") for name, count, said in PARTS),
        case("component_within", parts, options=("-W", ",".join(f"{name}={count}" for name, count, _ in PARTS))),
        case("small_table", many, status=2, options=("-W", "max-table-elements=4"),
             output=r"wasmhost: \S+: table minimum size of 5 elements exceeds table limits \(-W max-table-elements\)"),
        case("small_memory", many, status=2, options=("-W", "max-memory-size=64K"),
             output=r"wasmhost: \S+: memory minimum size of 2 pages exceeds memory limits \(--memory\)"),
        case("grow_or_trap", trap, "grow", status=1, options=("-W", "max-memory-size=16M,trap-on-grow-failure"),
             output=rf"wasmhost: \S+: forcing trap when growing memory to \d+ bytes \(-W trap-on-grow-failure\){frames}"),
        case("grow_table_or_trap", table, status=1, options=("-W", "trap-on-grow-failure=y,max-table-elements=1000"),
             output=r"wasmhost: \S+: forcing trap when growing table to \d+ elements \(-W trap-on-grow-failure\)(\n +0: .*)"),
        case("grow_and_go_on", trap, "grow", output="stopped at the limit", options=("-W", "trap-on-grow-failure=n", "--memory", "16M")),
        case("spawn", "spawn.aot" if mode == "aot" else "spawn.wat",  # neither threads nor processes: what WASI has of them is not there
             output=r"wasmhost: \S+: unknown import: `wasi::thread-spawn` has not been defined", status=2),
    ]


def features(mode, column):
    for name, ways in FEATURES.items():
        how = ways[column]
        output = rf"wasmhost: \S+: runs by {how}" if how else r"wasmhost: \S+: runs by pulley\nwasmhost: \S+: .+"
        yield Case(f"{name}_{how or 'refused'}", ("--mode", mode, "--verbose"), (f"{name}.wat",), output, 0 if how else 2)


JIT = [*in_mode("jit"), *in_mode("interp"), *in_mode("aot"), *features("jit", 0), *features("interp", 1)]
PLAIN = [  # without the right to make executable memory
    *in_mode("interp"), *in_mode("aot"), *features("interp", 2),
    Case("jit_needs_the_right", ("--mode", "jit"), ("wasi.wasm",), r"wasmhost: \S+: no right to make executable memory.*", 2),
]
BAD = [
    Case("no_file", (), ("missing.wasm",), r"wasmhost: \S+: No such file or directory", 2),
    Case("empty", (), ("empty.wasm",), r"wasmhost: \S+: empty, no WebAssembly", 2),
    Case("no_wasm", (), ("text.wasm",), r"wasmhost: \S+: no WebAssembly: .*", 2),
    Case("cut", (), ("cut.wasm",), r"wasmhost: \S+: .*(unexpected end|invalid|extends past).*", 2),
    Case("missing_import", (), ("import.wat",), r"wasmhost: \S+: unknown import: `env::absent` has not been defined", 2),
    Case("no_start", (), ("library.wat",), r"wasmhost: \S+: no program: it exports no function `_start`", 2),
    Case("artifact_in_jit", ("--mode", "jit"), ("wasi.aot",), r"wasmhost: \S+: a compiled artifact, .*", 2),
    Case("module_in_aot", ("--mode", "aot"), ("wasi.wasm",), r"wasmhost: \S+: no compiled artifact: .*", 2),
    Case("table_limit", ("-W", "max-table-elements=1000"), ("table.wat",)),
    Case("bad_limit", ("-W", "max-memory=1"), ("wasi.wasm",), r"wasmhost: -W max-memory: no such option \(--help\)", 2),
    Case("bad_option", ("--colour", "red"), ("wasi.wasm",), r"wasmhost: --colour: no such option \(--help\)", 2),
]
GROUPS = {"jit": (JIT + BAD, " kpio.jit=1"), "plain": (PLAIN, "")}


def samples():
    """The folder of everything that the cases name, made once."""
    with making:
        return made_samples()


@lru_cache(maxsize=None)
def made_samples():
    packages.require("wasm", "test")
    host = engine.programs()
    sources = sorted(path for path in SAMPLES.rglob("*") if path.is_file())
    folder = cache_folder("wasm") / inputs_key(*sources, host / "wasmc", host / "wasmhost")
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "samples")
            made.mkdir()
            make_samples(made, host)
            keep(made, folder)
    return folder


def make_samples(folder, host):
    shutil.copy(host / "boot" / "wasmhost", folder / "wasmhost")
    for source in SAMPLES.glob("*.c"):
        made = folder / f"{source.stem}.wasm"
        command.check(["clang-19", "--target=wasm32-wasi", "-std=gnu17", "-O1", "-Wall", "-Werror", str(source), "-o", str(made)])
        command.check([str(host / "wasmc"), "--cpu", "x86-64-v3", str(made), str(folder / f"{source.stem}.aot")])
    for source in [*(SAMPLES / "features").glob("*.wat"), *(SAMPLES / "limits").glob("*.wat")]:
        shutil.copy(source, folder)
    (folder / "empty.wasm").write_bytes(b"")
    (folder / "text.wasm").write_text("this is no program\n")
    (folder / "cut.wasm").write_bytes((folder / "wasi.wasm").read_bytes()[:1000])
    (folder / "import.wat").write_text('(module (import "env" "absent" (func)) (memory (export "memory") 1) (func (export "_start")))\n')
    (folder / "spawn.wat").write_text('(module (import "wasi" "thread-spawn" (func (param i32) (result i32))) (memory (export "memory") 1) '
                                      '(func (export "_start")))\n')
    for name in ("spawn", "many", "parts", "table"):
        command.check([str(host / "wasmc"), "--cpu", "x86-64-v3", str(folder / f"{name}.wat"), str(folder / f"{name}.aot")])
    (folder / "library.wat").write_text('(module (func (export "answer") (result i32) (i32.const 42)))\n')


def flaw_of(case, status, printed):
    if status != case.status:
        return f"its exit status is {status}, not {case.status}; it printed\n{printed}"
    if not re.fullmatch(case.output, printed):
        return f"it printed\n{printed}\nwhich is not\n{case.output}"
    return None


class WasmItem(CaseItem):
    groups, made = GROUPS, staticmethod(samples)

    def __init__(self, group, **rest):
        super().__init__(**rest)
        self.cases, self.append = self.groups[group]

    def work(self):
        variant, folder = built(CONFIG), self.made()
        files = {f"{PLACE}/{file.relative_to(folder)}": file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        files[f"{PLACE}/data/.keep"] = b""
        commands = [linuxguest.Command((WASMHOST, *case.words(PLACE))) for case in self.cases]
        with tempfile.TemporaryDirectory(prefix="kpio-boot-") as temporary:
            initrd = Path(temporary, "initrd.cpio")
            initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), commands, files))
            with guest.Guest(CONFIG.machine, variant.kernel, initrd, f"root=tmpfs {linuxguest.APPEND}{self.append}") as running:
                for _ in running.follow(SILENCE, None, stopping):
                    pass
                return running.outcome()

    def report_cases(self, outcome, started):
        ran = linuxguest.runs(outcome.lines)
        for number, case in enumerate(self.cases):
            if number < len(ran) and ran[number].code is not None:
                flaw = flaw_of(case, ran[number].code, "\n".join(ran[number].lines))
            else:
                flaw = f"it did not end\n{outcome.report()}"
            self.report(f"::{case.name}", "failed" if flaw else "passed", flaw, started, 0)


@pytest.mark.parametrize("case", JIT + BAD, ids=lambda case: case.name)
def test_on_this_machine(case, tmp_path):
    (tmp_path / "data").mkdir()
    for file in samples().iterdir():
        (tmp_path / file.name).symlink_to(file)
    argv = [str(tmp_path / "wasmhost"), *case.words(str(tmp_path))]
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=HOST_SECONDS)
    flaw = flaw_of(case, ran.returncode, ran.stdout.rstrip("\n"))
    assert not flaw, flaw


def items(parent, long):
    for group in GROUPS:
        yield WasmItem.from_parent(parent, name=f"wasm-{group}", group=group)
