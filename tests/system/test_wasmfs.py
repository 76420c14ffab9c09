"""File systems whose drivers are WebAssembly programs (apps/fs, apps/sdk/fs, user/wasmfs): the suites fs_conformance and fuse with such
drivers, archives of all formats, and the service that starts them again."""
import io
import re
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest
from console import Console
from guests import Boot, Config, built
from kpio import apps, command, linuxguest, wasmfs
from kpio.machine import Disk, Machine
from kpio.paths import ROOT

CONFIG = Config("release", machine=Machine(cpus=4, memory_mib=1024, net="none"))
SILENCE = 900  # of a busy machine
LIMIT = 900
pytestmark = pytest.mark.usefixtures("root", "webassembly")


def flawed():
    """The drivers of tests/guest/fuse/flawed.c, and more that are wrong."""
    sources = [ROOT / "tests" / "wasm" / "fs" / "flawed.c", ROOT / "tests" / "guest" / "fuse" / "flawed.c"]
    inputs = [*sources, ROOT / "tests" / "guest" / "fuse" / "flawed.h", ROOT / "abi" / "fuse.h"]
    return apps.kept("flawed.wasm", lambda made: apps.build(sources, made, ["-O2", "-Wall", "-Wextra", "-Werror"]), *inputs)


def with_drivers(raw):
    return linuxguest.archive(raw, [], {}, wasmfs.boot_files({"memory": wasmfs.sample("memory"), "flawed": flawed()}))


def boots():
    machine = f"kpio.cpus={CONFIG.machine.cpus} kpio.mib={CONFIG.machine.memory_mib} kpio.driver=wasm root=tmpfs"
    options = {"initrd": with_drivers, "silence": SILENCE, "long_append": "kpio.long"}
    made = (("fs_conformance", "", ""), ("fs_conformance", "-writeback", " kpio.writeback=1"), ("fuse", "", ""))
    return [Boot(f"{suite}[{CONFIG}-wasm{variant}]", f"kpio.test={suite} kpio.fs=fuse {machine}{words}", CONFIG, **options)
            for suite, variant, words in made]


# ---- archives ---------------------------------------------------------------------------------------------------------------------

LARGE = bytes(range(251)) * 12000  # about 3 MB, which no block divides
MANY = 300  # files in one folder


def members(deep):
    """Name, type, content or target; `deep`: names that ustar has no room for."""
    yield "dir", tarfile.DIRTYPE, ""
    yield "dir/large", tarfile.REGTYPE, LARGE
    yield "dir/empty", tarfile.REGTYPE, b""
    yield "without/its/folders", tarfile.REGTYPE, b"made on the way\n"
    yield "dir/link", tarfile.SYMTYPE, "large"
    yield "dir/again", tarfile.LNKTYPE, "dir/large"
    yield "replaced", tarfile.REGTYPE, b"the first"
    yield "replaced", tarfile.REGTYPE, b"and the second"
    for number in range(MANY):
        yield f"many/f{number}", tarfile.REGTYPE, b"one of many\n"
    if deep:
        yield "n" * 200, tarfile.REGTYPE, b"a long name"
        yield "/".join(["d" * 90] * 4), tarfile.REGTYPE, b"a long path"
        yield "far", tarfile.SYMTYPE, "t" * 300


def add(archive, name, kind, content, time=1600000000):
    info = tarfile.TarInfo(name)
    info.type, info.mtime, info.mode = kind, time, 0o750 if kind == tarfile.DIRTYPE else 0o640
    data = content if isinstance(content, bytes) else b""
    info.size, info.linkname = len(data), "" if isinstance(content, bytes) else content
    archive.addfile(info, io.BytesIO(data))


def make_archive(file, form, deep):
    with tarfile.open(file, "w", format=form) as archive:
        for member in members(deep):
            add(archive, *member)


def make_hostile_archive(file):
    """Members that lead out, through files, to nothing; the last one says that it is larger than the disk."""
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as archive:
        add(archive, "../out", tarfile.REGTYPE, b"out")
        add(archive, "/rooted", tarfile.REGTYPE, b"rooted")
        add(archive, "good", tarfile.REGTYPE, b"good")
        add(archive, "good/below", tarfile.REGTYPE, b"below a file")
        add(archive, "to_nothing", tarfile.LNKTYPE, "nowhere")
        add(archive, "./././dots", tarfile.REGTYPE, b"dots")
        add(archive, "huge", tarfile.REGTYPE, b"x" * 600)
    data = bytearray(file.read_bytes())
    at = data.index(b"huge\0")
    data[at + 124:at + 136] = b"77777777777\0"
    data[at + 148:at + 156] = b" " * 8
    data[at + 148:at + 156] = b"%06o\0 " % sum(data[at:at + 512])
    file.write_bytes(data)


LOOK = ("find . -mindepth 1 -printf '%P %y %m %l\\n' | sort; find . -type f | sort | xargs sha256sum; "
        "find . -type f -printf '%P %T@\\n' | sort")


