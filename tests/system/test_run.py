"""`./kpio run FILE ARGS` with Linux programs: streams, exit statuses, and one clear line for what cannot be run."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kpio import command, libraries
from kpio.errors import MISSING, USAGE, KpioError
from kpio.paths import ROOT

LIMIT = 900  # of a busy machine
pytestmark = pytest.mark.usefixtures("root")
PROGRAM = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char line[256];
    if (argc < 2) return 0;
    if (strcmp(argv[1], "args") == 0) {
        for (int i = 2; i < argc; i++) printf("[%s]", argv[i]);
        printf("%s\n", getenv("COLOUR") ? getenv("COLOUR") : "");
    }
    if (strcmp(argv[1], "echo") == 0) {
        while (fgets(line, sizeof line, stdin)) fputs(line, stdout);
        fputs("an error\n", stderr);
        return 7;
    }
    if (strcmp(argv[1], "die") == 0) raise(atoi(argv[2]));
    if (strcmp(argv[1], "fault") == 0) *(volatile int *)16 = 1;
    if (strcmp(argv[1], "sleep") == 0) sleep(1000);
    if (strcmp(argv[1], "child") == 0) {
        int status;
        pid_t pid = fork();
        if (pid == 0) for (;;) pause();
        kill(pid, SIGTERM);
        waitpid(pid, &status, 0);
        printf("%d\n", WTERMSIG(status));
    }
    return 0;
}
"""
LIBRARY = "int far_away(void) { return 42; }\n"
USER = "#include <stdio.h>\nint far_away(void);\nint main(void) { printf(\"%d\\n\", far_away()); return 0; }\n"


def kpio_run(*words, stdin=b""):
    return subprocess.run([sys.executable, str(ROOT / "kpio"), "run", "--smp", "2", *map(str, words)], input=stdin, capture_output=True,
                          timeout=LIMIT)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("programs")
    for name, text in (("program", PROGRAM), ("far", LIBRARY), ("user", USER)):
        (made / f"{name}.c").write_text(text)
    command.check(["musl-gcc", "-static", "-o", f"{made}/program", f"{made}/program.c"])
    command.check(["gcc-12", "-o", f"{made}/dynamic", f"{made}/program.c"])
    command.check(["gcc-12", "-shared", "-fPIC", "-o", f"{made}/libfar.so", f"{made}/far.c"])
    command.check(["gcc-12", "-o", f"{made}/user", f"{made}/user.c", f"-L{made}", "-lfar", "-Wl,-rpath,$ORIGIN"])
    command.check(["gcc-12", "-c", "-o", f"{made}/far.o", f"{made}/far.c"])
    return made


def test_streams_and_status(folder):
    done = kpio_run(folder / "program", "echo", stdin=b"one\n" + b"x" * 200 + b"\nno end")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"one\n" + b"x" * 200 + b"\nno end", b"an error\n")


def test_arguments_and_environment(folder):
    done = kpio_run(folder / "program", "--env", "COLOUR=red", "--", "args", "a b", "", "--smp", "ä,b")
    assert (done.returncode, done.stdout.decode(), done.stderr) == (0, "[a b][][--smp][ä,b]red\n", b"")


@pytest.mark.parametrize("words, status", [(("die", 9), 137), (("die", 15), 143), (("fault",), 139)])
def test_death_by_signal(folder, words, status):
    done = kpio_run(folder / "program", *words)
    assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")


def test_time_is_up(folder):
    done = kpio_run("--timeout", "20", folder / "program", "sleep")
    assert done.returncode == 124 and re.fullmatch(rb"kpio: \S+ was stopped after 20 s\n", done.stderr), done.stderr


def test_a_child_is_killed(folder):
    done = kpio_run(folder / "program", "child")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"15\n", b"")


def test_dynamic(folder):
    done = kpio_run(folder / "dynamic", "args", "a")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"[a]\n", b"")


def test_a_library_of_its_own(folder):
    done = kpio_run(folder / "user")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"42\n", b"")


SCRIPT = """print(scriptArgs.slice(1).join("+"), [3, 1, 2].sort(), /s(.)r/.exec("a script")[1]);
if (scriptArgs[1] === "fail") throw new Error("as wanted");
"""


def test_script(folder, quickjs):
    """In QuickJS, a WebAssembly program; an exception that nothing catches is its failure."""
    (folder / "add.js").write_text(SCRIPT)
    done = kpio_run(folder / "add.js", "a", "b c")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a+b c 1,2,3 c\n", b"")
    done = kpio_run(folder / "add.js", "fail")
    assert (done.returncode, done.stdout) == (1, b"fail 1,2,3 c\n") and done.stderr.startswith(b"Uncaught Error: as wanted\n"), done
    assert b"at <eval> (/script/add.js:2:" in done.stderr


