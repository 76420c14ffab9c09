"""Errors that end the command, and the exit statuses of `kpio`."""

OK = 0
FAILED = 1  # what was asked for ran and failed: a test, the demonstration, a guest that panicked
USAGE = 2
MISSING = 3  # this machine lacks something, and it may not be installed from here
BUILD = 4
HANG = 5  # a guest said nothing for longer than its limit
INTERRUPTED = 130

STATUS_HELP = """exit status:
  0  success            1  it ran and failed (tests, guest)   2  wrong usage
  3  something missing  4  the build failed                   5  the guest hung
  130  interrupted"""


class KpioError(Exception):
    """Ends the command with a message that says what is wrong and where."""

    def __init__(self, message: str, status: int = FAILED):
        super().__init__(message)
        self.status = status
