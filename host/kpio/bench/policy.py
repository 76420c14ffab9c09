"""The suite `cache-policy`: hit ratios of the page cache's policy beside LRU, Clock and the optimum, on the host."""
from __future__ import annotations

import tempfile
from pathlib import Path

from .. import command
from ..build import Build
from ..paths import ROOT
from .kernel import json_lines
from .table import columns

SOURCES = ("kernel/block/test/policy_bench.c", "kernel/block/car.c")
POLICIES = ("car", "lru", "clock", "optimum")
COLOURS = {"car": "#c0392b", "lru": "#2c6fbb", "clock": "#4d9a4d", "optimum": "#999999"}
PLOT = ROOT / "docs" / "cache-policy.svg"
WIDTH, HEIGHT, MARGIN, ACROSS = 280, 190, 44, 3  # of one trace's picture; pictures in a row


def measure(build: Build) -> list[dict]:
    """One line per trace, size and policy; the traces are the same every time."""
    with tempfile.TemporaryDirectory(prefix="kpio-policy-") as folder:
        program = Path(folder, "policy")
        command.check([build.compiler, "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", f"-I{ROOT}",
                       *(str(ROOT / source) for source in SOURCES), "-lm", "-o", str(program)])
        return json_lines(command.check([str(program)], limit=600).lines)


def by_case(results: list[dict]) -> dict[tuple, dict]:
    """(trace, pages) -> policy -> hit ratio."""
    cases: dict = {}
    for result in results:
        cases.setdefault((result["trace"], result["pages"]), {})[result["policy"]] = result["hits"]
    return cases


def ahead(hits: dict) -> str:
    return f"{hits['car'] / hits['lru'] - 1:+.1%}" if hits["lru"] else ""


def table(results: list[dict]) -> str:
    rows = [["hits", "pages", *POLICIES, "car to lru"]]
    for (trace, pages), hits in by_case(results).items():
        rows.append([trace, f"{pages:,}", *(f"{hits[policy]:.1%}" for policy in POLICIES), ahead(hits)])
    return columns(rows)


def picture(trace: str, cases: dict, left: float, top: float) -> list[str]:
    """One trace: hit ratio over the cache's size, whose axis is logarithmic as the sizes double."""
    sizes = [pages for name, pages in cases if name == trace]
    step = (WIDTH - 2 * MARGIN) / (len(sizes) - 1)
    floor = top + HEIGHT - MARGIN
    scale = HEIGHT - 2 * MARGIN
    parts = [f'<text x="{left + WIDTH / 2}" y="{top + 24}" text-anchor="middle" font-weight="bold">{trace}</text>']
    for percent in (0, 50, 100):
        y = floor - scale * percent / 100
        parts.append(f'<line x1="{left + MARGIN}" y1="{y}" x2="{left + WIDTH - MARGIN}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left + MARGIN - 6}" y="{y + 4}" text-anchor="end">{percent} %</text>')
    for index, pages in enumerate(sizes):
        label = str(pages) if pages < 1000 else f"{pages // 1000}k"
        parts.append(f'<text x="{left + MARGIN + index * step:.1f}" y="{floor + 16}" text-anchor="middle">{label}</text>')
    for policy in reversed(POLICIES):
        points = " ".join(f"{left + MARGIN + index * step:.1f},{floor - scale * cases[trace, pages][policy]:.1f}"
                          for index, pages in enumerate(sizes))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[policy]}" stroke-width="2"/>')
    return parts


def plot(results: list[dict]) -> str:
    """All traces as one SVG."""
    cases = by_case(results)
    traces = list(dict.fromkeys(trace for trace, _ in cases))
    rows = -(-len(traces) // ACROSS)
    width, height = ACROSS * WIDTH, rows * HEIGHT + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
             'font-size="11">', f'<rect width="{width}" height="{height}" fill="white"/>']
    for index, trace in enumerate(traces):
        parts += picture(trace, cases, index % ACROSS * WIDTH, index // ACROSS * HEIGHT)
    for index, policy in enumerate(POLICIES):
        x = MARGIN + index * 90
        parts.append(f'<line x1="{x}" y1="{height - 20}" x2="{x + 20}" y2="{height - 20}" stroke="{COLOURS[policy]}" '
                     f'stroke-width="2"/><text x="{x + 26}" y="{height - 16}">{policy}</text>')
    parts.append(f'<text x="{width - MARGIN}" y="{height - 16}" text-anchor="end">hits over pages in the cache</text></svg>')
    return "\n".join(parts) + "\n"
