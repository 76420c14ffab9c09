"""Every header compiles on its own, under the flags of the side that it belongs to."""
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kpio import build, command

sys.path.insert(0, str(Path(__file__).parent))

import sources  # noqa: E402

KERNEL_SIDE = ("abi/", "lib/", "kernel/")
USER_SIDE = ("user/", "drivers/", "protocols/", "tests/guest/")
ELSEWHERE = ("user/wasmhost/",)  # a Linux program over the engine's headers: its sources, own header first, are the test


def flags(target):
    """What make passes to the compiler; the first line of its output that holds flags."""
    with build.alone(build.Build().folder.name):
        lines = build.make([target], "Asking make for its flags").lines
    return next(line for line in lines if "-std=" in line and "-I." in line.split()).split()


def problems(name, arguments):
    text = f'#include "{name}"\n'
    compiled = subprocess.run(["clang-19", *arguments, "-fsyntax-only", "-x", "c", "-"], input=text, cwd=sources.ROOT,
                              capture_output=True, text=True, timeout=command.LIMIT)
    return f"{name}:\n{compiled.stderr}" if compiled.returncode else None


@pytest.mark.parametrize("target, folders", [("print-cflags", KERNEL_SIDE), ("print-user-cflags", USER_SIDE)],
                         ids=["kernel", "user"])
def test_self_contained(target, folders):
    arguments = flags(target)
    headers = [name for name in sources.tracked(".h") if name.startswith(folders) and not name.startswith(ELSEWHERE)]
    with ThreadPoolExecutor(build.processors()) as pool:
        wrong = list(filter(None, pool.map(lambda name: problems(name, arguments), headers)))
    assert not wrong, "\n".join(wrong)


def test_pragma_once():
    wrong = [name for name in sources.tracked(".h")
             if "#pragma once" not in (sources.ROOT / name).read_text()]
    assert not wrong, "no `#pragma once` in " + ", ".join(wrong)


def test_own_header_first():
    wrong = []
    for name in sources.tracked(".c"):
        own = name[:-1] + "h"
        found = sources.includes(name)
        if (sources.ROOT / own).is_file() and found and found[0] != own:
            wrong.append(f"{name}: {found[0]} comes before {own}")
    assert not wrong, "\n".join(wrong)
