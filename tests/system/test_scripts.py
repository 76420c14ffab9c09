"""Scripts that nest and recurse too deep (tests/wasm/scripts/deep.js): whatever QuickJS does then, it throws what a script may catch, and
never ends in a trap. By every compiler, as each has frames of its own on the engine's stack, of which QuickJS knows nothing."""
import re
import subprocess

import pytest
from kpio import apps, engine, packages, wasm
from kpio.paths import ROOT
from test_run_wasm import kpio_run

SCRIPT = ROOT / "tests" / "wasm" / "scripts" / "deep.js"
GO_ON = ("freed", "closures_freed", "text_sum", "chained", "stringify_some", "parse_some", "calls")
BY_SYNTAX = ("pattern_groups", "pattern_ahead", "pattern_behind")  # a pattern that nests too deep is said to be wrong
LIMIT = 300  # of a busy machine
COMPILERS = {"cranelift": ("aot", wasm.BEFORE_CPU), "winch": ("interp", None), "pulley": ("interp", "pulley")}
FEW = ("stringify_both", "parse_arrays", "to_string", "pattern_groups", "getter", "to_json", "proxy_prototype", "iterators", "text_parens",
       "calls")


def check(printed, names):
    wanted = {name: "went on" if name in GO_ON else "SyntaxError" if name in BY_SYNTAX else "RangeError" for name in names}
    assert dict(line.split(": ") for line in printed.splitlines()) == wanted


@pytest.mark.parametrize("compiler", COMPILERS)
def test_on_this_machine(compiler):
    packages.require("wasm", "apps")
    mode, target = COMPILERS[compiler]
    programs = engine.programs()
    program = engine.artifact(apps.script(), target, programs) if target else apps.script()
    names = FEW if compiler == "pulley" else ()
    argv = [programs / "wasmhost", "--mode", mode, "-W", f"max-wasm-stack={apps.SCRIPT_STACK}", "--dir", f"{SCRIPT.parent}::/s", program,
            "--", f"/s/{SCRIPT.name}", *names]
    ran = subprocess.run(list(map(str, argv)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    assert (ran.returncode, ran.stderr) == (0, "")
    everything = re.findall(r"^    (\w+): \(\) =>", SCRIPT.read_text(), re.MULTILINE)
    assert len(everything) > 50
    check(ran.stdout, names or everything)


@pytest.mark.parametrize("mode", ("aot", "interp"))  # jit makes the code of aot
def test_on_kpio(mode):
    ran = kpio_run("--mode", mode, SCRIPT, "--", *FEW)
    assert (ran.returncode, ran.stderr) == (0, "")
    check(ran.stdout, FEW)
