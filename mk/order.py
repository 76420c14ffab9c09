"""Which functions of a program run, in the order in which they first do, for a linker that is to put them side by side: what is loaded
page by page as it is touched is then few pages. The program is run here with each of the lists of arguments, and has a breakpoint at
every function until that ran.

    order.py PROGRAM -- ARGUMENT... [-- ARGUMENT...]... > ORDER
"""
from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "host"))
from kpio.elf import PT_LOAD, Elf  # noqa: E402

TRACEME, PEEKUSER, POKEUSER, CONTINUE, SETOPTIONS = 0, 3, 6, 7, 0x4200
EXITKILL, TRACECLONE = 0x100000, 0x8
EVENT_CLONE = 3
WALL = 0x40000000  # of waitpid: threads too
RIP = 16 * 8  # in struct user
BREAKPOINT = b"\xcc"
EXECUTABLE = 1
NOT_BEGUN = 127

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> int:
    ctypes.set_errno(0)
    value = libc.ptrace(request, pid, address, data)
    if ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace request {request}: {os.strerror(ctypes.get_errno())}")
    return value


def functions(elf: Elf) -> dict[int, str]:
    """The names of what begins in a segment that may be executed, by address."""
    code = []
    for index in range(elf.segment_count):
        kind, flags, _, address, _, size = struct.unpack_from("<IIQQQQ", elf.data, elf.segments_at + index * elf.segment_size)
        if kind == PT_LOAD and flags & EXECUTABLE:
            code.append(range(address, address + size))
    return {address: name for address, name in elf.symbols() if any(address in part for part in code)}


class Run:
    """One run of the program: `first` gets the addresses of functions as they run for the first time."""

    def __init__(self, argv: list[str], names: dict[int, str], first: dict[int, None]):
        self.names, self.first = names, first
        self.pid = os.fork()
        if self.pid == 0:
            self.become(argv)
        if not os.WIFSTOPPED(os.waitpid(self.pid, 0)[1]):
            raise PermissionError(f"{argv[0]} cannot be traced here")
        ptrace(SETOPTIONS, self.pid, 0, EXITKILL | TRACECLONE)
        self.memory = os.open(f"/proc/{self.pid}/mem", os.O_RDWR)
        self.bytes = {address: os.pread(self.memory, 1, address) for address in names}
        for address in names:
            os.pwrite(self.memory, BREAKPOINT, address)

    @staticmethod
    def become(argv: list[str]) -> None:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1):
                os.dup2(null, fd)
            ptrace(TRACEME, 0)
            os.execv(argv[0], argv)
        finally:
            os._exit(NOT_BEGUN)

    def stopped(self, thread: int, status: int) -> int:
        """The signal with which the thread goes on."""
        number = os.WSTOPSIG(status)
        if number != signal.SIGTRAP:
            return 0 if number == signal.SIGSTOP else number  # a new thread begins with one
        if status >> 16 == EVENT_CLONE:
            return 0
        address = ptrace(PEEKUSER, thread, RIP) - len(BREAKPOINT)
        if address not in self.bytes:
            return number
        # Another thread may have been here at the same time: then the byte is there already.
        os.pwrite(self.memory, self.bytes[address], address)
        ptrace(POKEUSER, thread, RIP, address)
        self.first[address] = None
        return 0

    def to_its_end(self) -> int:
        """Its wait status."""
        ptrace(CONTINUE, self.pid)
        while True:
            thread, status = os.waitpid(-1, WALL)
            if os.WIFSTOPPED(status):
                ptrace(CONTINUE, thread, 0, self.stopped(thread, status))
            elif thread == self.pid:
                os.close(self.memory)
                return status


def order(program: str, runs: list[list[str]]) -> list[str]:
    names, first = functions(Elf(Path(program))), {}
    for arguments in runs:
        status = Run([program, *arguments], names, first).to_its_end()
        if status != 0:
            raise ChildProcessError(f"{' '.join([program, *arguments])}: wait status {status:#x}")
    return [names[address] for address in first]


def main(words: list[str]) -> int:
    runs: list[list[str]] = []
    for word in words[1:]:
        if word == "--":
            runs.append([])
        else:
            runs[-1].append(word)
    try:
        found = order(words[0], runs)
    except PermissionError as error:  # as in a sandbox: it costs those programs some of their speed, and nothing else
        print(f"order.py: {error}: the functions stay in the order in which they are linked", file=sys.stderr)
        found = []
    print("\n".join(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
