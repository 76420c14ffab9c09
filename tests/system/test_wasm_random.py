"""Random WebAssembly modules (host/kpio/smith.py): each way to run them, here and on KPIO, must tell the same of every call: results,
traps, and then exported globals, memories and tables. A module that fails is kept in build/random-failed, with what each side told.

To see one again: build/wasmhost-full/random WAY build/random-failed SEED 1 tell"""
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from guests import Config, built
from kpio import guest, linuxguest, smith
from kpio.machine import Machine
from kpio.paths import ROOT

WAYS = ("aot", "jit", "winch", "pulley", "bytes")
FIRST, COUNT, COUNT_LONG = 0, 50, 1000
CONFIG = Config("release", machine=Machine(cpus=2, memory_mib=2048, net="none"))
SILENCE = 900  # of a busy machine
HOST_SECONDS = 600
FAILED = ROOT / "build" / "random-failed"
RESULT = re.compile(r"(\d+) (refused|[0-9a-f]{16} calls \d+ traps \d+)$")


def told(lines):
    """What was told of each module, by its seed; a line that was torn by another one lacks."""
    return {int(found[1]): found[2] for line in lines if (found := RESULT.match(line))}


def here(way, folder, first, count, *more):
    argv = [str(smith.runner()), way, str(folder), str(first), str(count), *more]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HOST_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def count(request):
    return COUNT_LONG if request.config.getoption("--long") else COUNT


@pytest.fixture(scope="module")
def folder(count):
    return smith.modules(FIRST, count)


@pytest.fixture(scope="module")
def expected(folder, count):
    """By the way, then by the seed."""
    return {way: told(here(way, folder, FIRST, count)) for way in WAYS}


def test_here(expected, count):
    """What the one-pass compiler refuses is of odd seeds, which use what it lacks; nothing else is refused, and all agree."""
    reference = expected["jit"]
    assert sorted(reference) == list(range(FIRST, FIRST + count))
    for way in WAYS:
        refused = {seed for seed, said in expected[way].items() if said == "refused"}
        assert not refused if way != "winch" else all(seed % 2 == 1 for seed in refused), f"{way}: {sorted(refused)}"
        wrong = [seed for seed, said in reference.items() if seed not in refused and expected[way].get(seed) != said]
        assert not wrong, f"{way} does not agree with jit: {wrong}"


def boot(commands, folder, seeds):
    variant = built(CONFIG)
    files = {f"/w/{file.name}": file.read_bytes() for file in folder.iterdir() if int(file.stem) in seeds}
    files["/random"] = smith.runner().read_bytes()
    with tempfile.TemporaryDirectory(prefix="kpio-boot-") as temporary:
        initrd = Path(temporary, "initrd.cpio")
        initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), [linuxguest.Command(words) for words in commands], files))
        outcome = guest.boot(CONFIG.machine, variant.kernel, initrd, f"root=tmpfs kpio.jit=1 {linuxguest.APPEND}", silence=SILENCE)
    ran = linuxguest.runs(outcome.lines)
    ended = [(" ".join(words), one.code, one.lines[-1:]) for words, one in zip(commands, ran) if one.code != 0]
    assert len(ran) == len(commands) and not ended, f"{ended}\n{outcome.report()}"
    return ran


def keep(folder, way, seed, there):
    """The module and what both sides tell of it."""
    FAILED.mkdir(parents=True, exist_ok=True)
    for file in folder.glob(f"{seed}.*"):
        shutil.copy(file, FAILED)
    (FAILED / f"{seed}.{way}.here").write_text("\n".join(here(way, folder, seed, 1, "tell")) + "\n")
    (FAILED / f"{seed}.{way}.kpio").write_text("\n".join(there) + "\n")


def test_on_kpio(expected, folder, count):
    ran = boot([("/random", way, "/w", str(FIRST), str(count)) for way in WAYS], folder, range(FIRST, FIRST + count))
    found = {way: told(one.lines) for way, one in zip(WAYS, ran)}
    other = [(way, seed) for way in WAYS for seed, said in expected[way].items() if found[way].get(seed) != said]
    if not other:
        return
    # Once more, in words; this also tells of those whose lines were torn.
    again = boot([("/random", way, "/w", str(seed), "1", "tell") for way, seed in other], folder, {seed for _, seed in other})
    wrong = []
    for (way, seed), one in zip(other, again):
        if seed in found[way] or told(one.lines).get(seed) != expected[way][seed]:
            keep(folder, way, seed, one.lines)
            wrong.append(f"{seed} in {way}: {found[way].get(seed)}, not {expected[way][seed]}")
    assert not wrong, f"kept in {FAILED}:\n" + "\n".join(wrong)
