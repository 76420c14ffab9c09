"""Progress on stderr: one quiet line on a terminal, plain lines elsewhere."""
from __future__ import annotations

import shutil
import sys
import time
from contextlib import contextmanager

verbose = False  # set by -v: the output of every program run goes through
silent = False  # the output is a program's: only a step that takes long is told, on a terminal, where it leaves no trace
SOON = 1  # seconds after which a silent step is told


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Step:
    """One thing that takes a while. `detail` shows what it is at, on a terminal only."""

    def __init__(self, title: str):
        self.title = title
        self.started = time.monotonic()
        self.on_terminal = sys.stderr.isatty() and not verbose
        self.shown = False
        if self.on_terminal:
            self.detail("")
        elif not silent:
            say(title)

    def detail(self, text: str) -> None:
        if not self.on_terminal:
            return
        seconds = int(time.monotonic() - self.started)
        if silent and seconds < SOON:
            return
        self.shown = True
        line = f"{self.title} ({seconds} s) {text}" if seconds else f"{self.title} {text}"
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{line.rstrip()[:width]}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


@contextmanager
def step(title: str):
    shown = Step(title)
    try:
        yield shown
    finally:
        shown.end()
