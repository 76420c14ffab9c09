"""This terminal as the guest's (user/libkpio/terminal.h): raw keys to it, its output to the screen, the window's size, the exit status."""
from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
import tty
from typing import Optional

from . import command
from .errors import FAILED, KpioError

ESCAPE = b"\xff"
BEGIN, END, WINDOW = b"b", b"e", b"w"
LEAVE_SECONDS = 60.0  # from the end of the session to the end of the machine
SMALLEST_KEYS = 4096  # bytes that may wait for the guest before keys are left in this terminal
MAYBE_FRAME = re.compile(rb"\xff(e[0-9a-f]?)?\Z")
HELP = b"\r\n~.  ends the machine at once\r\n~~  types one ~\r\n"


def window() -> tuple[int, int]:
    """Rows and columns."""
    try:
        size = os.get_terminal_size(sys.stdin.fileno())
    except OSError:
        return 25, 80
    return (size.lines, size.columns) if size.lines and size.columns else (25, 80)


class Screen:
    """What the guest says, without what is not meant for the screen."""

    def __init__(self, show_all: bool):
        self.begun = False
        self.show_all = show_all
        self.boot = b""
        self.held = b""  # the beginning of a frame whose rest has not come
        self.status: Optional[int] = None

    def take(self, data: bytes) -> bytes:
        """What is to be shown of it."""
        data, self.held = self.held + data, b""
        partial = MAYBE_FRAME.search(data)
        if partial and not data[:partial.start() + 1].endswith(ESCAPE + ESCAPE):
            data, self.held = data[:partial.start()], data[partial.start():]
        shown = b""
        while data:
            text, mark, data = data.partition(ESCAPE)
            shown += self.text(text)
            if mark:
                shown, data = self.frame(shown, data)
        return shown

    def text(self, text: bytes) -> bytes:
        if self.begun and self.status is None:
            return text
        self.boot += b"" if self.begun else text
        return text if self.show_all else b""

    def frame(self, shown: bytes, data: bytes) -> tuple[bytes, bytes]:
        """What stands behind an escape: what is shown with it, and what follows."""
        if data[:1] == ESCAPE:
            return shown + self.text(ESCAPE), data[1:]
        if data[:1] == BEGIN:
            self.begun = True
            return shown, data[1:]
        if re.match(rb"e[0-9a-f]{2}", data):
            self.status = int(data[1:3], 16)
            return shown, data[3:]
        return shown, data


class Keys:
    """What is typed, on its way to the guest. As with ssh, ~ behind Enter is a command to this side."""

    def __init__(self):
        self.waiting = b""
        self.line_start = True
        self.tilde = False
        self.left = False
        self.answer = b""

    def type(self, data: bytes) -> None:
        for key in (data[i:i + 1] for i in range(len(data))):
            if self.tilde:
                self.command(key)
            elif key == b"~" and self.line_start:
                self.tilde = True
            else:
                self.key(key)

    def command(self, key: bytes) -> None:
        self.tilde = False
        if key == b".":
            self.left = True
        elif key == b"?":
            self.answer = HELP
        else:
            self.key(b"~")
            if key != b"~":
                self.key(key)

    def key(self, key: bytes) -> None:
        self.waiting += key * 2 if key == ESCAPE else key
        self.line_start = key in b"\r\n\x03\x04"

    def resize(self) -> None:
        self.waiting += ESCAPE + WINDOW + b"%04x%04x" % window()


class Terminal:
    """A guest on this terminal, up to the end of both."""

    def __init__(self, process: subprocess.Popen, show_all: bool):
        self.process = process
        self.screen, self.keys = Screen(show_all), Keys()
        self.resized, self.resize_told = os.pipe()
        os.set_blocking(self.resize_told, False)
        os.set_blocking(process.stdin.fileno(), False)

    def follow(self) -> None:
        output, given = self.process.stdout.fileno(), self.process.stdin.fileno()
        typing, deadline = True, None
        while not self.keys.left:
            if self.screen.status is not None and deadline is None:
                deadline = time.monotonic() + LEAVE_SECONDS
            sources = [output, self.resized] + ([0] if typing and len(self.keys.waiting) < SMALLEST_KEYS else [])
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready, writable, _ = select.select(sources, [given] if self.keys.waiting else [], [], left)
            if left == 0.0:
                return
            if self.resized in ready:
                os.read(self.resized, 64)
                self.keys.resize()
            if 0 in ready:
                typing = self.read_keys()
            if writable:
                self.give(given)
            if output in ready and not self.show(output):
                return

    def read_keys(self) -> bool:
        data = os.read(0, 1024)
        self.keys.type(data)
        if self.keys.answer:
            write_all(self.keys.answer)
            self.keys.answer = b""
        if not data:
            self.keys.left = True  # the terminal is gone
        return bool(data)

    def give(self, given: int) -> None:
        try:
            self.keys.waiting = self.keys.waiting[os.write(given, self.keys.waiting):]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.keys.waiting = b""  # it is ending: its output says so

    def show(self, output: int) -> bool:
        data = os.read(output, 65536)
        write_all(self.screen.take(data))
        return bool(data)


def write_all(data: bytes) -> None:
    while data:
        data = data[os.write(1, data):]


def run(argv: list[str], show_all: bool) -> int:
    """Runs QEMU with the guest's console here. The exit status is the guest's program's. Whatever becomes of it, this terminal is as it
    was afterwards, and QEMU is gone."""
    saved = termios.tcgetattr(0)
    process = subprocess.Popen([*argv, "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if show_all else subprocess.DEVNULL,
                               start_new_session=True, bufsize=0)
    terminal = Terminal(process, show_all)
    before = signal.signal(signal.SIGWINCH, lambda *_: os.write(terminal.resize_told, b"w"))
    signal.signal(signal.SIGHUP, signal.getsignal(signal.SIGTERM))
    try:
        tty.setraw(0, termios.TCSADRAIN)
        terminal.follow()
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)
        signal.signal(signal.SIGWINCH, before)
        command.kill_group(process)
    return verdict(terminal)


def verdict(terminal: Terminal) -> int:
    screen = terminal.screen
    if screen.status is not None:
        return screen.status
    if terminal.keys.left:
        print("\nkpio: the machine was ended", file=sys.stderr)
        return FAILED
    said = "" if screen.begun else "\n" + "\n".join(screen.boot.decode(errors="replace").replace("\r", "").splitlines()[-20:])
    raise KpioError(f"the machine ended before the shell did{said}")
