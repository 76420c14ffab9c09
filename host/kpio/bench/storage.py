"""The suite `storage`: what files on ext4 cost, beside Linux on an image of the same bytes in the same QEMU."""
from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .. import guest
from ..build import Build
from ..errors import KpioError
from ..machine import Machine
from . import linux
from .kernel import SILENCE, json_lines
from .table import columns, number

DISK_MIB = 8192  # sparse; blocks of 4 KiB
COUNTS = ("requests", "interrupts")  # of the disk, for an operation
WORDS = "disk_read,disk_overwrite,disk_append,disk_write,disk_create,disk_stat,disk_unlink,disk_mount,many,tmp_read,tmp_write"


@dataclass(frozen=True)
class Row:
    name: str
    what: str
    reach: float       # KPIO over Linux
    linux_test: str    # in tests/bench/linux/bench.c


ROWS = [
    Row("read_warm_4k", "pread of 4 KiB from the page cache", 0.5, "disk_read_4k_warm"),
    Row("read_warm_1m", "sequential, 64 KiB at a time, per MiB", 0.75, "disk_read_seq_warm_1MiB"),
    Row("read_cold_1m", "the same with nothing cached, per MiB", 0.4, "disk_read_seq_cold_1MiB"),
    Row("read_rand_4k_cold", "pread of 4 KiB here and there, nothing cached", 0.6, "disk_read_rand_4k_cold"),
    Row("overwrite_4k_fsync", "4 KiB that have blocks, and fsync", 0.6, "disk_overwrite_4k_fsync"),
    Row("append_4k_fsync", "4 KiB at the end, and fsync", 0.5, "disk_append_4k_fsync"),
    Row("write_seq_1m", "a new file, one fsync at its end, per MiB", 0.7, "disk_write_seq_1MiB"),
    Row("create_1k", "create, write 1 KiB, close; 1,000 files", 0.5, "disk_create_1k"),
    Row("stat", "by name, 1,000 files", 0.3, "disk_stat"),
    Row("unlink", "1,000 files", 0.5, "disk_unlink"),
    Row("create_1k_100k", "the same with 100,000 files", 0.5, "many_create_1k"),
    Row("stat_100k", "", 0.3, "many_stat"),
    Row("unlink_100k", "", 0.5, "many_unlink"),
    Row("mount", "8 GiB, clean", 0.3, "disk_mount"),
    Row("tmp_read_4k", "pread of 4 KiB of a file in memory", 0.6, "tmp_read_4k"),
    Row("tmp_write_4k", "pwrite of 4 KiB that are there, in memory", 0.6, "tmp_write_4k"),
]


def machine(image: Path) -> Machine:
    return Machine(accelerator="icount", net="none", rng=False, extra=linux.disk_arguments(image))


def measure_kpio(build: Build, detail=lambda text: None) -> dict[str, dict]:
    with tempfile.TemporaryDirectory(prefix="kpio-storage-") as folder:
        image = Path(folder, "disk")
        linux.make_disk(image, DISK_MIB)
        outcome = guest.boot(machine(image), build.kernel, build.initrd, "kpio.bench=storage nokaslr disk_timeout=0s", silence=SILENCE,
                             total=12 * SILENCE, on_line=detail)
    if outcome.end is not guest.End.SUCCESS:
        raise KpioError(f"the benchmark guest did not reach its end: {outcome.report()}")
    return {line["name"]: line for line in json_lines(outcome.lines)}


def measure_linux(detail=lambda text: None) -> dict[str, dict]:
    with tempfile.TemporaryDirectory(prefix="kpio-storage-") as folder:
        image = Path(folder, "disk")
        linux.make_disk(image, DISK_MIB)
        return linux.measure([WORDS], detail=detail, image=image)


def results(kpio: dict, other: Optional[dict]) -> list[dict]:
    """A line for each row that was measured; with Linux's value, counts and the ratio where there is one."""
    lines = []
    for row in ROWS:
        if row.name not in kpio:
            continue
        line = {**kpio[row.name], "reach": row.reach}
        linux_line = (other or {}).get(row.linux_test, {})
        if linux_line.get("ns"):
            line.update(linux=linux_line["ns"], ratio=round(line["value"] / linux_line["ns"], 3))
            line.update({f"linux_{count}": linux_line[count] for count in COUNTS if count in linux_line})
        lines.append(line)
    return lines


def table(lines: list[dict]) -> str:
    what = {row.name: row.what for row in ROWS}
    heading = ["insns", "KPIO", "Linux", "KPIO/Linux", "reach", ""]
    rows = [heading + [text for count in COUNTS for text in (count, "Linux")] + ["what"]]
    for line in lines:
        ratio = line.get("ratio")
        verdict = "" if ratio is None else "reached" if ratio <= line["reach"] else "short"
        counts = [few(line.get(prefix + count)) for count in COUNTS for prefix in ("", "linux_")]
        rows.append([line["name"], number(line["value"]), number(line.get("linux")), f"{ratio:.2f}" if ratio else "",
                     str(line["reach"]), verdict, *counts, what[line["name"]]])
    return columns(rows)


def few(count: Optional[float]) -> str:
    """Of something that an operation does some times or seldom."""
    return "" if count is None else f"{count:,.2f}"
