"""A program on a pseudo-terminal, driven as a person would."""
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time

from kpio.guest import HANG_SECONDS


class Terminal:
    def __init__(self, argv, rows=30, columns=100, **environment):
        """The terminal has its size before the program begins; `before` is what it was set to then."""
        self.text = ""
        self.fd, program_side = os.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.fd)
        self.pid = os.fork()
        if self.pid == 0:
            os.login_tty(program_side)
            os.environ.update(environment)
            os.execvp(argv[0], argv)
        os.close(program_side)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def read(self, seconds):
        """What comes within that time; nothing at the end."""
        ready, _, _ = select.select([self.fd], [], [], max(0, seconds))
        try:
            return os.read(self.fd, 65536).decode(errors="replace") if ready else ""
        except OSError:  # nobody is on the other side
            return ""

    def read_until(self, pattern, seconds=HANG_SECONDS):
        """The screen up to what the pattern matches, which must come."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            data = self.read(end - time.monotonic())
            assert data, f"no {pattern!r} within {seconds} s; the terminal says:\n{self.text!r}"
            self.text += data
        found, self.text = self.text, ""
        return found

    def status(self, seconds=HANG_SECONDS):
        """The exit status of the program, which must end; all that it has said is in `text` then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.text += self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.pid = 0
                while data := self.read(end - time.monotonic()):
                    self.text += data
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it did not end within {seconds} s; the terminal says:\n{self.text!r}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
