"""Folders of this machine in a guest: `./kpio run FILE --dir`, what is changed on either side, and the ends of driver and daemon."""
import io
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from guests import Config, built
from kpio import command, folders, hostrun, linuxguest
from kpio.errors import USAGE, KpioError
from kpio.machine import Machine
from kpio.paths import ROOT

LIMIT = 900  # of a busy machine
PROGRAMS = ROOT / "tests" / "folders"
pytestmark = pytest.mark.usefixtures("system")


def kpio_run(*words, stdin=b"", cwd=None):
    return subprocess.run([sys.executable, str(ROOT / "kpio"), "run", "--smp", "2", *map(str, words)], input=stdin, capture_output=True,
                          timeout=LIMIT, cwd=cwd)


def daemons(folder):
    """Those that run and serve something in the folder, by their ids: others on this machine have theirs."""
    told = subprocess.run(["ps", "-C", "virtiofsd", "-ww", "-o", "pid=,stat=,args="], capture_output=True, text=True, check=False).stdout
    found = [line.split(None, 2) for line in told.splitlines()]
    return {int(number) for number, state, arguments in found if not state.startswith("Z") and str(folder) in arguments}


def all_end(folder):
    """Whether none is left, up to a hang limit: who was killed takes a moment to be gone."""
    until = time.monotonic() + LIMIT
    while daemons(folder) and time.monotonic() < until:
        time.sleep(0.05)
    return not daemons(folder)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    made = tmp_path_factory.mktemp("folders")
    for source in PROGRAMS.glob("*.c"):
        command.check(["musl-gcc", "-static", "-Wall", "-Werror", "-o", str(made / source.stem), str(source)])
    return made


# ---- what is asked for --------------------------------------------------------------------------------------------------------


def test_a_folder_is_named_as_wasmtime_names_it(tmp_path):
    assert folders.parse(str(tmp_path)) == folders.Share(tmp_path, str(tmp_path))
    assert folders.parse(f"{tmp_path}::/data") == folders.Share(tmp_path, "/data")
    assert folders.parse(f"{tmp_path}::/a b:c,d") == folders.Share(tmp_path, "/a b:c,d")
    assert folders.parse(f"{tmp_path}::/data::ro") == folders.Share(tmp_path, "/data", True)
    assert folders.parse(f"{tmp_path}::data", relative=True) == folders.Share(tmp_path, "data")
    assert folders.parse(f"{tmp_path}//.:://data//") == folders.Share(tmp_path, "/data")


@pytest.mark.parametrize("text, said", [
    ("none", r"--dir none: none: No such file or directory"),
    ("file", r"--dir file: file is no folder"),
    ("closed", r"--dir closed: closed: (no permission to read it|Permission denied)"),
    ("open::data", r"--dir open::data: data is relative; where a folder is mounted in the guest is an absolute path"),
    ("open::/", r"--dir open::/: a folder is mounted below the root"),
    ("open::/a/../..", r"--dir open::/a/../..: a folder is mounted below the root"),
    ("open::/a::rw", r"--dir open::/a::rw: HOST, HOST::GUEST or HOST::GUEST::ro is expected"),
    ("::/a", r"HOST, HOST::GUEST or HOST::GUEST::ro is expected"),
    ("open::", r"HOST, HOST::GUEST or HOST::GUEST::ro is expected"),
])
def test_what_cannot_be_shown_is_one_clear_line(tmp_path, monkeypatch, text, said):
    (tmp_path / "file").write_text("")
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed")
    with pytest.raises(KpioError, match=said) as error:
        folders.parse(text)
    assert error.value.status == USAGE and "\n" not in str(error.value)


def test_too_many_and_two_at_one_place(tmp_path):
    with pytest.raises(KpioError, match="at most 4"):
        folders.parse_all([f"{tmp_path}::/d{number}" for number in range(5)])
    with pytest.raises(KpioError, match="two folders at /d"):
        folders.parse_all([f"{tmp_path}::/d", f"{tmp_path}::/d"])
    done = kpio_run("--dir", tmp_path)
    assert (done.returncode, done.stdout) == (USAGE, b"") and b"a program is missing" in done.stderr


# ---- Linux programs -----------------------------------------------------------------------------------------------------------


def test_both_sides_see_what_the_other_does(programs, tmp_path):
    shared = tmp_path / "shared"
    (shared / "sub").mkdir(parents=True)
    (shared / "from_host").write_bytes(b"written by the host\n")
    (shared / "to_rename").write_text("r")
    (shared / "to_unlink").write_text("u")
    (shared / os.fsdecode(b"not \xff UTF-8")).write_text("named by bytes")
    (shared / "out").symlink_to("/etc/hostname")
    (shared / "up").symlink_to("../secret")
    (tmp_path / "secret").write_text("not shown")
    os.mkfifo(shared / "fifo")
    done = kpio_run(programs / "visit", "--dir", f"{shared}::/data", "--", "/data")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"all is well\n", b"")
    assert all_end(tmp_path)
    assert (shared / "from_guest").read_bytes() == b"written by the guest\n" * 1000
    assert stat.S_IMODE((shared / "from_guest").stat().st_mode) == 0o640
    assert (shared / "renamed").read_text() == "r" and not (shared / "to_rename").exists() and not (shared / "to_unlink").exists()
    assert os.readlink(shared / "link") == "../elsewhere"
    assert (shared / "hard").stat().st_ino == (shared / "from_guest").stat().st_ino
    assert os.path.exists(os.fsencode(shared) + b"/also \xfe\xff") and (shared / "sub" / "made").is_dir()
    assert (tmp_path / "secret").read_text() == "not shown" and sorted(os.listdir(tmp_path)) == ["secret", "shared"]


