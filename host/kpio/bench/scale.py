"""The suite `scale`: which cache lines two CPUs write, for each operation, on 1, 2, 4 and 8 CPUs."""
from __future__ import annotations

import tempfile
from pathlib import Path

from ..build import Build
from ..elf import Elf, Symbols
from ..machine import Machine
from . import plugin
from .kernel import boot

CPUS = (1, 2, 4, 8)


def writers(mask: int) -> str:
    return ",".join(str(cpu) for cpu in range(64) if mask >> cpu & 1)


def describe(worst: dict, symbols: Symbols) -> dict:
    """A shared line in names: where it lies, and the code that wrote it last."""
    return {"line": symbols.name(worst["vaddr"]), "by": symbols.name(worst["pc"]), "writes": worst["writes"],
            "cpus": writers(worst["cpus"])}


def result_of(line: dict, record: dict, cpus: int, symbols: Symbols) -> dict:
    operations = record["ops"] or 1
    return {"name": line["name"], "cpus": cpus, "ops": record["ops"],
            "shared_lines": record["shared_lines"],
            "shared_lines_per_op": round(record["shared_lines"] / operations, 4),
            "shared_writes_per_op": round(record["shared_writes"] / operations, 4),
            **plugin.per_operation(record),
            "worst": [describe(worst, symbols) for worst in record["worst"]]}


def measure(build: Build, detail=lambda text: None, cpus: tuple = CPUS) -> list[dict]:
    """A result for each benchmark and number of CPUs."""
    symbols, results = Symbols(Elf(build.kernel)), []
    for count in cpus:
        detail(f"{count} CPUs")
        with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
            out = Path(folder, "counts")
            machine = Machine(cpus=count, extra=plugin.arguments(out, lines=True))
            lines = boot(build, machine, "scale", detail)
            counted = plugin.read(out)
        results += [result_of(line, counted[line["mark"]], count, symbols) for line in lines
                    if line.get("mark") in counted]
    return results
