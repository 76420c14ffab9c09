"""A Linux program of the host, run in a guest (user/hostrun/main.c): its streams and its exit status are the command's own."""
from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Optional

from . import command, folders, libraries, linuxguest
from .build import Build
from .errors import KpioError
from .machine import Disk, Machine
from .rootfs import image, tree

APPEND = "kpio.mode=run"
INPUT_BYTES = 2048  # of one answer, as the guest takes them
STOPPED = 124  # as timeout(1) says it
FOLDER = "/run"


def root_disk(groups: tuple = ("shell",)) -> Disk:
    """The Debian root; what is written goes with the guest."""
    return Disk(image.cached(groups), durable=False, snapshot=True)


class Session:
    """One guest and its console, whose lines are either frames or what the system says."""

    def __init__(self, process: subprocess.Popen, verbose: bool):
        self.process = process
        self.verbose = verbose
        self.partial = b""
        self.wants_input = False
        self.input_ended = False
        self.status: Optional[int] = None

    def line(self, line: bytes) -> None:
        kind, _, rest = line.removeprefix(b"KRUN ").partition(b" ")
        if not line.startswith(b"KRUN "):
            if self.verbose:
                print(line.decode(errors="replace"), file=sys.stderr, flush=True)
        elif kind in (b"1", b"2"):
            write_all(int(kind), bytes.fromhex(rest.decode()))
        elif kind == b"r":
            self.wants_input = True
        elif kind == b"x":
            self.status = int(rest, 16)
        elif kind == b"e":
            raise KpioError(f"the program could not be started: {reason(rest.decode(errors='replace').strip())}")

    def console(self) -> bool:
        """Reads what the guest said; False at its end."""
        data = os.read(self.process.stdout.fileno(), 65536)
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            self.line(line.rstrip(b"\r"))
        return bool(data)

    def give_input(self) -> None:
        data = os.read(0, INPUT_BYTES)
        self.wants_input, self.input_ended = False, not data
        self.process.stdin.write(data.hex().encode() + b"\n")
        self.process.stdin.flush()

    def follow(self, deadline: Optional[float]) -> bool:
        """To the program's end; False when the deadline came first."""
        while self.status is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            sources = [self.process.stdout] + ([0] if self.wants_input and not self.input_ended else [])
            ready, _, _ = select.select(sources, [], [], left)
            if self.process.stdout in ready and not self.console():
                raise KpioError("the guest ended before the program did; -v shows what it said")
            if 0 in ready:
                self.give_input()
        return True


def reason(text: str) -> str:
    """Why a guest could not start a program, and what may help."""
    short = text.endswith((": ENOMEM", ": ENOSPC"))
    return text + ("; the guest has too little memory: --memory before the program gives it more" if short else "")


def write_all(number: int, data: bytes) -> None:
    while data:
        data = data[os.write(number, data):]


def run(build: Build, file: Path, arguments: list[str], machine: Machine, environment: dict, seconds: Optional[float], append: str,
        verbose: bool, shares: tuple = ()) -> int:
    """Runs a program of this machine. The exit status: the program's, 128 and a signal's number, or 124 when its time was up."""
    program, root = libraries.read(file), "tmpfs"
    place = f"{FOLDER}/{file.name}"
    files = {place: file.read_bytes()}
    if program.interpreter:
        machine, root = machine.with_disk(root_disk())
        files.update(libraries.brought(file, program, tree.make("shell")))
    ran = linuxguest.Command((str(file), *arguments), environment, folders.directory_in(shares, "/"), place)
    with folders.Served(machine, shares) as served:
        return run_in(build, served.machine, f"root={root} {served.words} {append}".strip(), ran, files, seconds, verbose)


def run_in(build: Build, machine: Machine, append: str, ran: linuxguest.Command, files: dict[str, bytes], seconds: Optional[float],
           verbose: bool) -> int:
    """The same for a program of the guest's root, to which these files are added."""
    with tempfile.TemporaryDirectory(prefix="kpio-run-") as folder:
        initrd = Path(folder, "initrd.cpio")
        initrd.write_bytes(linuxguest.archive(build.initrd.read_bytes(), [ran], files))
        argv = machine.arguments(build.kernel, initrd, f"{APPEND} {append}")
        argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if verbose else subprocess.DEVNULL,
                                   start_new_session=True)
        session = Session(process, verbose)
        try:
            if not session.follow(time.monotonic() + seconds if seconds else None):
                print(f"kpio: {ran.arguments[0]} was stopped after {seconds:g} s", file=sys.stderr)
                return STOPPED
        finally:
            command.kill_group(process)
    return session.status >> 8 if session.status & 0x7f == 0 else 128 + (session.status & 0x7f)