def test_it_starts_where_the_command_did_and_read_only_is(programs, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("here\n")
    done = kpio_run(programs / "visit", "--dir", f"{tmp_path}::/data::ro", "--", "ro", "file", cwd=tmp_path / "sub")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"/data/sub: here\n", b"")
    assert os.listdir(tmp_path) == ["sub"]


def test_read_only_holds_on_this_side_too(tmp_path):
    if folders.confine(folders.Share(tmp_path, "/d"))[1] != "namespace":
        pytest.skip("no namespaces here: only the guest sees to it")
    through, _ = folders.confine(folders.Share(tmp_path, "/d", True))
    done = subprocess.run([*through, "touch", str(tmp_path / "new")], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "Read-only file system" in done.stderr and not os.listdir(tmp_path)


def test_an_interrupted_command_leaves_nothing(programs, tmp_path):
    argv = [sys.executable, str(ROOT / "kpio"), "run", "--smp", "2", str(programs / "load"), "--dir", f"{tmp_path}::/data", "--", "/data",
            "100000"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "TMPDIR": str(tmp_path)}) as running:
        deadline = time.monotonic() + LIMIT
        while not (tmp_path / "kept").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert daemons(tmp_path)
        running.send_signal(signal.SIGINT)
        running.wait(LIMIT)
    assert running.returncode != 0 and all_end(tmp_path)
    assert not [name for name in os.listdir(tmp_path) if name.startswith("kpio-")]


# The driver ends at each 400th request: nothing of it is seen.
def test_an_open_file_outlives_the_driver(programs, tmp_path):
    done = kpio_run("-v", "--append", "kpio.end_after=400", programs / "load", "--dir", f"{tmp_path}::/data", "--", "/data", "300")
    text = done.stderr.decode(errors="replace")
    ends = len(re.findall(r"ends here, as it was told to", text))
    assert (done.returncode, done.stdout) == (0, b"300 rounds, 0 errors\n"), text[-3000:]
    assert ends >= 3 and len(re.findall(r"init: virtiofs runs again", text)) >= 3


# The driver ends, and the next one knows nothing: a new mount is in the old one's place, who has something open there is told so.
def test_a_lost_session_gets_a_new_mount(programs, tmp_path):
    settings = "kpio.end_after=300 kpio.begin_anew"
    done = kpio_run("-v", "--append", settings, programs / "exchange", "--dir", f"{tmp_path}::/data", "--", "/data")
    text = done.stderr.decode(errors="replace")
    assert (done.returncode, done.stdout) == (0, b"lost: ENOTCONN\nagain: what it was\nheld: ENOTCONN\n"), text[-3000:]
    assert "ends here, as it was told to" in text and (tmp_path / "after").read_text() == "what it was"


def follow(session, text, until):
    """Until what the program wrote to its output matches, or it has ended."""
    deadline = time.monotonic() + LIMIT
    while session.status is None and not until.search(text.getvalue()):
        assert time.monotonic() < deadline, text.getvalue()
        session.step(deadline)


def pytest_generate_tests(metafunc):
    """It takes the driver's patience of 20 s, so the short form is content with one machine."""
    if "dying" in metafunc.fixturenames:
        metafunc.parametrize("dying", ["q35", "microvm"] if metafunc.config.getoption("--long") else ["q35"])


def test_a_dead_daemon_costs_its_mount_only(programs, tmp_path, dying):
    variant, files = built(Config("release")), {"/run/load": (programs / "load").read_bytes()}
    ran = linuxguest.Command(("load", "/data", "0", "/tmp"), program="/run/load")
    initrd = tmp_path / "initrd.cpio"
    initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), [ran], files))
    (tmp_path / "shared").mkdir()
    text = io.StringIO()
    with folders.Served(Machine(kind=dying, cpus=2), [folders.Share(tmp_path / "shared", "/data")]) as served:
        with hostrun.started(served.machine, variant.kernel, initrd, f"kpio.mode=run root=tmpfs {served.words}", False,
                             lambda number, data: text.write(data.decode())) as session:
            follow(session, text, re.compile("20 rounds"))
            os.killpg(served.daemons[0].process.pid, signal.SIGKILL)
            follow(session, text, re.compile("never"))
        served.daemons[0].process.wait()
        served.daemons.clear()
    text = text.getvalue()
    assert re.search(r"lost: (ENOTCONN|EIO|ETIMEDOUT)\n", text), text
    assert "then: ENOTCONN at once\n" in text and "elsewhere: 50 rounds, 0 errors\n" in text, text


# ---- WebAssembly --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wasm(tmp_path_factory, webassembly):
    made = tmp_path_factory.mktemp("wasm") / "folder.wasm"
    command.check(["clang-19", "--target=wasm32-wasi", "-O1", "-o", str(made), str(PROGRAMS / "wasi" / "folder.c")], limit=LIMIT)
    return made


@pytest.mark.skipif(shutil.which("cargo") is None, reason="the WebAssembly engine needs Rust")
@pytest.mark.parametrize("kind", ["q35", "microvm"])
def test_a_webassembly_program_gets_a_folder(wasm, tmp_path, kind):
    (tmp_path / "in").write_text("a line\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fixed").write_text("fixed")
    (tmp_path / "out").symlink_to("/etc/passwd")
    done = kpio_run("--machine", kind, wasm, "--dir", ".", "--dir", f"{tmp_path}/data::/data::ro", "--", "in", "copy", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (5, b"copied\n", b"")
    assert (tmp_path / "copy").read_text() == "a line\n" and os.listdir(tmp_path / "data") == ["fixed"]
