"""Debian's drivers of FUSE, as they are in their packages, on KPIO: images made on this machine are read there, and what is written there
is checked here. What the scripts print goes to files, which are read from the guest's root when it has ended."""
import hashlib
import random
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from guests import Config, built, stopping
from kpio import command, guest, linuxguest, packages
from kpio.machine import Disk, Machine
from kpio.rootfs import image

CONFIG = Config("release", machine=Machine(cpus=2, net="none"))
GROUPS = ("shell", "fuse")
SILENCE = 900  # of a busy machine
LIMIT = 300    # seconds, of a tool of this machine's
TOOLS = ("mksquashfs", "mkntfs", "ntfscp", "ntfscat", "ntfsfix", "mkfs.ext4", "e2fsck", "debugfs")
IMAGE_BYTES = 16 << 20
IMAGES = {"squashfuse": "t.sqfs", "ntfs-3g": "t.ntfs", "fuse2fs": "t.ext4"}
NUMBERS = "".join(f"{number}\n" for number in range(1, 20001))

SUM = "find . -type f ! -path './lost+found/*' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-64"
WRITE = ("cp /usr/bin/bash {0}/ && mkdir {0}/d && seq 20000 > {0}/d/seq && rm {0}/bash && cp /usr/bin/bash {0}/d/b && "
         "cmp /usr/bin/bash {0}/d/b && mv {0}/big {0}/d/moved && echo written")
GONE = "while pgrep -x {} > /dev/null; do sleep 0.1; done"  # the image is whole when its driver has ended


def writing(driver, mount, place):
    """Reads what is there, writes, unmounts."""
    return (f"mkdir {place}; {mount} && (cd {place} && {SUM}) && {WRITE.format(place)}; umount {place} && {GONE.format(driver)}; "
            f"ls {place} | wc -l")


SCRIPTS = {
    "squashfuse": f"mkdir /mnt/s; squashfuse /t.sqfs /mnt/s && cd /mnt/s && {SUM}; readlink link; stat -c %s big; cd /; "
                  "mount -t fuse.squashfuse | cut -d' ' -f1-5; kpio-mounts | grep -c '^/mnt/s .*squashfuse *ready'; umount /mnt/s; "
                  "mount | grep -c squash",
    "ntfs-3g": writing("ntfs-3g", "ntfs-3g /t.ntfs /mnt/n", "/mnt/n"),
    "fuse2fs": writing("fuse2fs", "fuse2fs -o rw /t.ext4 /mnt/e 2> /dev/null", "/mnt/e"),
    "killed": "mkdir /mnt/k; for round in 1 2 3; do squashfuse /t.sqfs /mnt/k || exit 1; "
              "for i in 1 2 3; do (while cat /mnt/k/big /mnt/k/sub/* > /dev/null 2>&1; do :; done; true) & done; "
              "sleep 0.2; kill -KILL $(pgrep -x squashfuse); wait; ls /mnt/k 2>&1 | grep -c 'not connected'; umount /mnt/k; done",
}


def make_tree(folder):
    chance = random.Random(1)
    (folder / "sub").mkdir(parents=True)
    for number in range(40):
        (folder / "sub" / f"f{number}").write_bytes(chance.randbytes(number * 997))
    (folder / "big").write_bytes(chance.randbytes(1 << 20) + bytes(1 << 20))
    (folder / "link").symlink_to("sub/f1")


def digest(files):
    """Of files by their paths in a tree: what SUM tells of it."""
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  ./{name}\n" for name, file in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def files_of(folder):
    return {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()}


def flat_files(folder):
    """The tree's files without its folders: ntfscp makes none."""
    return {file.name: file for file in files_of(folder).values()}


def make_ntfs(tree, path):
    command.check([packages.find_tool("mkntfs"), "-F", "-q", str(path)], limit=LIMIT)
    for name, file in flat_files(tree).items():
        command.check([packages.find_tool("ntfscp"), "-q", str(path), str(file), name], limit=LIMIT)


