"""One run of a guest: QEMU started, its console followed, a hang found, the way it ended told."""
from __future__ import annotations

import enum
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Callable, Iterator, Optional

from . import command
from .errors import MISSING, KpioError
from .machine import EXIT_FAILURE, EXIT_SUCCESS, Machine

POLL_SECONDS = 0.02
HANG_SECONDS = 600.0  # of a busy machine; more than the limits of suites (kt_soon), which tell more
TAIL_LINES = 40


class End(enum.Enum):
    """How a guest ended."""

    SUCCESS = "ended with success"
    FAILURE = "ended with failure"
    OFF = "powered off or reset"  # without a verdict: QEMU does not tell the one from the other
    HUNG = "hung"
    ERROR = "QEMU failed"


class Outcome:
    def __init__(self, end: End, detail: str, lines: list[str], seconds: float):
        self.end = end
        self.detail = detail  # one line: what happened
        self.lines = lines  # of the console
        self.seconds = seconds

    def report(self) -> str:
        """What happened, and the last console lines."""
        shown = [line for line in self.lines if not line.startswith("KCOV ")][-TAIL_LINES:]
        return "\n".join([self.detail, f"the last {len(shown)} console lines:", *("  " + line for line in shown)])


class Guest:
    """A context manager: leaving it ends QEMU, whatever happened.

    The console goes through a file, so that the guest never waits for the host to read.
    """

    def __init__(self, machine: Machine, kernel: Path, initrd: Optional[Path], append: str = ""):
        self.folder = tempfile.TemporaryDirectory(prefix="kpio-guest-")
        self.console = Path(self.folder.name, "console")
        self.console.touch()
        self.argv = machine.arguments(kernel, initrd, append)
        self.argv += ["-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console"]
        self.lines: list[str] = []
        self.started = time.monotonic()
        with open(Path(self.folder.name, "qemu"), "wb") as errors:
            try:
                self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=errors,
                                                stderr=subprocess.STDOUT, start_new_session=True)
            except FileNotFoundError:
                self.folder.cleanup()
                raise KpioError(f"no {self.argv[0]} on this machine: see `./kpio doctor`", MISSING) from None

    def __enter__(self) -> "Guest":
        return self

    def __exit__(self, *_: object) -> None:
        command.kill_group(self.process)
        self.folder.cleanup()

    def follow(self, silence: float = HANG_SECONDS, total: Optional[float] = None,
               stop: Optional[threading.Event] = None) -> Iterator[str]:
        """The console's lines as they come, until QEMU ends, or says nothing for `silence` seconds, or has run
        for `total` seconds (ten times `silence` unless given), or `stop` is set."""
        deadline = self.started + (total or 10 * silence)
        heard = time.monotonic()
        partial = b""
        with open(self.console, "rb") as console:
            while True:
                ended = self.process.poll() is not None
                data = console.read()
                now = time.monotonic()
                if data:
                    heard = now
                    *whole, partial = (partial + data).split(b"\n")
                    for line in whole:
                        yield self.keep(line)
                elif ended:
                    break
                if now > deadline or now - heard > silence or stop and stop.is_set():
                    break
                if not data:
                    time.sleep(POLL_SECONDS)
        if partial:
            yield self.keep(partial)

    def keep(self, raw: bytes) -> str:
        line = raw.decode(errors="replace").rstrip("\r")
        self.lines.append(line)
        return line

    def run(self, silence: float = HANG_SECONDS, total: Optional[float] = None,
            on_line: Optional[Callable[[str], None]] = None) -> Outcome:
        """Follows the guest to its end."""
        for line in self.follow(silence, total):
            if on_line:
                on_line(line)
        return self.outcome()

    def outcome(self) -> Outcome:
        seconds = time.monotonic() - self.started
        status = self.process.poll()
        if status is None:
            end, detail = End.HUNG, f"the guest hung: stopped after {seconds:.0f} s"
        elif status == EXIT_SUCCESS:
            end, detail = End.SUCCESS, "the guest ended with success"
        elif status == 0:
            end, detail = End.OFF, "the guest powered off or reset (triple fault?) without a verdict"
        elif status == EXIT_FAILURE:
            end, detail = End.FAILURE, "the guest panicked or ended with failure"
        else:
            said = Path(self.folder.name, "qemu").read_text(errors="replace").strip()
            end, detail = End.ERROR, f"QEMU ended with status {status}: {said or 'it said nothing'}"
        return Outcome(end, detail, self.lines, seconds)


def boot(machine: Machine, kernel: Path, initrd: Optional[Path], append: str = "", *,
         silence: float = HANG_SECONDS, total: Optional[float] = None,
         on_line: Optional[Callable[[str], None]] = None) -> Outcome:
    """Boots a guest and follows it to its end."""
    for needed in (kernel, initrd):
        if needed and not os.path.isfile(needed):
            raise KpioError(f"cannot boot: no file {needed}")
    with Guest(machine, kernel, initrd, append) as guest:
        return guest.run(silence, total, on_line)