def look(folder):
    return subprocess.run(["bash", "-c", LOOK], cwd=folder, capture_output=True, text=True, check=True).stdout


def shell(*words):
    return subprocess.run([sys.executable, str(ROOT / "kpio"), "shell", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=LIMIT)


def without_made_folders(text):
    """Folders that no member is have modes of whoever makes them."""
    return [line for line in text.splitlines() if not re.match(r"(many|without|without/its|d{90}(/d{90}){0,2}) d ", line)]


def test_archives(tmp_path):
    forms = {"gnu": (tarfile.GNU_FORMAT, True), "pax": (tarfile.PAX_FORMAT, True), "ustar": (tarfile.USTAR_FORMAT, False)}
    options = []
    for name, (form, deep) in forms.items():
        make_archive(tmp_path / name, form, deep)
        (tmp_path / f"{name}.d").mkdir()
        command.check(["tar", "-xf", str(tmp_path / name), "-C", str(tmp_path / f"{name}.d")])
        options += ["--fs", f"{wasmfs.sample('tar')}={tmp_path / name}::/{name}"]
    make_hostile_archive(tmp_path / "hostile")
    options += ["--fs", f"{wasmfs.sample('tar')}={tmp_path / 'hostile'}::/hostile"]
    script = ("asked() { read -r _ _ _ _ _ _ _ n _ < <(grep '^/gnu ' /proc/kpio/mounts); echo $n; }; "
              "a=$(asked); ls -l /gnu/many | wc -l; b=$(asked); echo asked $((b - a)); "
              f"for name in {' '.join(forms)} hostile; do cd /$name; echo \"= $name\"; {LOOK}; done; "
              "touch /gnu/x 2>&1; rm /pax/dir/large 2>&1")
    done = shell(*options, "-c", script)
    said = dict(re.findall(r"= (\w+)\n((?:(?!= ).*\n?)*)", done.stdout))
    assert set(said) == {*forms, "hostile"}, done
    listed = re.match(r"(\d+)\nasked (\d+)\n", done.stdout)
    assert listed and int(listed[1]) == MANY + 1 and int(listed[2]) < MANY / 4, done  # a list brings what ls asks of each file
    for name in forms:
        assert without_made_folders(said[name]) == without_made_folders(look(tmp_path / f"{name}.d")), name
    hostile = said["hostile"].splitlines()
    assert [line.split()[0] for line in hostile[:3]] == ["dots", "good", "rooted"] and "huge" not in said["hostile"], hostile
    assert [line.rpartition(": ")[2] for line in hostile[-2:]] == ["Read-only file system"] * 2, hostile


def disk_driver():
    source, inputs = ROOT / "tests" / "wasm" / "fs" / "disk.c", sorted(wasmfs.SDK.glob("*.[ch]"))
    sources = [source, *(file for file in inputs if file.suffix == ".c")]
    return apps.kept("disk.wasm", lambda made: apps.build(sources, made, ["-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"]),
                     ROOT / "abi" / "fuse.h", source, *inputs)


def test_the_monitor_shows_it(tmp_path):
    make_archive(tmp_path / "archive", tarfile.PAX_FORMAT, False)
    console = Console([sys.executable, str(ROOT / "kpio"), "shell", "--monitor", "--fs",
                       f"{wasmfs.sample('tar')}={tmp_path / 'archive'}::/in"])
    try:
        console.begin(SILENCE)
        console.ask("cat /in/replaced", "and the second", SILENCE)
        assert console.power_off() == 0
    finally:
        console.close()


@pytest.mark.parametrize("rights", ["", ",rw"])
def test_a_disk(tmp_path, rights):
    """What a driver writes to the disk that it was given is there, if it was given to be written."""
    image = tmp_path / "image"
    image.write_bytes(b"".join(bytes([65 + sector % 26]) * 512 for sector in range(64)))
    script = ("head -c 512 /mnt/disk | tail -c 3; echo; printf '%512s' x | dd of=/mnt/disk bs=512 seek=9 conv=notrunc,fsync status=none && "
              "echo written; dd if=/mnt/disk bs=512 skip=9 count=1 status=none | tail -c 1; echo")
    done = shell("--fs", f"{disk_driver()}={image}{rights}::/mnt", "-c", script)
    data = image.read_bytes()
    written = b" " * 511 + b"x" if rights else b"J" * 512
    assert data[9 * 512:10 * 512] == written and data[:9 * 512] + data[10 * 512:] == b"".join(
        bytes([65 + sector % 26]) * 512 for sector in range(64) if sector != 9), done
    assert done.stdout.startswith("AAA\n") and ("written" in done.stdout) == bool(rights), done
    assert rights or "Permission denied" in done.stderr + done.stdout, done


def test_an_app_is_shown_it(tmp_path):
    """Under the name that --fs says; and nothing else."""
    make_archive(tmp_path / "archive", tarfile.PAX_FORMAT, False)
    words = sorted((ROOT / "apps" / "samples" / "words").glob("*.c"))
    apps.build(words, tmp_path / "words.wasm", ["-O2"])
    argv = [sys.executable, str(ROOT / "kpio"), "run", str(tmp_path / "words.wasm"), "--fs",
            f"{wasmfs.sample('tar')}={tmp_path / 'archive'}::/in", "--", "/in/replaced", "/in/without", "/"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
    counted = re.findall(r"(\d+) +(\d+) +(\d+) (\S+)\n", done.stdout)
    assert counted == [("0", "3", "14", "/in/replaced"), ("1", "4", "16", "/in/without/its/folders"), ("1", "7", "30", "all")], done
    assert done.returncode == 1 and done.stderr.startswith("/: "), done


@pytest.mark.parametrize("text, said", [
    ("{wasm}", "is expected"), ("{wasm}::/", "below the root"), ("{wasm}::mnt", "below the root"), ("{wasm}::/a/../b", "below the root"),
    ("{wasm}=::/m", "is expected"), ("{wasm}=/nowhere::/m", "no file that may be read"), ("{text}::/m", "no WebAssembly module"),
    ("/nowhere::/m", "No such file"), ("{wasm}::/m::rw", "is expected"),
])
def test_wrong_words(tmp_path, text, said):
    (tmp_path / "text").write_text("no module\n")
    done = shell("--fs", text.format(wasm=wasmfs.sample("tar"), text=tmp_path / "text"), "-c", "true")
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr


# ---- drivers that end -------------------------------------------------------------------------------------------------------------

class Monitor:
    """KPIO's monitor, with these drivers at /m1, /m2 and so on: their modules, and their settings."""

    def __init__(self, folder, drivers, disks=()):
        names = ["wasmfs" if number == 1 else f"wasmfs{number}" for number in range(1, len(drivers) + 1)]
        variant, archive = built(CONFIG), folder / "initrd"
        more = wasmfs.boot_files({name: module for name, (module, _) in zip(names, drivers)})
        archive.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), [], {}, more))
        words = [f"kpio.mount={name}:/m{number} kpio.{name}={setting}"
                 for number, (name, (_, setting)) in enumerate(zip(names, drivers), 1)]
        append = f"kpio.mode=shell root=tmpfs {' '.join(words)}"
        self.console = Console(replace(CONFIG.machine, disks=disks).arguments(variant.kernel, archive, append) + ["-serial", "stdio"])
        self.console.begin(SILENCE)

    def ask(self, line, answer):
        """What is said from the line on, to what matches the answer; words of the log may come in between."""
        return self.console.ask(line, answer, SILENCE)

    def drivers(self):
        """Ids of the drivers' processes, by the names of their services."""
        listed = self.ask("ps", r"(?s:.*)\bshell\r?\n(?s:.*)kpio> ").rpartition("threads handles")[2]
        return {name: pid for pid, name in re.findall(r"(\d+) +\d+ +running .* (\w+)-driver\r?\n", listed)}


