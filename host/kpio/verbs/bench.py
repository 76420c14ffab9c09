"""Count what the kernel's operations cost, in guest instructions: exact, and the same on every machine.

Suites: kernel (one CPU; each count beside what it aims at, seL4 and Linux), storage (files on ext4), fuse (a file
system whose driver is a process), scale (cache
lines written by two CPUs, on 1 to 8 CPUs), linux (the Linux side alone, with its file systems on a disk; --against linux: a
Linux program on KPIO beside the same one on Linux), wasm (WebAssembly programs; --against linux: in the same host on Linux),
cache-policy (hit ratios of the page cache's policy, on this machine).
"""
import json

from .. import build, packages, progress
from ..bench import abi, fuse, kernel, linux, policy, record, reference, scale, storage, table, wasm
from ..errors import FAILED, OK, USAGE, KpioError

HELP = "count the cost of the kernel's operations"
EXAMPLES = """  kpio bench                           the suite `kernel`
  kpio bench kernel --json             one JSON object per line
  kpio bench kernel --against linux    a Debian kernel measured in the same QEMU beside it
  kpio bench --profile map_unmap       the functions that it runs
  kpio bench linux --profile gcc_hello the same for a row of Linux programs
  kpio bench storage --against linux   files on ext4, the same image under both; takes minutes
  kpio bench fuse --against linux      the same libfuse program over /dev/fuse on both
  kpio bench linux --against linux     the same Linux program on KPIO and on Linux
  kpio bench wasm --against linux      the same WebAssembly programs in the same host on KPIO and on Linux
  kpio bench wasm --rows heap_512m     some rows of it
  kpio bench scale                     what two CPUs write, by operation
  kpio bench scale --record            the same, and into docs/benchmarks.md
  kpio bench cache-policy --record     hit ratios, and docs/cache-policy.svg drawn anew
"""
PROFILED = {"kernel": kernel, "fuse": fuse, "linux": abi, "wasm": wasm}
WITH_LINUX = ("kernel", "storage", "fuse", "linux", "wasm")
SUITES = ("kernel", "storage", "fuse", "scale", "linux", "wasm", "cache-policy")


def add_arguments(verb):
    verb.add_argument("suite", nargs="?", default="kernel", choices=SUITES, help="default kernel")
    verb.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    verb.add_argument("--record", action="store_true", help="put the table into docs/benchmarks.md")
    verb.add_argument("--profile", metavar="NAME", help="where the instructions of one benchmark go (suites kernel, fuse, linux, wasm)")
    verb.add_argument("--against", choices=("linux",), help="measure the same work there too (suites kernel, storage, fuse, linux, wasm)")
    verb.add_argument("--rows", metavar="NAME,...", help="only these (suite wasm)")


def execute(arguments):
    if arguments.against and arguments.suite not in WITH_LINUX:
        raise KpioError(f"--against {arguments.against} goes with the suites {', '.join(WITH_LINUX)}", USAGE)
    if arguments.profile and arguments.suite not in PROFILED:
        raise KpioError(f"--profile goes with the suites {', '.join(PROFILED)}", USAGE)
    if arguments.rows and arguments.suite != "wasm":
        raise KpioError("--rows goes with the suite wasm", USAGE)
    if arguments.record and (arguments.rows or (arguments.suite == "wasm" and not arguments.against)):
        raise KpioError("--record replaces the whole table, so it needs all of its rows: no --rows, and for wasm --against linux", USAGE)
    return {"kernel": bench_kernel, "scale": bench_scale, "linux": bench_linux,
            "cache-policy": bench_policy, "wasm": bench_wasm, "storage": bench_storage, "fuse": bench_fuse}[arguments.suite](arguments)


def prepared():
    packages.require("build", "run", "bench")
    return build.ensure(build.Build())


def show_json(results):
    for result in results:
        print(json.dumps(result), flush=True)


def show(arguments, results, text, suite=None):
    if arguments.json:
        show_json(results)
    else:
        print(text)
    if arguments.record:
        record.write(suite or arguments.suite, text)


def bench_kernel(arguments):
    if arguments.profile:
        return show_profile(arguments)
    if arguments.against:
        packages.require("run", "linux")
    variant = prepared()
    with progress.step("Measuring KPIO") as shown:
        results = kernel.measure(variant, shown.detail)
    other = None
    if arguments.against:
        with progress.step("Measuring Linux") as shown:
            other = linux.measure([item.linux_test for item in reference.KERNEL if item.linux_test],
                                  detail=shown.detail)
    show(arguments, compared(results, other) if other else results.values(), table.kernel(results, other))
    missing = [item.name for item in reference.KERNEL if item.name not in results]
    if missing:
        raise KpioError(f"the guest measured nothing for {', '.join(missing)}")
    return OK


