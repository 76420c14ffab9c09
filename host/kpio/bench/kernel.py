"""The suite `kernel`: counts of instructions on one CPU, with what stands beside each of them."""
from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

from .. import guest
from ..build import Build
from ..elf import Elf, Symbols
from ..errors import HANG, USAGE, KpioError
from ..machine import Machine
from . import plugin

SILENCE = 300.0  # seconds; a counted guest is slower than others
GIB = 1024


def json_lines(lines: list[str]) -> list[dict]:
    """The objects among a console's lines."""
    found = []
    for line in lines:
        if not line.startswith("{"):
            continue
        try:
            found.append(json.loads(line))
        except ValueError:
            raise KpioError(f"the guest printed a line that is not JSON: {line}") from None
    return found


def boot(build: Build, machine: Machine, suite: str, on_line=None, words: str = "") -> list[dict]:
    """Boots a benchmark and returns what it printed; a guest that does not come to its end is an error."""
    outcome = guest.boot(machine, build.kernel, build.initrd, f"kpio.bench={suite} nokaslr {words}".rstrip(), silence=SILENCE,
                         on_line=on_line)
    if outcome.end is not guest.End.SUCCESS:
        raise KpioError(f"the benchmark guest did not reach its end: {outcome.report()}",
                        HANG if outcome.end is guest.End.HUNG else 1)
    return json_lines(outcome.lines)


def image_size(build: Build) -> dict:
    size = Elf(build.kernel).loaded_bytes()
    return {"name": "kernel_image", "unit": "bytes", "value": size, "min": size, "max": size, "n": 1}


def boot_kernel(build: Build, detail, extra: tuple) -> list[dict]:
    return boot(build, Machine(memory_mib=GIB, accelerator="icount", net="pair", extra=extra), "kernel", detail)


def profile(build: Build, name: str, detail=lambda text: None, boot_suite=boot_kernel) -> list[tuple[str, float]]:
    """The functions that one benchmark runs, with their instructions for each operation, most first. User programs are one."""
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        out = Path(folder, "counts")
        marks = {line["name"]: line.get("mark") for line in boot_suite(build, detail, plugin.arguments(out, profile=True))}
        record = plugin.read(out).get(marks.get(name))
    if not record:
        raise KpioError(f"there is nothing to profile under the name {name}", USAGE)
    symbols, sums = Symbols(Elf(build.kernel), every=True), Counter()
    for address, count in record["profile"]:
        sums[symbols.name(address).split("+")[0] if address >> 63 else "(user)"] += count
    return [(function, round(count / record["ops"], 2)) for function, count in sums.most_common()]


def measure(build: Build, detail=lambda text: None) -> dict[str, dict]:
    """All results by name, in the order in which they were measured."""
    with tempfile.TemporaryDirectory(prefix="kpio-bench-") as folder:
        out = Path(folder, "counts")
        machine = Machine(memory_mib=GIB, accelerator="icount", net="pair", extra=plugin.arguments(out, lines=False))
        results = {line["name"]: line for line in boot(build, machine, "kernel", detail)}
        counted = plugin.read(out)
    for result in results.values():
        record = counted.get(result.pop("mark", None))
        if record:
            result.update(plugin.per_operation(record))
    large = {line["name"]: line for line in boot(build, Machine(memory_mib=8 * GIB, accelerator="icount"), "boot",
                                                 detail)}
    if "boot_to_init" in large:
        results["boot_to_init_8g"] = {**large["boot_to_init"], "name": "boot_to_init_8g"}
        results["boot_to_init_8g"].pop("mark", None)
    results["kernel_image"] = image_size(build)
    return results
