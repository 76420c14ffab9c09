"""`./kpio run` with WebAssembly programs: what they are told, what stops them, and one clear line for what cannot be run."""
import hashlib
import random
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

import pytest
from kpio.errors import INTERRUPTED, USAGE
from kpio.paths import ROOT
from terminal import Terminal
from test_wasm import samples

LIMIT = 900  # of a busy machine
pytestmark = pytest.mark.usefixtures("webassembly")
EXPECTED = ("NAME=VALUE is expected, NAME one of timeout, max-memory-size, max-wasm-stack, max-table-elements, max-tables, max-memories, "
            "max-instances, trap-on-grow-failure")
CPU_OVER = r"wasmhost: \S+: stopped: its CPU time of 0\.3 s is over"


def kpio_run(*words):
    argv = [sys.executable, str(ROOT / "kpio"), "run", "--smp", "2", *map(str, words)]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)


@pytest.mark.parametrize("options, program, status, output, error", [
    (("--cpu-time", "0.3"), ("trap.wasm", "loop"), 124, "", CPU_OVER),
    (("--memory", "16M", "--mode=interp"), ("trap.wasm", "grow"), 0, "stopped at the limit\n", ""),
    (("--timeout", "3"), ("trap.wasm", "sleep"), 124, "", r"kpio: \S+/trap\.wasm was stopped after 3 s"),
    (("--files", "20", "--dir", "@::/data"), ("trap.wasm", "open"), 0, "stopped at the limit\n", ""),
    (("-W", "timeout=500ms", "--argv0", "sleeper"), ("trap.wasm", "sleep"), 124, "", r"wasmhost: sleeper: stopped: its time of 0\.5 s .*"),
    (("-W", "trap-on-grow-failure", "--memory", "16M"), ("trap.wasm", "grow"), 1, "",
     r"wasmhost: \S+: forcing trap when growing memory to \d+ bytes \(-W trap-on-grow-failure\)(?s:\n.*)"),
    (("-W", "max-tables=0"), ("wasi.wasm", "exit", "7"), 2, "",
     r"wasmhost: wasi\.wasm: resource limit exceeded: table count too high at 1 \(-W max-tables\)"),
    (("-W", "max-wasm-stack=64K"), ("trap.wasm", "descend"), 134, "", r"wasmhost: \S+: wasm trap: call stack exhausted(?s:\n.*)"),
], ids=["cpu_time", "memory", "timeout", "files", "time", "trap_on_grow", "tables", "stack"])
def test_limits(tmp_path, options, program, status, output, error):
    done = kpio_run(samples() / program[0], *(word.replace("@", str(tmp_path)) for word in options), "--", *program[1:])
    assert (done.returncode, done.stdout) == (status, output), done.stderr
    assert re.fullmatch(error, done.stderr.rstrip("\n")), done.stderr


def test_limits_may_stand_before_the_program():
    done = kpio_run("--cpu-time", "0.3", "--mode", "interp", samples() / "trap.wasm", "loop")
    assert done.returncode == 124 and re.fullmatch(CPU_OVER + "\n", done.stderr), done.stderr


