"""Linux programs on KPIO beside Linux: the same binary of tests/bench/linux/bench.c in the same QEMU, counted in instructions."""
from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .. import cpio, guest, linuxguest
from ..build import Build
from ..errors import KpioError
from ..machine import Machine
from . import linux
from .kernel import SILENCE, json_lines
from .table import columns, number


@dataclass(frozen=True)
class Row:
    name: str          # in tests/bench/linux/bench.c
    reach: float       # KPIO over Linux
    what: str


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
]


def measure_kpio(build: Build, detail=lambda text: None) -> dict[str, dict]:
    """With the programs that Linux ran."""
    programs = {entry.name: entry.data for entry in cpio.unpack(linux.initramfs(linux.kernel_tree()).read_bytes())}
    bench = linuxguest.Command(("/bench", ",".join(row.name for row in ROWS)))
    raw = linuxguest.archive(build.initrd.read_bytes(), [bench], {f"/{name}": programs[name] for name in ("bench", "tiny")})
    machine = Machine(accelerator="icount", net="none", rng=False)
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        initrd = Path(folder, "initrd.cpio")
        initrd.write_bytes(raw)
        outcome = guest.boot(machine, build.kernel, initrd, f"root=tmpfs {linuxguest.APPEND} nokaslr", silence=SILENCE,
                             total=4 * SILENCE, on_line=detail)
    results = json_lines(outcome.lines)
    if not any(result.get("name") == "end" for result in results):
        raise KpioError(f"the benchmark did not reach its end: {outcome.report()}")
    return {result["name"]: result for result in results if result.get("name") not in (None, "end")}


def measure_linux(detail=lambda text: None) -> dict[str, dict]:
    return linux.measure([row.name for row in ROWS], detail=detail)


def results(kpio: dict, other: dict) -> list[dict]:
    """A line for each row: name, value, linux, ratio, reach; `error` where the program could not measure it."""
    lines = []
    for row in ROWS:
        measured, beside = kpio.get(row.name, {}), other.get(row.name, {})
        line = {"name": row.name, "unit": "insns", "value": measured.get("ns"), "linux": beside.get("ns"), "reach": row.reach}
        if line["value"] is not None and line["linux"]:
            line["ratio"] = round(line["value"] / line["linux"], 3)
        else:
            line["error"] = measured.get("error") or beside.get("error") or "not measured"
        lines.append(line)
    return lines


def table(lines: list[dict]) -> str:
    what = {row.name: row.what for row in ROWS}
    rows = [["insns", "KPIO", "Linux", "KPIO/Linux", "reach", "", "what"]]
    for line in lines:
        ratio: Optional[float] = line.get("ratio")
        verdict = line.get("error") or ("reached" if ratio <= line["reach"] else "short")
        rows.append([line["name"], number(line["value"]), number(line["linux"]), f"{ratio:.2f}" if ratio is not None else "",
                     str(line["reach"]), verdict, what[line["name"]]])
    return columns(rows)
