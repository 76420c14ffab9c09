"""Linux programs on KPIO beside Linux: the same binary of tests/bench/linux/bench.c in the same QEMU, counted in instructions. Whole
programs of Debian run from the same root image on a disk, on KPIO in a session with its posixd, as users run them."""
from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .. import cpio, guest, hostrun, linuxguest
from ..build import Build
from ..elf import Elf, Symbols
from ..errors import USAGE, KpioError
from ..machine import Machine
from . import linux, plugin
from .kernel import SILENCE, json_lines
from .table import columns, number

GROUPS = ("shell", "python", "gcc")  # of packages, in the root image


@dataclass(frozen=True)
class Row:
    name: str          # in tests/bench/linux/bench.c
    reach: float       # KPIO over Linux
    what: str
    program: bool = False  # it runs programs of the root image


ROWS = [
    Row("null_syscall", 0.6, "getppid"),
    Row("clock_gettime_vdso", 1.0, "without a call"),
    Row("pipe_pingpong_process_1B", 0.35, "a byte to another process and one back, through pipes"),
    Row("futex_pingpong_thread", 0.4, "to another thread and back"),
    Row("socketpair_pingpong_process_64B", 0.35, "64 bytes to another process and back"),
    Row("eventfd_pingpong_thread", 0.35, "to another thread and back"),
    Row("page_fault_anon_4k", 0.35, "first write to a page"),
    Row("mmap_munmap_4k", 0.4, "a page that is not touched"),
    Row("thread_create_join", 0.3, ""),
    Row("fork_exit_wait", 0.8, ""),
    Row("fork_exec_wait", 0.7, "a tiny static program"),
    Row("tmp_read_4k", 0.6, "pread of 4 KiB of a file in memory"),
    Row("python3_pass", 0.8, "python3 -c pass", True),
    Row("gcc_hello", 0.9, "gcc -O1 compiles and links hello.c", True),
    Row("bash_loop_true", 0.7, "bash runs /bin/true 1,000 times", True),
]


def disks_of(rows: list[Row]) -> tuple:
    return (hostrun.root_disk(GROUPS),) if rows[0].program else ()


def measure_kpio(build: Build, rows: list[Row], detail=lambda text: None, extra: tuple = ()) -> dict[str, dict]:
    """These rows, all of programs or none, with the binaries that Linux ran."""
    programs = {entry.name: entry.data for entry in cpio.unpack(linux.initramfs(linux.kernel_tree()).read_bytes())}
    whole = rows[0].program
    words = ("/bench", *(("-r", "/") if whole else ()), ",".join(row.name for row in rows))
    files = {f"/{name}": programs[name] for name in ("bench", "tiny", "devfuse")}
    raw = linuxguest.archive(build.initrd.read_bytes(), [linuxguest.Command(words)], files)
    machine = Machine(accelerator="icount", net="none", rng=False, disks=disks_of(rows), extra=extra)
    append = f"{'root=vda kpio.tty=1' if whole else 'root=tmpfs'} {linuxguest.APPEND} nokaslr"
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        initrd = Path(folder, "initrd.cpio")
        initrd.write_bytes(raw)
        outcome = guest.boot(machine, build.kernel, initrd, append, silence=SILENCE, total=8 * SILENCE, on_line=detail)
    results = json_lines(outcome.lines)
    if not any(result.get("name") == "end" for result in results):
        raise KpioError(f"the benchmark did not reach its end: {outcome.report()}")
    return {result["name"]: result for result in results if result.get("name") not in (None, "end")}


def sides(measure) -> dict[str, dict]:
    """What `measure` found for the rows without and with programs."""
    return {**measure([row for row in ROWS if not row.program]), **measure([row for row in ROWS if row.program])}


def measure_linux(rows: list[Row], detail=lambda text: None) -> dict[str, dict]:
    return linux.measure([row.name for row in rows], detail=detail, disks=disks_of(rows))


def profile(build: Build, name: str, detail=lambda text: None) -> list[tuple[str, float]]:
    """Where the instructions of one row go on KPIO: the kernel by functions, all else in pieces of 64 KiB."""
    rows = [row for row in ROWS if row.name == name]
    if not rows:
        raise KpioError(f"there is nothing to profile under the name {name}", USAGE)
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        out = Path(folder, "counts")
        measured = measure_kpio(build, rows, detail, plugin.arguments(out, profile=True))
        record = plugin.read(out).get(measured[name].get("mark"))
    if not record:
        raise KpioError(f"{name}: nothing was counted ({measured[name].get('error', 'no report')})")
    symbols, sums = Symbols(Elf(build.kernel), every=True), Counter()
    for address, count in record["profile"]:
        sums[symbols.name(address).split("+")[0] if address >> 63 else f"(user {address & ~0xffff:#x})"] += count
    return [(function, round(count / record["ops"], 2)) for function, count in sums.most_common()]


def results(kpio: dict, other: dict, of: Optional[list[Row]] = None) -> list[dict]:
    """A line for each row: name, value, linux, ratio, reach; `error` where the program could not measure it."""
    lines = []
    for row in of or ROWS:
        measured, beside = kpio.get(row.name, {}), other.get(row.name, {})
        line = {"name": row.name, "unit": "insns", "value": measured.get("ns"), "linux": beside.get("ns"), "reach": row.reach}
        if line["value"] is not None and line["linux"]:
            line["ratio"] = round(line["value"] / line["linux"], 3)
        else:
            line["error"] = measured.get("error") or beside.get("error") or "not measured"
        lines.append(line)
    return lines


def table(lines: list[dict], of: Optional[list[Row]] = None) -> str:
    what = {row.name: row.what for row in of or ROWS}
    rows = [["insns", "KPIO", "Linux", "KPIO/Linux", "reach", "", "what"]]
    for line in lines:
        ratio: Optional[float] = line.get("ratio")
        verdict = line.get("error") or ("reached" if ratio <= line["reach"] else "short")
        rows.append([line["name"], number(line["value"]), number(line["linux"]), f"{ratio:.2f}" if ratio is not None else "",
                     str(line["reach"]), verdict, what[line["name"]]])
    return columns(rows)