@pytest.mark.parametrize("words, said", [
    (("--cpu-time", "soon"), "--cpu-time soon: a time in seconds is expected, such as 0.5"),
    (("--timeout", "0"), "--timeout 0: a time in seconds is expected, such as 0.5"),
    (("--timeout", "-1"), "--timeout -1: a time in seconds is expected, such as 0.5"),
    (("--timeout=soon",), "--timeout soon: a time in seconds is expected, such as 0.5"),
    (("--cpu-time", "0"), "--cpu-time 0: a time in seconds is expected, such as 0.5"),
    (("--files=many",), "--files many: a number is expected"),
    (("--memory", "64X"), "--memory 64X: a size such as 64M is expected"),
    (("-W", "max-memory-size=big"), "-W max-memory-size=big: a size such as 64M is expected"),
    (("-W", "timeout=1,colour=red"), f"-W colour=red: {EXPECTED}"),
    (("-Wtimeout",), f"-W timeout: {EXPECTED}"),
    (("-W", "max-tables=few"), "-W max-tables=few: a number is expected"),
    (("-W", "max-memories="), "-W max-memories=: a number is expected"),
    (("-W", "max-instances=-1"), "-W max-instances=-1: a number is expected"),
    (("-W", "trap-on-grow-failure=maybe"), "-W trap-on-grow-failure=maybe: y or n is expected"),
    (("-W", "max-tables=1,fuel=1000"), "-W fuel: not offered: --cpu-time bounds what a program may use"),
    (("-W", "relaxed-simd=n"), "-W relaxed-simd: not offered: each feature is on where it runs (docs/webassembly.md)"),
    (("--env", "=red"), "--env =red: KEY=VALUE is expected, or KEY to pass this command's own on"),
    (("--mode", "interp", "-n", "word"), "-n: no option of `kpio run`; the program's own arguments stand behind a --"),
    (("--colour=red", "word"), "--colour=red: no option of `kpio run`; the program's own arguments stand behind a --"),
], ids=["word", "no_time", "negative_time", "time_word", "zero", "files", "size", "engine_size", "engine_name", "engine_value", "tables",
        "memories", "instances", "switch", "fuel", "feature", "env", "short_of_the_program", "long_of_the_program"])
def test_wrong_options(words, said):
    """They are told before anything is booted."""
    done = kpio_run(samples() / "wasi.wasm", *words)
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", f"kpio: {said}\n")


@pytest.mark.parametrize("words, said", [
    (("--cpu-time", "soon"), "--cpu-time soon: a time in seconds is expected, such as 0.5"),
    (("--timeout", "0"), "--timeout 0: a time in seconds is expected, such as 0.5"),
    (("-W", "timeout=soon"), "-W timeout=soon: a time is expected, such as 500ms"),
], ids=["cpu_time", "time", "engine_time"])
def test_what_stands_before_the_program_is_checked_too(words, said):
    done = kpio_run(*words, samples() / "wasi.wasm")
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", f"kpio: {said}\n")


@pytest.mark.parametrize("name, data, said", [
    (None, None, "{}: No such file or directory"),
    ("empty.wasm", b"", "{} is no ELF file for Linux, no WebAssembly and no script (.js): `kpio run` runs those"),
    ("text.wasm", b"hello\n", "{} is no ELF file for Linux, no WebAssembly and no script (.js): `kpio run` runs those"),
], ids=["missing", "empty", "text"])
def test_what_is_no_program(tmp_path, name, data, said):
    file = tmp_path / (name or "missing.wasm")
    if data is not None:
        file.write_bytes(data)
    done = kpio_run(file)
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", f"kpio: {said.format(file)}\n")


def test_what_is_no_file():
    """Nothing is read of it, as /dev/zero has no end."""
    done = kpio_run("/dev/zero")
    said = "kpio: /dev/zero: a program is a file that can be read more than once, not a device or a pipe\n"
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", said)


def test_a_guest_that_is_too_small_is_named():
    done = kpio_run("--memory", "64M", samples() / "wasi.wasm")
    said = "kpio: the program could not be started: .*; the guest has too little memory: --memory before the program gives it more\n"
    assert (done.returncode, done.stdout) == (1, "") and re.fullmatch(said, done.stderr), done.stderr


def test_options_of_other_programs():
    done = kpio_run("--files", "3", "/bin/true")
    said = "kpio: --files: only a WebAssembly program or a script can be told that; /bin/true is neither\n"
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", said)


