"""The suite `wasm`: WebAssembly programs in their host (user/wasmhost), the same host, artifacts and modules on KPIO and on Linux in the
same QEMU, counted in instructions. tests/bench/wasm has what runs in the guest."""
from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Optional

from .. import apps, command, component, cpio, engine, guest, linuxguest
from ..build import Build
from ..elf import Elf, Symbols
from ..errors import USAGE, KpioError
from ..machine import Machine
from ..paths import ROOT
from . import linux, plugin
from .kernel import SILENCE, json_lines
from .table import columns, number

SOURCES = ROOT / "tests" / "bench" / "wasm"
MEMORY_MIB = 4096
CPU = "x86-64-v3"
BOOT = "power_on_to_hello_aot"  # has a boot of its own, without the files of the others


@dataclass(frozen=True)
class Row:
    name: str
    reach: Optional[float]  # KPIO over Linux, or over the row `over`, or with `limit` the value's own
    what: str
    test: str = ""          # in tests/bench/wasm/bench.c, where it has another name
    over: str = ""          # a row of KPIO's that it is compared with
    unit: str = "insns"

    @property
    def word(self) -> str:
        return self.test or self.name


def wake_rows(kinds: tuple, whom: str, mode: str) -> list[Row]:
    return [Row(f"wake_beside_{kind}{mode}{most}", None, text, f"wake_beside_{kind}{mode}") for kind in kinds
            for most, text in (("", f"the same beside {whom} {kind} for ever"), ("_most", "and the most"))]


STEPS = {"spawn": "of it, to the host's main()", "engine": "making the engine", "load": "mapping, checking and reading the artifact",
         "define": "what it imports of WASI", "instantiate": "its instance", "rest": "the host's arguments, WASI context and store"}


def step_rows(kind: str) -> list[Row]:
    return [Row(f"start_{kind}_{step}", None, what, f"start_{kind}") for step, what in STEPS.items()]


ROWS = [
    Row(BOOT, 0.04, "power-on to the first byte that hello prints"),
    Row("spawn_to_start_aot", 0.5, "spawn to `_start`, system warm"),
    *step_rows("aot"),
    Row("spawn_to_start_component", None, "the same of a component (preview 2)"),
    *step_rows("component"),
    Row("instantiate_warm", 0.6, "one instance made and dropped in a running host"),
    Row("script_jit_output", None, "spawn to the first output of a script, QuickJS in jit"),
    Row("script_first_output", 0.3, "the same in interp, by Winch: over KPIO's jit", over="script_jit_output"),
    Row("script_cached_output", 0.15, "the same in interp, byte code made before: over KPIO's jit", over="script_jit_output"),
    Row("coremark_aot", 1.01, "lists, matrices, a state machine, a checksum"),
    Row("coremark_jit", 1.01, ""),
    Row("coremark_interp", 1.01, ""),
    Row("polybench_aot", 1.01, "loops over matrices of doubles"),
    Row("sqlite_aot", 1.01, "a database in memory: filled, indexed, joined, changed"),
    Row("quickjs_aot", 1.01, "a script of objects, closures, strings; spawn to end"),
    Row("heap_512m_setup", 0.5, "a heap of 512 MiB, touched once", "heap_512m"),
    Row("heap_512m", 1.0, "a random access to it, of 16 M"),
    Row("wake_alone", None, "how late a program wakes that sleeps a millisecond, the median"),
    *wake_rows(("loop", "recurse", "grow", "open", "fill"), "one that would", ""),
    *wake_rows(("talk",), "two that would", ""),
    Row("compile_4m_jit", 1.0, "spawn to the first output of a module of 4 MB"),
    Row("wasi_read_4k", 0.7, "pread of 4 KiB of a file in memory", "wasi_4k"),
    Row("wasi_write_4k", 0.7, "pwrite of 4 KiB that are there", "wasi_4k"),
    Row("idle_app_private", 1.5 * (1 << 20), "memory that one of 1,000 idle programs takes, the value itself", unit="bytes"),
]

# The same for programs that are compiled as they start; a test's alone (tests/system/test_wasm_limits.py).
WAKE_ROWS = {mode: [Row(f"wake_alone_{mode}", None, ""), *wake_rows(("loop", "recurse", "grow", "open"), "", f"_{mode}")]
             for mode in ("jit", "interp")}


# ---- what runs in the guests ------------------------------------------------------------------------------------------------------

