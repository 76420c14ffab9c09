"""A guest's console on pipes, read and written as a person would."""
import os
import re
import select
import subprocess
import time

from kpio.guest import HANG_SECONDS


def echo(line):
    """A pattern for a line as the terminal shows it while it is typed: lines of the log may come into it."""
    return "".join(f"(?>(?s:.*?){re.escape(character)})" for character in line) + r"(?s:.*?)\r?\n"


class Console:
    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.text = ""

    def read_until(self, pattern, seconds=HANG_SECONDS):
        """The console up to what the pattern matches, which must come."""
        end = time.monotonic() + seconds
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert data, f"no {pattern!r} within {seconds} s; the console says:\n{self.text}"
            self.text += data.decode(errors="replace")
        found, self.text = self.text, ""
        return found

    def begin(self, seconds=HANG_SECONDS):
        """Until the monitor's prompt stands there, and init has said what it started: that may come into what is typed else."""
        return self.read_until("(?s)(?=.*kpio> )(?=.*services started)", seconds)

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, line, answer, seconds=HANG_SECONDS):
        """Types the line; what is said from then on, to what matches the answer."""
        self.type(line)
        return self.read_until(rf"{echo(line)}(?s:.*?){answer}", seconds)

    def power_off(self):
        """Types that, and reads to the end of all that is said; the exit status of who ran the guest."""
        self.type("poweroff")
        said, _ = self.process.communicate(timeout=HANG_SECONDS)
        self.text += said.decode(errors="replace")
        return self.process.returncode

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=HANG_SECONDS)
        finally:
            self.process.kill()
