"""`./kpio run` without a program: apps from an ext4 disk in the three modes, services, and a table of what each took."""
import re
import subprocess
import sys

import pytest
from kpio import demo
from kpio.paths import ROOT

LIMIT = 1800  # of a busy machine; the first run of these sources compiles and installs
pytestmark = pytest.mark.usefixtures("webassembly")


def shown(*options):
    argv = [sys.executable, str(ROOT / "kpio"), "run", *options]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("options", [(), ("--machine", "microvm", "--smp", "1")], ids=["q35", "microvm"])
def test_apps(options):
    lines = shown(*options).stdout.splitlines()
    assert [line for line in lines if line.startswith("  | ")] == \
        ["  | Hello, KPIO!", "  | 148933 primes below 2000000", "  | 10 words; the: 4, and: 2, programs: 2"]
    table = {row[1].strip(): row[3] for line in lines if (row := re.fullmatch(r"  (.{46})  (ok|FAILED) +(.*)", line))}
    expected = {
        "the root, from a disk": r"ext4 on vda, \d+ of \d+ MiB free",
        "what was compiled before, checked": r"2 of 2 artifacts valid, 0 compiled now",
        "a system app, compiled at its installation": r"first output after [\d.]+ ms, .*",
        "an app that is compiled as it starts (jit)": r"first output after [\d.]+ ms, .*",
        "a script in QuickJS, from byte code (interp)": r"first output after [\d.]+ ms, .*",
        "a service found by its name": r".*",
    }
    for what, figures in expected.items():
        assert re.fullmatch(figures, table.get(what, "no row")), f"{what}: {table.get(what)}\n" + "\n".join(lines)
    assert "Everything went as it should." in lines and lines[-1].startswith("Times are those of ")
    assert not [line for line in lines if not demo.is_shown(line)]


def test_without_room_for_apps():
    done = shown("--memory", "128M")
    assert done.stderr.splitlines()[-1] == "kpio: without apps, which need --memory 512M"
    assert "hello KPIO" not in done.stdout and "Everything went as it should." in done.stdout
