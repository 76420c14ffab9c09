"""The command as its user meets it: help for each verb, errors that name what is wrong, exit statuses."""
import subprocess
import sys

import pytest
from kpio.errors import MISSING, USAGE
from kpio.main import VERBS
from kpio.paths import ROOT


def kpio(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "kpio"), *arguments], capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("verb", VERBS)
def test_help(verb):
    done = kpio(verb, "--help")
    assert done.returncode == 0
    assert "examples:" in done.stdout and f"kpio {verb}" in done.stdout and "exit status:" in done.stdout


@pytest.mark.parametrize("arguments, said", [
    ([], "VERB"),
    (["fly"], "fly"),
    (["soak", "no_such_suite"], "no_such_suite"),
    (["bench", "scale", "--against", "linux"], "--against linux"),
    (["bench", "scale", "--profile", "map_unmap"], "--profile"),
    (["bench", "wasm", "--record"], "--record replaces the whole table"),
    (["bench", "wasm", "--against", "linux", "--record", "--rows", "heap_512m"], "--record replaces the whole table"),
    (["debug", "--accel", "kvm"], "--accel"),
])
def test_wrong_usage(arguments, said):
    done = kpio(*arguments)
    assert done.returncode == USAGE
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_tells_the_accelerator():
    done = kpio("doctor")
    assert done.returncode in (0, MISSING)
    assert any(line.startswith("accelerator") for line in done.stdout.splitlines())
