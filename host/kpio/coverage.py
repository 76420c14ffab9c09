"""Line coverage of the kernel, from the places that a guest of a coverage build printed (tests/guest/kt/coverage.h).

The compiler counts basic blocks. A line is what a block begins with; it is covered if one of its blocks ran.
"""
from __future__ import annotations

import subprocess
from collections import defaultdict
from pathlib import Path

from .elf import Elf
from .errors import KpioError
from .paths import ROOT

SYMBOLIZER = "llvm-symbolizer-19"
MARK = "KCOV "


def places(lines: list[str]) -> dict[int, bool]:
    """Offsets in the kernel image, and whether what is there ran."""
    found: dict[int, bool] = {}
    for line in lines:
        if line.startswith(MARK):
            for word in line.split()[1:]:
                offset = int(word.rstrip("+"), 16)
                found[offset] = found.get(offset, False) or word.endswith("+")
    return found


def source_lines(kernel: Path, addresses: list[int]) -> list[str]:
    """FILE:LINE of each address, relative to the tree; "" where it has none."""
    done = subprocess.run([SYMBOLIZER, f"--obj={kernel}", "--no-inlines", "--functions=none", "--output-style=LLVM"],
                          input="\n".join(map(hex, addresses)), capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise KpioError(f"{SYMBOLIZER} failed: {done.stderr}")
    answers = [block.strip() for block in done.stdout.split("\n\n") if block.strip()]
    if len(answers) != len(addresses):
        raise KpioError(f"{SYMBOLIZER} answered {len(answers)} of {len(addresses)} addresses")
    return [source_of(answer) for answer in answers]


def source_of(answer: str) -> str:
    path, line = answer.splitlines()[-1].rsplit(":", 2)[:2]
    if "?" in path or line == "0":
        return ""
    path = path.replace(f"{ROOT}/", "").removeprefix("./")
    return f"{path}:{line}"


def covered_lines(kernel: Path, found: dict[int, bool]) -> dict[str, bool]:
    """Source lines with code, and whether they ran."""
    symbols = {name: address for address, name in Elf(kernel).symbols(every=True)}
    base, offsets = symbols["kernel_image_start"], sorted(found)
    lines: dict[str, bool] = {}
    for offset, line in zip(offsets, source_lines(kernel, [base + offset for offset in offsets])):
        if line:
            lines[line] = lines.get(line, False) or found[offset]
    return lines


def summary(lines: dict[str, bool]) -> tuple[float, str]:
    """Per cent of all lines, and a text that tells it for each folder."""
    folders: dict[str, list[bool]] = defaultdict(list)
    for line, ran in lines.items():
        folders[line.rpartition("/")[0]].append(ran)
    percent = 100 * sum(lines.values()) / len(lines) if lines else 0.0
    parts = [f"{folder} {100 * sum(ran) / len(ran):.0f} %" for folder, ran in sorted(folders.items())]
    return percent, f"{percent:.1f} % of {len(lines)} lines: " + ", ".join(parts)
