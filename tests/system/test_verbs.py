"""The interactive verbs, driven as their user drives them."""
import re
import subprocess
import sys

import pytest
from console import Console
from kpio import packages
from kpio.paths import ROOT

KPIO = [sys.executable, str(ROOT / "kpio")]


class Shell(Console):
    """`kpio shell --monitor` on pipes."""

    def __init__(self, *options):
        super().__init__([*KPIO, "shell", "--monitor", *options])


@pytest.fixture
def shell():
    opened = Shell("--smp", "2")
    yield opened
    opened.close()


def test_shell(shell):
    shell.read_until(r"kpio> ")
    shell.type("ps")
    listed = shell.read_until(r"running\s.*\bshell\r?\n[^$]*kpio> ")
    assert re.search(r"\b1\s+\d+\s+running.*\binit\b", listed)
    shell.type("memory")
    shell.read_until(r"(?i)free")
    shell.type("no_such_command")
    shell.read_until(r"no_such_command.*\n")
    shell.type("poweroff")
    assert shell.process.wait(timeout=60) == 0, "power-off ends QEMU with success"


@pytest.mark.skipif(packages.find_tool("gdb") is None, reason="no gdb here: ./kpio debug would install it")
def test_debug_stops_at_a_symbol():
    done = subprocess.run([*KPIO, "debug", "--build", "release", "--batch", "-x", "hbreak kernel_main", "-x", "continue",
                           "-x", "backtrace"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert re.search(r"#0 .*kernel_main \(\)", done.stdout), done.stdout + done.stderr
