"""The interactive verbs, driven as their user drives them."""
import re
import subprocess
import sys

import pytest
from console import Console
from kpio import packages
from kpio.guest import HANG_SECONDS
from kpio.paths import ROOT

KPIO = [sys.executable, str(ROOT / "kpio")]


class Shell(Console):
    """`kpio shell --monitor` on pipes."""

    def __init__(self, *options):
        super().__init__([*KPIO, "shell", "--monitor", *options])


@pytest.fixture
def shell(system):
    opened = Shell("--smp", "2")
    yield opened
    opened.close()


def test_shell(shell):
    shell.begin()
    listed = shell.ask("ps", r"running\s.*\bshell\r?\n(?s:.*)kpio> ")
    assert re.search(r"\b1\s+\d+\s+running.*\binit\b", listed)
    shell.ask("memory", r"(?i:free)(?s:.*)kpio> ")
    shell.ask("no_such_command", r"no_such_command: no such command(?s:.*)kpio> ")
    assert shell.power_off() == 0, "power-off ends QEMU with success"


@pytest.mark.skipif(packages.find_tool("gdb") is None, reason="no gdb here: ./kpio debug would install it")
def test_debug_stops_at_a_symbol(system):
    done = subprocess.run([*KPIO, "debug", "--build", "release", "--batch", "-x", "hbreak kernel_main", "-x", "continue",
                           "-x", "backtrace"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HANG_SECONDS)
    assert re.search(r"#0 .*kernel_main \(\)", done.stdout), done.stdout + done.stderr
