"""A Linux program of the host, run in a guest (drivers/console/hostrun): its streams and its exit status are the command's own."""
from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Optional

from . import command, folders, libraries, linuxguest
from .build import Build
from .errors import KpioError
from .machine import Disk, Machine
from .rootfs import image, tree

APPEND = "kpio.mode=run"
PIECE = 65536  # bytes that are read at once
HEADER, SIZE = struct.Struct("<II"), struct.Struct("<I")  # of a frame to this side, and of one to the guest
OUTPUT, ERROR, STATUS, NOT_STARTED = 1, 2, 3, 4  # kinds of frames
NAMES = {OUTPUT: "output", ERROR: "error output"}
STOPPED = 124  # as timeout(1) says it
FOLDER = "/run"
INPUT = 0


def root_disk(groups: tuple = ("shell",)) -> Disk:
    """The Debian root; what is written goes with the guest."""
    return Disk(image.cached(groups), durable=False, snapshot=True)


def write_all(number: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(number, data):]
        except BlockingIOError:  # whoever started this command may have made it so
            select.select([], [number], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise KpioError(f"what the program wrote to its {NAMES[number]} is lost: {error.strerror}") from None


class Session:
    """A program in a guest: the frames of its streams (drivers/console/hostrun/streams.h), and the console, which is the system's."""

    def __init__(self, process: subprocess.Popen, port: socket.socket, verbose: bool, write=write_all):
        """write(number, bytes) is given what the program wrote to its output (1) or error output (2)."""
        self.process, self.port, self.verbose, self.write = process, port, verbose, write
        self.console = [process.stdout]  # none once it has ended
        self.frames = bytearray()  # what came and is no whole frame yet
        self.said = b""            # by the system: no whole line yet
        self.input = bytearray()   # for the guest, which has not taken it yet
        self.input_ended = False
        self.status: Optional[int] = None
        port.setblocking(False)

    def frame(self, kind: int, data: bytes) -> None:
        if kind in (OUTPUT, ERROR):
            self.write(kind, data)
        elif kind == STATUS:
            self.status = int.from_bytes(data, "little")
        elif kind == NOT_STARTED:
            raise KpioError(f"the program could not be started: {reason(data.decode(errors='replace'))}")

    def receive(self) -> bool:
        """Reads what the program wrote; False at its end."""
        try:
            data = self.port.recv(PIECE)
        except ConnectionError:
            data = b""
        self.frames += data
        at = 0
        while len(self.frames) - at >= HEADER.size:
            kind, size = HEADER.unpack_from(self.frames, at)
            if len(self.frames) - at - HEADER.size < size:
                break
            self.frame(kind, self.frames[at + HEADER.size:at + HEADER.size + size])
            at += HEADER.size + size
        del self.frames[:at]
        return bool(data)

    def listen(self) -> bool:
        """Reads what the system said; False at its end."""
        data = os.read(self.process.stdout.fileno(), PIECE)
        *lines, self.said = (self.said + data).split(b"\n")
        for line in lines if self.verbose else ():
            print(line.rstrip(b"\r").decode(errors="replace"), file=sys.stderr, flush=True)
        return bool(data)

    def take_input(self) -> None:
        try:
            data = os.read(INPUT, PIECE)
        except BlockingIOError:
            return
        except OSError:  # it cannot be read
            data = b""
        self.input_ended = not data
        self.input += SIZE.pack(len(data)) + data

    def give_input(self) -> None:
        try:
            del self.input[:self.port.send(self.input)]
        except ConnectionError:  # the guest has ended, which its output tells
            self.input.clear()
            self.input_ended = True

    def step(self, deadline: Optional[float]) -> bool:
        """Waits for something to pass on, and passes it on; False when the deadline came first."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        sources = [self.port, *self.console] + ([INPUT] if not self.input and not self.input_ended else [])
        ready, writable, _ = select.select(sources, [self.port] if self.input else [], [], left)
        if self.process.stdout in ready and not self.listen():
            self.console = []
        if self.port in ready and not self.receive():
            raise KpioError("the guest ended before the program did; -v shows what it said")
        if INPUT in ready:
            self.take_input()
        if writable:
            self.give_input()
        return True

    def follow(self, deadline: Optional[float]) -> bool:
        """To the program's end; False when the deadline came first."""
        while self.status is None:
            if not self.step(deadline):
                return False
        return True


def reason(text: str) -> str:
    """Why a guest could not start a program, and what may help."""
    short = text.endswith((": ENOMEM", ": ENOSPC"))
    return text + ("; the guest has too little memory: --memory before the program gives it more" if short else "")


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


@contextlib.contextmanager
def started(machine: Machine, kernel: Path, initrd: Path, append: str, verbose: bool, write=write_all):
    """A guest whose streams go through a socket; it ends with this."""
    port, far = socket.socketpair()
    with port, far:
        argv = replace(machine, streams=far.fileno()).arguments(kernel, initrd, append)
        argv += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=None if verbose else subprocess.DEVNULL,
                                   start_new_session=True, pass_fds=(far.fileno(),))
        far.close()
        try:
            yield Session(process, port, verbose, write)
        finally:
            command.kill_group(process)


def run_in(build: Build, machine: Machine, append: str, ran: linuxguest.Command, files: dict[str, bytes], seconds: Optional[float],
           verbose: bool, name: str = "") -> int:
    """The same for a program of the guest's root, to which these files are added; `name`: what it is called here."""
    with tempfile.TemporaryDirectory(prefix="kpio-run-") as folder:
        initrd = Path(folder, "initrd.cpio")
        ran = replace(ran, one_output=os.path.sameopenfile(OUTPUT, ERROR))  # two streams to one place would come in any order
        initrd.write_bytes(linuxguest.archive(build.initrd.read_bytes(), [ran], files))
        with started(machine, build.kernel, initrd, f"{APPEND} {append}", verbose) as session:
            if not session.follow(time.monotonic() + seconds if seconds else None):
                print(f"kpio: {name or ran.arguments[0]} was stopped after {seconds:g} s", file=sys.stderr)
                return STOPPED
    return session.status >> 8 if session.status & 0x7f == 0 else 128 + (session.status & 0x7f)