def small_program(name: str, flags: list[str]) -> Path:
    source = SOURCES / "apps" / f"{name}.c"
    return apps.kept(f"{name}.wasm", lambda made: apps.compile_c([source], made, ["-O2", "-Wall", "-Werror", f"-I{ROOT}", *flags]), source,
                     SOURCES / "apps" / "measure.h", *flags)


def as_component(module: Path) -> Path:
    tool = ROOT / "engines" / "component"
    return apps.kept(f"{module.stem}-component.wasm", lambda made: component.encode(module, made), module, tool / "Cargo.lock",
                     tool / "src" / "main.rs")


def modules() -> dict[str, Path]:
    bare = ["-nostartfiles", "-nodefaultlibs"]
    made = {name: small_program(name, []) for name in ("hello", "idle", "heap", "files", "coremark", "polybench", "wake", "greedy")}
    made["start"] = small_program("start", ["-nostartfiles"])
    made["start-component"] = as_component(made["start"])
    made["small"] = small_program("small", [*bare, "-Wl,--no-entry"])
    made["sqlite"] = apps.sqlite(SOURCES / "apps" / "sqlite.c", ["-Wall", "-Werror", f"-I{ROOT}"])
    return {**made, "qjs": apps.quickjs(), "large": apps.large()}


def driver(folder: Path) -> bytes:
    command.check([*linux.COMPILER, "-Wno-missing-field-initializers", str(SOURCES / "bench.c"), "-o", str(folder / "bench")])
    return (folder / "bench").read_bytes()


def hosts(names: tuple[str, ...]) -> dict[str, bytes]:
    """The driver, and programs of the host, stripped, by their paths in the guest."""
    host, files = engine.programs(goal="wasmbench"), {}
    with tempfile.TemporaryDirectory() as folder:
        files["/bench"] = driver(Path(folder))
        for name in names:
            command.check(["llvm-strip-19", str(host / name), "-o", str(Path(folder, name))])
            files[f"/wasm/{name}"] = Path(folder, name).read_bytes()
    return files


@lru_cache(maxsize=None)
def small_files(names: tuple[str, ...]) -> dict[str, bytes]:
    """What rows need that run nothing but these small programs."""
    found = {name: small_program(name, []) for name in names}
    artifacts = {f"/wasm/{name}.aot": engine.artifact(module, CPU, engine.programs()).read_bytes() for name, module in found.items()}
    return {**hosts(("wasmhost",)), **artifacts, **{f"/wasm/{name}.wasm": module.read_bytes() for name, module in found.items()}}


@lru_cache(maxsize=None)
def all_files() -> dict[str, bytes]:
    """By their paths in the guest."""
    host, found = engine.programs(goal="wasmbench"), modules()
    interpreted = {"qjs.pulley": engine.artifact(found["qjs"], "pulley", host)}
    artifacts = {f"{name}.aot": engine.artifact(module, CPU, host) for name, module in found.items() if name != "large"}
    sources = {f"{name}.wasm": found[name] for name in ("qjs", "coremark", "large")}
    files = {f"/wasm/{name}": file.read_bytes() for name, file in {**interpreted, **artifacts, **sources}.items()}
    files["/wasm/work.js"] = (SOURCES / "apps" / "work.js").read_bytes()
    return {**files, **hosts(("wasmhost", "instantiate", "steps"))}


def files_of(rows: list[Row]) -> dict[str, bytes]:
    """The boot row counts how large the archive is; the rows `wake_*` are a test's, which needs no larger programs."""
    if [row.name for row in rows] == [BOOT]:
        return small_files(("hello",))
    return small_files(("wake", "greedy")) if all(row.name.startswith("wake_") for row in rows) else all_files()


# ---- guests -----------------------------------------------------------------------------------------------------------------------

def words_of(rows: list[Row]) -> str:
    return ",".join(dict.fromkeys(row.word for row in rows))


def measure_kpio(build: Build, rows: list[Row], detail=lambda text: None, extra: tuple = ()) -> dict[str, dict]:
    raw = linuxguest.archive(build.initrd.read_bytes(), [linuxguest.Command(("/bench", words_of(rows)))], files_of(rows))
    machine = Machine(memory_mib=MEMORY_MIB, accelerator="icount", net="none", rng=False, extra=extra)
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        initrd = Path(folder, "initrd.cpio")
        initrd.write_bytes(raw)
        outcome = guest.boot(machine, build.kernel, initrd, f"root=tmpfs kpio.jit=1 {linuxguest.APPEND} nokaslr", silence=4 * SILENCE,
                             total=24 * SILENCE, on_line=detail)
    results = json_lines(outcome.lines)
    if not any(result.get("name") == "end" for result in results):
        raise KpioError(f"the benchmark did not reach its end: {outcome.report()}")
    return {result["name"]: result for result in results if result.get("name") not in (None, "end")}