@pytest.mark.parametrize("name, data, said", [
    ("cut.wasm", b"\0asm\1\0\0\0\1\7", r".*(unexpected end|invalid|extends past).*"),
    ("short.wasm", b"\0asm\1", "cut off within the first 8 bytes of WebAssembly"),
    ("future.wasm", b"\0asm\7\0\0\0", "version 7 of WebAssembly modules, where 1 is known"),
    ("later.wasm", b"\0asm\x0e\0\1\0", "version 14 of WebAssembly components, where 13 is known"),
    ("import.wat", b'(module (import "env" "absent" (func)) (memory (export "memory") 1) (func (export "_start")))',
     "unknown import: `env::absent` has not been defined"),
    ("start.wat", b'(func (export "_start") (param i32))', "its function `_start` takes arguments, or gives results"),
    ("no start.wat", b'( module (global (export "_start") i32 (i32.const 0)))', "its export `_start` is no function"),
], ids=["cut", "short", "version", "component_version", "import", "start_type", "start_kind"])
def test_what_cannot_run(tmp_path, name, data, said):
    """The file is named as wasmtime names it: without a path of this machine or of the guest."""
    (tmp_path / name).write_bytes(data)
    done = kpio_run(tmp_path / name)
    assert (done.returncode, done.stdout) == (USAGE, ""), done.stderr
    assert re.fullmatch(rf"wasmhost: {re.escape(name)}: {said}\n", done.stderr), done.stderr


def test_what_cannot_be_compiled_before(tmp_path):
    """The same line, by the compiler of this machine; the file is named as it was given."""
    (tmp_path / "future.wasm").write_bytes(b"\0asm\7\0\0\0")
    done = kpio_run(tmp_path / "future.wasm", "--mode", "aot")
    said = f"kpio: {tmp_path}/future.wasm: version 7 of WebAssembly modules, where 1 is known\n"
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", said)


def test_environment(monkeypatch):
    """A name alone passes this command's variable on, if there is one; of several values the last counts."""
    monkeypatch.setenv("COLOUR", "dark red")
    monkeypatch.delenv("ABSENT", raising=False)
    done = kpio_run("--env", "COLOUR=blue", samples() / "wasi.wasm", "--env", "COLOUR", "--env", "ABSENT", "--", "arguments")
    assert (done.returncode, done.stdout) == (0, "dark red\n"), done


def test_half_of_the_machine_is_for_its_memory(tmp_path):
    """400 of 1,024 MiB: a system that runs other programs too keeps a quarter for WebAssembly."""
    (tmp_path / "large.wat").write_text('(module (memory (export "memory") 6400) (func (export "_start")))')
    done = kpio_run("--memory", "1G", tmp_path / "large.wat")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


GROWS = """(module (table $t 1 funcref) (memory (export "memory") 1) (func (export "_start")
    (loop $again (br_if $again (i32.ne (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1))))))"""


@pytest.mark.parametrize("options, status, said", [
    ((), 0, ""),
    (("-W", "max-table-elements=2000000000"), 137, "kpio: the program was ended: there is no memory for a page that it used\n"),
], ids=["limit", "none"])
def test_a_table_without_end(tmp_path, options, status, said):
    (tmp_path / "grows.wat").write_text(GROWS)
    done = kpio_run("--memory", "256M", tmp_path / "grows.wat", *options)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", said)


