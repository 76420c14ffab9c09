"""A program on a pseudo-terminal, driven as a person would."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time


class Terminal:
    def __init__(self, argv, rows=30, columns=100, **environment):
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(environment)
            os.execvp(argv[0], argv)
        self.resize(rows, columns)

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

    def read_until(self, pattern, seconds=60):
        """The screen up to what the pattern matches, which must come soon."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            data = self.read(end - time.monotonic())
            assert data, f"no {pattern!r} within {seconds} s; the terminal says:\n{self.text!r}"
            self.text += data
        found, self.text = self.text, ""
        return found

    def status(self, seconds=60):
        """The exit status of the program, which must end soon."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.text += self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        raise AssertionError(f"it did not end within {seconds} s; the terminal says:\n{self.text!r}")

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        os.close(self.fd)
