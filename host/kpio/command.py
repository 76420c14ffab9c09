"""Running other programs: with a time limit, their output kept, errors that name the command."""
from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from pathlib import Path
from typing import Callable, Optional, Sequence

from . import progress
from .errors import FAILED, KpioError

TAIL_LINES = 40
LIMIT = 300  # seconds; against hanging, on a busy machine


def open_standard_streams() -> None:
    """What this command was started without is /dev/null: a file opened later would be taken for it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
            os.set_inheritable(number, True)


class Result:
    def __init__(self, status: int, lines: list[str]):
        self.status = status
        self.lines = lines

    def tail(self) -> str:
        return "\n".join(self.lines[-TAIL_LINES:])


def run(argv: Sequence[str], *, limit: float, cwd: Optional[Path] = None, env: Optional[dict] = None,
        on_line: Optional[Callable[[str], None]] = None) -> Result:
    """Runs a program to its end and returns its status and the lines of both its outputs.

    After `limit` seconds the program and all it started are killed, and the status is 124.
    """
    process = subprocess.Popen(list(argv), cwd=cwd, env=None if env is None else {**os.environ, **env},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace", start_new_session=True)
    expired = threading.Event()

    def kill() -> None:
        expired.set()
        kill_group(process)

    timer = threading.Timer(limit, kill)
    timer.daemon = True
    timer.start()
    lines: list[str] = []
    try:
        for line in process.stdout:
            line = line.rstrip("\n")
            lines.append(line)
            if progress.verbose:
                progress.say(line)
            if on_line:
                on_line(line)
        status = process.wait()
    finally:
        timer.cancel()
        kill_group(process)
        process.stdout.close()
    if expired.is_set():
        lines.append(f"stopped after {limit:.0f} s")
        status = 124
    return Result(status, lines)


def check(argv: Sequence[str], *, limit: float = LIMIT, status: int = FAILED, **options) -> Result:
    """As run(), but a failure ends the command with the program's last lines."""
    result = run(argv, limit=limit, **options)
    if result.status != 0:
        raise KpioError(f"{shlex.join(argv)}: exit status {result.status}\n{result.tail()}", status)
    return result


def interrupt_once() -> None:
    """SIGINT and SIGTERM raise KeyboardInterrupt, but the first of them only: cleaning up is not interrupted, when a
    terminal or timeout(1) tells each process of a group and the parent tells the child again."""
    def interrupt(number: int, frame: object) -> None:
        for known in (signal.SIGINT, signal.SIGTERM):
            signal.signal(known, signal.SIG_IGN)
        raise KeyboardInterrupt

    for known in (signal.SIGINT, signal.SIGTERM):
        signal.signal(known, interrupt)


def kill_group(process: subprocess.Popen) -> None:
    """Kills the program and whatever it left behind; it was started as leader of its own group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()