def test_help_behind_the_program():
    done = kpio_run(samples() / "wasi.wasm", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: kpio run APP.wasm [options] [--] ARGS\n"), done


# ---- streams ------------------------------------------------------------------------------------------------------------------------

BYTES = 5_000_000


def argv_of(*words):
    return [sys.executable, str(ROOT / "kpio"), "run", "--smp", "2", *map(str, words)]


def test_any_bytes_pass():
    """A pipe's, both ways; to the last of them."""
    data = random.Random(1).randbytes(BYTES)
    done = subprocess.run(argv_of(samples() / "streams.wasm", "copy"), input=data, capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).hexdigest() == hashlib.sha256(data).hexdigest(), len(done.stdout)


def test_who_reads_slowly_loses_nothing():
    """Nor does who writes meanwhile: both wait."""
    data = random.Random(2).randbytes(BYTES)
    with subprocess.Popen(argv_of("--machine", "microvm", samples() / "streams.wasm", "copy"), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as running:
        writer = threading.Thread(target=lambda: (running.stdin.write(data), running.stdin.close()))
        writer.start()
        got = running.stdout.read(1)
        time.sleep(3)  # for the writer and the guest to fill all that is between
        assert writer.is_alive(), "so much input was taken from somebody whom nobody listens to"
        got += running.stdout.read()
        writer.join(LIMIT)
        assert running.wait(LIMIT) == 0
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(data).hexdigest(), len(got)


@pytest.mark.parametrize("what", ["first", "none"])
def test_input_that_nobody_reads(what):
    """A program that reads a part of its input, or nothing, ends as it would."""
    done = subprocess.run(argv_of(samples() / "streams.wasm", what), input=b"line\n" * (BYTES // 5), capture_output=True, timeout=LIMIT)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"line\n" if what == "first" else b"", b"")


def test_outputs_that_go_to_one_place_keep_their_order(tmp_path):
    with open(tmp_path / "out", "wb") as out:
        done = subprocess.run(argv_of(samples() / "streams.wasm", "both"), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                              timeout=LIMIT, check=False)
    assert done.returncode == 0
    assert (tmp_path / "out").read_text().split() == [f"{what}{n}" for n in range(3000) for what in ("out", "error")]


def test_both_outputs():
    done = subprocess.run(argv_of(samples() / "streams.wasm", "both"), stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT)
    count = 3000
    assert (done.returncode, done.stdout.split()) == (0, [b"out%d" % n for n in range(count)])
    assert done.stderr.split() == [b"error%d" % n for n in range(count)]


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-"])
def test_without_streams(tmp_path, closed):
    """Their places are not taken by files of the command's."""
    words = " ".join(shlex.quote(word) for word in argv_of(samples() / "streams.wasm", "copy"))
    done = subprocess.run(["bash", "-c", f"{words} {closed} 2>errors"], cwd=tmp_path, timeout=LIMIT, check=False)
    assert (done.returncode, (tmp_path / "errors").read_text()) == (0, "")


def test_many_arguments():
    done = kpio_run(samples() / "streams.wasm", *range(5000))
    assert (done.returncode, done.stdout, done.stderr) == (0, "5001 words, the last is 4999\n", "")


def test_nobody_reads_on():
    """As with any command whose output was closed: it ends, and nothing is said."""
    with subprocess.Popen(argv_of(samples() / "streams.wasm", "fill"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as running:
        assert running.stdout.read(5) == b"fill\n"
        running.stdout.close()
        assert running.wait(LIMIT) == INTERRUPTED
        assert running.stderr.read() == b""


def test_output_that_does_not_fit():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(argv_of(samples() / "streams.wasm", "fill"), stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
                              timeout=LIMIT)
    said = b"kpio: what the program wrote to its output is lost: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_interrupted():
    with subprocess.Popen(argv_of(samples() / "streams.wasm", "wait"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as running:
        assert running.stdout.read(5) == b"wait\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(LIMIT) == INTERRUPTED
        assert running.stderr.read() == b"kpio: interrupted\n"


def test_at_a_terminal():
    """Lines as they are typed, with what the command tells of its progress between; the end is Ctrl-D, at a line's beginning."""
    terminal = Terminal(argv_of(samples() / "streams.wasm", "copy"))
    terminal.type("one\n")
    terminal.read_until(r"(?s)one\r\n.*one\r\n", LIMIT)
    terminal.type("two\n")
    terminal.read_until(r"(?s)two\r\n.*two\r\n", LIMIT)
    terminal.type("\x04")
    assert terminal.status(LIMIT) == 0
    terminal.close()


def test_a_terminals_interrupt():
    terminal = Terminal(argv_of(samples() / "streams.wasm", "wait"))
    terminal.read_until(r"wait\r\n", LIMIT)
    terminal.type("\x03")
    terminal.read_until(r"kpio: interrupted\r\n", LIMIT)
    assert terminal.status(LIMIT) == INTERRUPTED
    terminal.close()
