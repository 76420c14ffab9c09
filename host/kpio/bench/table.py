"""Results for people: aligned columns."""
from __future__ import annotations

from typing import Optional

from .plugin import COUNTS
from .reference import KERNEL, Reference


def number(value: Optional[float]) -> str:
    if value is None:
        return ""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}"


def columns(rows: list[list[str]], left: int = 1) -> str:
    """The rows under each other; the first `left` columns start left, the others end right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) if i < left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def verdict(reference: Reference, results: dict) -> str:
    if reference.name not in results:
        return "missing"
    limit = reference.limit(results)
    if limit is None:
        return ""
    return "reached" if results[reference.name]["value"] <= limit else "short"


def kernel_row(reference: Reference, results: dict, linux: Optional[dict]) -> list[str]:
    result = results.get(reference.name, {})
    measured = linux.get(reference.linux_test, {}).get("ns") if linux is not None else reference.linux
    ratio = measured / result["value"] if linux is not None and measured and result.get("value") else None
    row = [reference.name, number(result.get("value")), number(reference.limit(results)), verdict(reference, results),
           reference.sel4, number(measured)]
    if linux is not None:
        row.append(f"{ratio:.1f}" if ratio else "")
    return row + [number(result.get(count)) for count in COUNTS]


def kernel(results: dict, linux: Optional[dict]) -> str:
    """The kernel suite beside reach, seL4 and Linux; with `linux` its numbers are those measured now."""
    heading = ["insns", "KPIO", "reach", "", "seL4", "Linux now" if linux is not None else "Linux 6.1"]
    heading += (["Linux/KPIO"] if linux is not None else []) + list(COUNTS)
    rows = [heading] + [kernel_row(reference, results, linux) for reference in KERNEL]
    known = {reference.name for reference in KERNEL}
    for name, result in results.items():
        if name not in known:
            rows.append([name, number(result.get("value"))] + [""] * (len(heading) - 2 - len(COUNTS)) +
                        [number(result.get(count)) for count in COUNTS])
    return columns(rows)


def scale(results: list[dict]) -> str:
    heading = ["benchmark", "CPUs", "operations", "shared lines", "writes to them/op", "locked/op", "worst line"]
    rows = [heading]
    for result in results:
        worst = result["worst"][0] if result["worst"] else None
        where = f"{worst['line']} by {worst['by']}, CPUs {worst['cpus']}" if worst else ""
        rows.append([result["name"], str(result["cpus"]), number(result["ops"]), number(result["shared_lines"]),
                     f"{result['shared_writes_per_op']:.4f}", number(result["locked"]), where])
    return columns(rows)


def linux(results: dict) -> str:
    rows = [["insns", "median", "min", "max"]]
    for name, result in results.items():
        if "ns" in result:
            rows.append([name, *(number(result.get(key)) for key in ("ns", "min", "max"))])
        elif "error" in result:
            rows.append([name, result["error"], "", ""])
    return columns(rows)