def measure_linux(rows: list[Row], detail=lambda text: None, extra: tuple = ()) -> dict[str, dict]:
    tree = linux.kernel_tree()
    entries = [entry for entry in cpio.unpack(linux.initramfs(tree).read_bytes()) if entry.name not in ("bench", "tiny")]
    entries += [cpio.Entry("wasm", mode=cpio.FOLDER | 0o755)]
    entries += [cpio.Entry(place[1:], data, cpio.FILE | 0o755) for place, data in files_of(rows).items()]
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        archive = Path(folder, "initramfs")
        archive.write_bytes(cpio.pack(entries))
        return linux.measure([words_of(rows)], detail=detail, archive=archive, memory_mib=MEMORY_MIB, extra=extra, patience=4)


def sides(rows: list[Row], measure) -> dict[str, dict]:
    """What `measure` found for these rows: the one that needs its own boot, and the others."""
    boot, others = [row for row in rows if row.name == BOOT], [row for row in rows if row.name != BOOT]
    return {**(measure(boot) if boot else {}), **(measure(others) if others else {})}


def chosen(names: list[str]) -> list[Row]:
    """The rows of these names and those that they are compared with; all where there is none."""
    unknown = [name for name in names if name not in [row.name for row in ROWS]]
    if unknown:
        raise KpioError(f"the suite wasm has no row {unknown[0]}: {', '.join(row.name for row in ROWS)}", USAGE)
    over = {row.over for row in ROWS if row.name in names}
    return [row for row in ROWS if not names or row.name in names or row.name in over]


def profile(build: Build, name: str, detail=lambda text: None) -> list[tuple[str, float]]:
    """Where the instructions of one row go on KPIO: the kernel by functions, all else in pieces of 64 KiB."""
    rows = [row for row in chosen([name]) if row.name == name]
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        out = Path(folder, "counts")
        measured = measure_kpio(build, rows, detail, plugin.arguments(out, profile=True))
        record = plugin.read(out).get(measured.get(name, {}).get("mark"))
    if not record:
        raise KpioError(f"{name}: nothing was counted ({measured.get(name, {}).get('error', 'no report')})")
    symbols, sums = Symbols(Elf(build.kernel), every=True), Counter()
    for address, count in record["profile"]:
        sums[symbols.name(address).split("+")[0] if address >> 63 else f"(user {address & ~0xffff:#x})"] += count
    return [(function, round(count / record["ops"], 2)) for function, count in sums.most_common()]


# ---- results ----------------------------------------------------------------------------------------------------------------------

def line_of(row: Row, kpio: dict, other: dict) -> dict:
    measured, beside = kpio.get(row.name, {}), other.get(row.name, {})
    line = {"name": row.name, "unit": row.unit, "value": measured.get("ns"), "reach": row.reach}
    if line["value"] is None:
        return {**line, "error": measured.get("error") or "not measured"}
    if "error" in beside:
        line["error"] = f"Linux: {beside['error']}"
    if beside.get("ns"):
        line.update(linux=beside["ns"], ratio=round(line["value"] / beside["ns"], 3))
    if row.over and kpio.get(row.over, {}).get("ns"):
        line.update(over=row.over, part=round(line["value"] / kpio[row.over]["ns"], 3))
    return line


def results(rows: list[Row], kpio: dict, other: dict) -> list[dict]:
    """A line for each row: name, value, linux, ratio (KPIO over Linux), part (KPIO over its row `over`), reach."""
    return [line_of(row, kpio, other) for row in rows]


def verdict(line: dict) -> str:
    if "error" in line:
        return line["error"]
    held = line["value"] if line["unit"] == "bytes" else line.get("part") if "over" in line else line.get("ratio")
    return "" if held is None or line["reach"] is None else "reached" if held <= line["reach"] else "short"


def table(lines: list[dict]) -> str:
    what = {row.name: row.what for row in ROWS}
    rows = [["insns", "KPIO", "Linux", "KPIO/Linux", "of jit", "reach", "", "what"]]
    for line in lines:
        ratio, part, reach = line.get("ratio"), line.get("part"), line["reach"]
        rows.append([line["name"], number(line["value"]), number(line.get("linux")), f"{ratio:.2f}" if ratio is not None else "",
                     f"{part:.2f}" if part is not None else "", "" if reach is None else number(reach) if reach > 100 else str(reach),
                     verdict(line), what[line["name"]]])
    return columns(rows)