def make_images(folder):
    tree = folder / "tree"
    make_tree(tree)
    command.check(["mksquashfs", str(tree), str(folder / "t.sqfs"), "-quiet", "-no-progress", "-all-root"], limit=LIMIT)
    for name in ("t.ntfs", "t.ext4"):
        with open(folder / name, "wb") as file:
            file.truncate(IMAGE_BYTES)
    make_ntfs(tree, folder / "t.ntfs")
    command.check([packages.find_tool("mkfs.ext4"), "-q", "-F", "-O", "^has_journal", "-d", str(tree), str(folder / "t.ext4")], limit=LIMIT)
    return {f"/{name}": (folder / name).read_bytes() for name in IMAGES.values()}


def boot(folder, files):
    """root.ext4 in the folder is as the guest left it."""
    variant = built(CONFIG)
    root = image.make(GROUPS, folder / "root.ext4")
    commands = [linuxguest.Command(("/bin/bash", "-c", f"exec > /{name}.out 2>&1; {script}")) for name, script in SCRIPTS.items()]
    initrd = folder / "initrd.cpio"
    initrd.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), commands, files))
    machine = replace(CONFIG.machine, disks=(Disk(root, durable=False),))
    with guest.Guest(machine, variant.kernel, initrd, f"root=vda kpio.tty=1 {linuxguest.APPEND}") as running:
        for _ in running.follow(SILENCE, None, stopping):
            pass
        outcome = running.outcome()
    ran = linuxguest.runs(outcome.lines)
    assert len(ran) == len(SCRIPTS) and all(one.code is not None for one in ran), outcome.report()


def fetch(folder, image_name, path, name):
    """A file of an ext4 image's."""
    command.check([packages.find_tool("debugfs"), "-R", f"dump {path} {folder / name}", str(folder / image_name)], limit=LIMIT)
    return folder / name


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    absent = [tool for tool in TOOLS if packages.find_tool(tool) is None]
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)}")
    folder = tmp_path_factory.mktemp("fuse")
    boot(folder, make_images(folder))
    for name in ("t.ntfs", "t.ext4"):
        fetch(folder, "root.ext4", f"/{name}", name)
    yield folder, {name: fetch(folder, "root.ext4", f"/{name}.out", name).read_text().splitlines() for name in SCRIPTS}
    shutil.rmtree(folder, ignore_errors=True)


def test_squashfuse_reads_what_mksquashfs_made(told):
    folder, printed = told
    sums = digest(files_of(folder / "tree"))
    assert printed["squashfuse"] == [sums, "sub/f1", str(2 << 20), "squashfuse on /mnt/s type fuse.squashfuse", "1", "0"]


def test_ntfs_is_read_and_what_is_written_there_is_whole_here(told):
    folder, printed = told
    assert printed["ntfs-3g"] == [digest(flat_files(folder / "tree")), "written", "0"]
    volume = str(folder / "t.ntfs")
    command.check([packages.find_tool("ntfsfix"), "--no-action", volume], limit=LIMIT)
    for path, wanted in (("d/seq", NUMBERS.encode()), ("d/moved", (folder / "tree" / "big").read_bytes())):
        with open(folder / "ntfscat", "wb") as out:
            command_line = [packages.find_tool("ntfscat"), "-f", volume, path]
            subprocess.run(command_line, stdout=out, timeout=LIMIT, check=True)
        assert (folder / "ntfscat").read_bytes() == wanted, path


def test_ext4_is_read_and_what_is_written_there_is_whole_here(told):
    folder, printed = told
    assert printed["fuse2fs"] == [digest(files_of(folder / "tree")), "written", "0"]
    command.check([packages.find_tool("e2fsck"), "-f", "-n", str(folder / "t.ext4")], limit=LIMIT)
    assert fetch(folder, "t.ext4", "/d/seq", "seq").read_text() == NUMBERS
    assert fetch(folder, "t.ext4", "/d/moved", "moved").read_bytes() == (folder / "tree" / "big").read_bytes()


def test_drivers_killed_under_load(told):
    assert told[1]["killed"] == ["1", "1", "1"]
