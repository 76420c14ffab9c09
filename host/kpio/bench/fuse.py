"""The suite `fuse`: what a file system costs whose driver is a process, with both sides counted, and the same on ext4."""
from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .. import linuxguest, wasmfs
from ..build import Build
from ..errors import KpioError
from ..machine import Machine
from . import abi, kernel, linux
from .table import columns, number

DISK_MIB = 256


@dataclass(frozen=True)
class Row:
    name: str
    what: str
    reach: float    # instructions, or over `beside`; 0: none
    beside: str = ""  # the row of the same on ext4, or in a native driver


ROWS = [
    Row("fuse_stat_uncached", "by name, nothing may be cached", 4000),
    Row("fuse_read_4k_direct", "pread of 4 KiB past the cache", 3500),
    Row("fuse_read_1m_direct", "pread of 1 MiB past the cache", 1.2, "ext4_read_1m_warm"),
    Row("fuse_create_unlink", "create, open, close, unlink", 15000),
    Row("fuse_stat_warm", "by name, cached", 1.05, "ext4_stat_warm"),
    Row("fuse_read_warm_4k", "pread of 4 KiB from the page cache", 1.05, "ext4_read_warm_4k"),
    Row("wasmfs_read_4k", "pread of 4 KiB past the cache, driver in WebAssembly", 1.3, "fuse_read_4k_direct"),
    Row("wasmfs_read_1m", "pread of 1 MiB past the cache, driver in WebAssembly", 0, "fuse_read_1m_direct"),
    Row("wasmfs_stat_uncached", "by name, driver in WebAssembly", 0, "fuse_stat_uncached"),
]


# The same libfuse program (tests/bench/linux/devfuse.c) over /dev/fuse, on KPIO and on Linux.
AGAINST = [
    abi.Row("devfuse_stat_uncached", 0.5, "by name, nothing may be cached"),
    abi.Row("devfuse_read_4k", 0.5, "pread of 4 KiB past the cache"),
]


def boot(build: Build, detail, extra: tuple = ()) -> list[dict]:
    with tempfile.TemporaryDirectory(prefix="kpio-fuse-") as folder:
        image, initrd = Path(folder, "disk"), Path(folder, "initrd")
        linux.make_disk(image, DISK_MIB)
        initrd.write_bytes(linuxguest.archive(build.initrd.read_bytes(), [], {}, wasmfs.boot_files({"memory": wasmfs.sample("memory")})))
        build = copy.copy(build)
        build.initrd = initrd
        machine = Machine(accelerator="icount", net="none", rng=False, extra=(*linux.disk_arguments(image), *extra))
        return kernel.boot(build, machine, "fuse", detail, "disk_timeout=0s root=tmpfs")


def measure(build: Build, detail=lambda text: None) -> dict[str, dict]:
    return {line["name"]: line for line in boot(build, detail)}


def profile(build: Build, name: str, detail=lambda text: None) -> list[tuple[str, float]]:
    return kernel.profile(build, name, detail, boot)


def results(measured: dict) -> list[dict]:
    """A line for each row; with what ext4 takes and the ratio where the two stand side by side."""
    missing = [name for row in ROWS for name in (row.name, row.beside) if name and name not in measured]
    if missing:
        raise KpioError(f"the guest measured nothing for {', '.join(missing)}")
    lines = []
    for row in ROWS:
        line = {**measured[row.name], "reach": row.reach or None, "what": row.what}
        if row.beside:
            other = measured[row.beside]["value"]
            line.update(beside=row.beside, other=other, ratio=round(line["value"] / other, 3))
        lines.append(line)
    return lines


def table(lines: list[dict]) -> str:
    rows = [["insns", "KPIO", "beside", "ratio", "reach", "", "what"]]
    for line in lines:
        ratio = line.get("ratio")
        reached = line["reach"] and (line["value"] if ratio is None else ratio) <= line["reach"]
        verdict = "reached" if reached else "short" if line["reach"] else ""
        rows.append([line["name"], number(line["value"]), number(line.get("other")), f"{ratio:.2f}" if ratio else "",
                     f"{line['reach']:,}" if line["reach"] else "", verdict, line["what"]])
    return columns(rows)
