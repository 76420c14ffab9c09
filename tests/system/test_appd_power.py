"""The power goes while apps are installed, updated and removed: what is left is the state before a step or behind it, and runs. The
files are judged here, with a checker of their form and seals that is not appd's own; some of the disks are booted, too."""
import hashlib
import hmac
import random
import shutil
from dataclasses import replace

import pytest
from kpio import command, writelog
from kpio.machine import Disk
from test_appd import boot, disk

# tests/guest/appd/power.c: name and version of what is installed after each step.
STATES = [{}, {"hello": "1"}, {"hello": "2"}, {"hello": "2", "large": "1"}, {"hello": "3", "large": "1"}, {"hello": "3"}, {"hello": "4"}]
CUTS, CUTS_LONG, BOOTS, BOOTS_LONG = 40, 400, 2, 20


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The disk before, and all that was written to it."""
    folder = tmp_path_factory.mktemp("power")
    (image,) = disk(folder)
    shutil.copyfile(image.file, folder / "before")
    (folder / "log").write_bytes(b"")
    boot(folder, (Disk(image.file, log=folder / "log"),), "kpio.case=steps_of_power")
    return folder / "before", writelog.read(folder / "log")


def fields(text):
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def unsealed(key, purpose, raw):
    """A sealed text's body. Its MAC must be right."""
    body, _, seal = raw.rpartition(b"[seal]\n")
    mac = hmac.new(key, purpose.encode() + b"\0" + body, hashlib.sha256).hexdigest()
    assert seal == f"mac = {mac}\n".encode(), raw
    return body.decode()


def named(folder):
    """The files that count: not those that were never finished."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".new-")} if folder.exists() else {}


def judge(folder):
    """What is installed, by files all of which must be whole."""
    if not (folder / "key").exists():
        assert not named(folder / "apps")
        return {}
    whole = (folder / "key").read_bytes()
    key = whole[:32]
    assert len(whole) == 64 and whole[32:] == hashlib.sha256(key).digest()
    modules, cache, installed = named(folder / "modules"), named(folder / "cache"), {}
    for name, data in modules.items():
        assert name == hashlib.sha256(data).hexdigest()
    for name, data in cache.items():
        digest, _, kind = name.partition(".")
        if kind != "entry":
            continue
        entry = fields(unsealed(key, "kpio artifact entry 1", data))
        artifact = cache.get(f"{digest}.aot")
        # An artifact's entry goes before it does, and comes after it.
        assert artifact is not None and entry["module"] == digest and entry["artifact"] == hashlib.sha256(artifact).hexdigest()
    for name, data in named(folder / "apps").items():
        app = fields(unsealed(key, "kpio app record 1", data))
        assert app["name"] == name and app["module"] in modules and f"{app['module']}.entry" in cache
        installed[name] = app["version"]
    return installed


def look(image, folder):
    """The state of a disk after its journal was replayed: what is installed, and how many steps were done."""
    fixed = command.run(["e2fsck", "-fy", str(image)], limit=command.LIMIT)
    assert fixed.status in (0, 1), "\n".join(fixed.lines)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    listed = command.check(["debugfs", "-R", "ls -p /", str(image)]).lines
    done = sum(line.split("/")[5].startswith("done-") for line in listed if line.count("/") > 5)
    command.check(["debugfs", "-R", f"rdump /var/lib/appd {folder}", str(image)])
    return judge(folder / "appd") if (folder / "appd").exists() else {}, done


def places(entries, count, seed):
    """Where the power goes: anywhere, the first and last places among them."""
    chance = random.Random(seed)
    return sorted({0, len(entries), *(chance.randrange(len(entries) + 1) for _ in range(count))})


def test_files_are_whole_at_every_cut(record, tmp_path, request):
    before, entries = record
    assert len(entries) > 100
    seen = set()
    for at in places(entries, CUTS_LONG if request.config.getoption("--long") else CUTS, 1):
        writelog.cut(before, entries, at, random.Random(at), tmp_path / "disk")
        try:
            installed, done = look(tmp_path / "disk", tmp_path / "files")
            assert installed in STATES[done:done + 2], f"after {done} steps {installed} is installed"
        except AssertionError as error:
            raise AssertionError(f"cut after {at} of {len(entries)} entries: {error}") from None
        seen.add(done)
    assert len(seen) > 3  # the cuts fell into several steps


def test_what_is_left_runs(record, tmp_path, request):
    before, entries = record
    for at in places(entries, BOOTS_LONG if request.config.getoption("--long") else BOOTS, 2)[1:-1]:
        writelog.cut(before, entries, at, random.Random(at), tmp_path / "ext4")
        boot(tmp_path, (replace(Disk(tmp_path / "ext4"), durable=False),), "kpio.case=after_the_cut")


def test_a_record_without_its_flushes_is_seen(record, tmp_path):
    """The checker would notice: the same with every flush taken out of the record."""
    before, entries = record
    bare = [replace(entry, flags=entry.flags & ~(writelog.FLUSH | writelog.FUA)) for entry in entries]
    found = 0
    for at in places(bare, 12, 3):
        writelog.cut(before, bare, at, random.Random(at), tmp_path / "disk")
        try:
            installed, done = look(tmp_path / "disk", tmp_path / "files")
            found += installed not in STATES[done:done + 2]
        except Exception:
            found += 1
    assert found > 0
