"""The suite `fuse`: what a file system costs whose driver is a process, with both sides counted."""
from __future__ import annotations

from dataclasses import dataclass

from ..build import Build
from ..errors import KpioError
from ..machine import Machine
from . import kernel
from .table import columns, number


@dataclass(frozen=True)
class Row:
    name: str
    what: str
    reach: int  # instructions; 0: compared with another suite's row


ROWS = [
    Row("fuse_stat_uncached", "by name, nothing may be cached", 4000),
    Row("fuse_read_4k_direct", "pread of 4 KiB past the cache", 3500),
    Row("fuse_read_1m_direct", "pread of 1 MiB past the cache", 0),
    Row("fuse_create_unlink", "create, open, close, unlink", 15000),
    Row("fuse_stat_warm", "by name, cached", 0),
    Row("fuse_read_warm_4k", "pread of 4 KiB from the page cache", 0),
]


def measure(build: Build, detail=lambda text: None) -> dict[str, dict]:
    machine = Machine(accelerator="icount", net="none", rng=False)
    return {line["name"]: line for line in kernel.boot(build, machine, "fuse", detail)}


def profile(build: Build, name: str, detail=lambda text: None) -> list[tuple[str, float]]:
    return kernel.profile(build, name, detail, "fuse")


def results(measured: dict) -> list[dict]:
    missing = [row.name for row in ROWS if row.name not in measured]
    if missing:
        raise KpioError(f"the guest measured nothing for {', '.join(missing)}")
    return [{**measured[row.name], "reach": row.reach or None, "what": row.what} for row in ROWS]


def table(lines: list[dict]) -> str:
    rows = [["insns", "KPIO", "reach", "", "what"]]
    for line in lines:
        verdict = "" if line["reach"] is None else "reached" if line["value"] <= line["reach"] else "short"
        rows.append([line["name"], number(line["value"]), number(line["reach"]), verdict, line["what"]])
    return columns(rows)