MODULE = """import { square } from "../lib.js";
import * as std from "std";
import * as os from "qjs:os";
const { half } = await import("./more.mjs");
let depth = 0;
function descend() { depth++; return descend() + 1; }
try { descend(); } catch (error) { console.log(error.name, depth > 1000); }
console.log({ list: [square(3), half(3), "text"], map: new Map([[1, { deep: null }]]) }, typeof os.readdir);
console.log(std.in.readAsString().toUpperCase());
console.error("told");
setTimeout((text) => std.exit(text.length), 1, "seven..");
"""


def test_script_of_modules(folder, quickjs):
    """What it imports comes along; it finds its input, the time, and an error where it recurses without end."""
    deep = folder / "modules" / "deep"
    deep.mkdir(parents=True)
    (deep.parent / "lib.js").write_text("export function square(x) { return x * x; }\n")
    (deep / "more.mjs").write_text("export const half = (x) => x / 2;\n")
    (deep / "main.js").write_text(MODULE)
    done = kpio_run(deep / "main.js", stdin=b"some input")
    said = b'RangeError true\n{ list: [ 9, 1.5, "text" ], map: Map(1) { 1 => { deep: null } } } function\nSOME INPUT\n'
    assert (done.returncode, done.stdout, done.stderr) == (7, said, b"told\n")


@pytest.mark.parametrize("text, said", [
    ("console.log(1)\nlet x = ;", r"SyntaxError: unexpected token in expression: ';'\n +at /script/s\.js:2:\d+\n\n"),
    ('import { x } from "./absent.js";', r"ReferenceError: could not load module filename '/script/absent\.js'\n\n"),
    ("Promise.reject(new TypeError('lost'));", r"Uncaught \(in a promise\) TypeError: lost\n +at <eval> \(/script/s\.js:1:\d+\)\n\n"),
    ("await new Promise(() => {});", r"the script awaits what never comes\n"),
    ("const p = Promise.reject(1); p.catch(() => { throw 'later'; });", r"Uncaught \(in a promise\) later\n"),
], ids=["syntax", "import", "rejection", "never", "later"])
def test_what_is_wrong_in_a_script(folder, quickjs, text, said):
    (folder / "s.js").write_text(text)
    done = kpio_run(folder / "s.js")
    assert (done.returncode, done.stdout) == (1, b"") and re.fullmatch(said, done.stderr.decode()), done


def without_library(folder):
    away = folder / "away"
    away.mkdir(exist_ok=True)
    return shutil.copy(folder / "user", away / "user")


def other_machine(folder):
    elf = bytearray((folder / "program").read_bytes())
    elf[18:20] = (183).to_bytes(2, "little")  # AArch64
    (folder / "arm").write_bytes(elf)
    return folder / "arm"


def written(name, data):
    def write(folder):
        (folder / name).write_bytes(data)
        return folder / name
    return write


@pytest.mark.parametrize("make, said, status", [
    (lambda folder: folder / "none", r"No such file or directory", USAGE),
    (lambda folder: folder, r"Is a directory", USAGE),
    (written("script", b"#!/bin/sh\nexit 0\n"), r"is no ELF file.*", USAGE),
    (written("empty", b""), r"is no ELF file.*", USAGE),
    (written("cut", b"\177ELF\2\1\1" + bytes(20)), r"is .* ELF file.*", USAGE),
    (other_machine, r"is an ELF file for another machine than x86-64", USAGE),
    (lambda folder: folder / "far.o", r"is an ELF file, but no program: it is not linked", USAGE),
    (without_library, r"needs libfar\.so, which neither the root nor this machine has", MISSING),
], ids=["missing", "folder", "script", "empty", "cut", "machine", "object", "library"])
def test_what_cannot_run(folder, make, said, status):
    file = make(folder)
    done = kpio_run(file)
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (status, b""), told
    assert told.count("\n") == 1 and re.fullmatch(rf"kpio: {re.escape(str(file))}:? {said}\n", told), told


def test_damaged_headers_are_told(folder, tmp_path):
    """Whatever the bytes: a program, or a KpioError."""
    elf = (folder / "user").read_bytes()
    for at in range(0, 1024, 3):
        (tmp_path / "bad").write_bytes(elf[:at] + b"\xff" + elf[at + 1:])
        try:
            libraries.read(Path(tmp_path, "bad"))
        except KpioError:
            pass
    for length in range(0, 1024, 7):
        (tmp_path / "bad").write_bytes(elf[:length])
        with pytest.raises(KpioError):
            libraries.read(Path(tmp_path, "bad"))