def show_profile(arguments):
    variant = prepared()
    with progress.step(f"Profiling {arguments.profile}") as shown:
        functions = PROFILED[arguments.suite].profile(variant, arguments.profile, shown.detail)
    if arguments.json:
        show_json({"function": function, "insns": count} for function, count in functions)
    else:
        print(table.columns([["insns an operation", ""]] + [[function, f"{count:,.2f}"] for function, count in functions]))
    return OK


def compared(results, other):
    """KPIO's results with what Linux took for the same work, and the ratio."""
    for item in reference.KERNEL:
        measured = other.get(item.linux_test, {}).get("ns")
        result = results.get(item.name)
        if result and measured:
            result = {**result, "linux": measured, "ratio": round(measured / result["value"], 2)}
        if result:
            yield result


def bench_scale(arguments):
    variant = prepared()
    with progress.step("Measuring on 1, 2, 4 and 8 CPUs") as shown:
        results = scale.measure(variant, shown.detail)
    show(arguments, results, table.scale(results))
    return OK if results else FAILED


def bench_linux(arguments):
    packages.require("run", "linux")
    if arguments.profile:
        return show_profile(arguments)
    if arguments.against:
        return bench_abi(arguments)
    with progress.step("Measuring Linux") as shown:
        results = linux.measure([], disk=True, detail=shown.detail)
    show(arguments, results.values(), table.linux(results))
    return OK


def bench_abi(arguments):
    packages.require("image")
    variant = prepared()
    with progress.step("Measuring KPIO") as shown:
        measured = abi.sides(lambda rows: abi.measure_kpio(variant, rows, shown.detail))
    with progress.step("Measuring Linux") as shown:
        other = abi.sides(lambda rows: abi.measure_linux(rows, shown.detail))
    lines = abi.results(measured, other)
    show(arguments, lines, abi.table(lines), "linux-abi")
    missing = [line["name"] for line in lines if "error" in line]
    if missing:
        raise KpioError(f"nothing was measured for {', '.join(missing)}")
    return OK


def bench_policy(arguments):
    variant = prepared()
    with progress.step("Running the policies"):
        results = policy.measure(variant)
    if arguments.record:
        policy.PLOT.write_text(policy.plot(results))
    show(arguments, results, policy.table(results))
    return OK


def bench_drivers(arguments):
    packages.require("run", "linux")
    variant = prepared()
    with progress.step("Measuring KPIO") as shown:
        measured = abi.measure_kpio(variant, fuse.AGAINST, shown.detail)
    with progress.step("Measuring Linux") as shown:
        other = abi.measure_linux(fuse.AGAINST, shown.detail)
    lines = abi.results(measured, other, fuse.AGAINST)
    show(arguments, lines, abi.table(lines, fuse.AGAINST), "fuse-linux")
    missing = [line["name"] for line in lines if "error" in line]
    if missing:
        raise KpioError(f"nothing was measured for {', '.join(missing)}")
    return OK


def bench_fuse(arguments):
    if arguments.against:
        return bench_drivers(arguments)
    packages.require("linux")
    if arguments.profile:
        return show_profile(arguments)
    variant = prepared()
    with progress.step("Measuring KPIO") as shown:
        lines = fuse.results(fuse.measure(variant, shown.detail))
    return show(arguments, lines, fuse.table(lines))


def bench_storage(arguments):
    packages.require("run", "linux")
    variant = prepared()
    with progress.step("Measuring KPIO") as shown:
        measured = storage.measure_kpio(variant, shown.detail)
    other = None
    if arguments.against:
        with progress.step("Measuring Linux") as shown:
            other = storage.measure_linux(shown.detail)
    lines = storage.results(measured, other)
    show(arguments, lines, storage.table(lines))
    missing = [row.name for row in storage.ROWS if row.name not in measured]
    if missing:
        raise KpioError(f"the guest measured nothing for {', '.join(missing)}")
    return OK


def bench_wasm(arguments):
    packages.require("run", "linux", "wasm", "apps")
    if arguments.profile:
        return show_profile(arguments)
    rows = wasm.chosen(arguments.rows.split(",") if arguments.rows else [])
    variant = prepared()
    wasm.all_files()
    with progress.step("Measuring KPIO") as shown:
        measured = wasm.sides(rows, lambda some: wasm.measure_kpio(variant, some, shown.detail))
    other = {}
    if arguments.against:
        compared = [row for row in rows if row.unit == "insns"]
        with progress.step("Measuring Linux") as shown:
            other = wasm.sides(compared, lambda some: wasm.measure_linux(some, shown.detail))
    lines = wasm.results(rows, measured, other)
    show(arguments, lines, wasm.table(lines))
    missing = [line["name"] for line in lines if "error" in line]
    if missing:
        raise KpioError(f"nothing was measured for {', '.join(missing)}")
    return OK