@pytest.fixture
def monitor(tmp_path):
    make_archive(tmp_path / "archive", tarfile.GNU_FORMAT, True)
    drivers = [(wasmfs.sample("tar"), "disk:vda,stateless"), (flawed(), "argument:hangs,timeout:2"),
               (wasmfs.sample("memory"), "memory:64M")]
    opened = Monitor(tmp_path, drivers, (Disk(tmp_path / "archive", read_only=True),))
    yield opened
    opened.console.close()


def test_drivers_are_started_again(monitor):
    """Each in turn ends; the others' mounts are there all the time."""
    text = r"made on the way\r?\n"
    monitor.ask("cat /m1/without/its/folders", text)
    monitor.ask("write /m3/note it is kept", "kpio> ")
    monitor.ask("cat /m3/note", r"it is kept")
    drivers = monitor.drivers()
    assert set(drivers) == {"wasmfs", "wasmfs2", "wasmfs3"}
    # A driver is killed: the stateless one's files are read on, the other one's are gone with it.
    monitor.ask(f"kill {drivers['wasmfs']}", "wasmfs runs again")
    monitor.ask("cat /m1/without/its/folders", text)
    # Its service is killed, and cannot end its driver.
    monitor.ask("restart wasmfs", "wasmfs runs again")
    monitor.ask("cat /m1/without/its/folders", text)
    assert len(monitor.drivers()) == 3
    # It hangs: an error for who asks, then it is killed.
    said = ("ETIMEDOUT", "wasmfs2: the driver said nothing for too long", "wasmfs2 runs again", "kpio> ")  # by three programs
    monitor.ask("cat /m2/file", "".join(rf"(?=(?s:.*){part})" for part in said))
    monitor.ask("cat /m1/without/its/folders", text)
    monitor.ask("cat /m3/note", r"it is kept")
    assert len(monitor.drivers()) == 3
    # What the one in memory had is gone with it.
    monitor.ask(f"kill {monitor.drivers()['wasmfs3']}", "wasmfs3 runs again")
    monitor.ask("cat /m3/note", "ENOENT")
