"""On which machines a guest suite runs. A suite is a program tests/guest/SUITE.c; one not named here runs on DEFAULT."""
import shutil
import struct
from dataclasses import replace

import images
from guests import Boot, Config
from kpio import command, folders, fuzzed, packages
from kpio.machine import Disk, Machine
from kpio.paths import ROOT
from kpio.rootfs import tree

DEFAULT = Config(machine=Machine(cpus=4))
SMALLEST = 64
LARGEST = 8192

# The ends of what the system runs on, and each of its builds, at least once.
ENDS = [
    Config(machine=Machine(cpus=1, memory_mib=SMALLEST)),
    Config(machine=Machine(cpus=4)),
    Config("release", machine=Machine(cpus=8, memory_mib=LARGEST)),
    Config("release", machine=Machine(cpus=1, memory_mib=SMALLEST)),
    Config("release", machine=Machine(kind="microvm", cpus=4)),
    Config("release", machine=Machine(kind="microvm", cpus=1, memory_mib=SMALLEST)),
    Config("release", machine=Machine(kind="microvm", cpus=8, memory_mib=LARGEST)),
    Config("release", "gcc-12", machine=Machine(cpus=4)),
]



def block_disks(folder):
    """What tests/guest/disk.c expects: see its head."""
    parts = images.gpt(images.blank(folder / "parts", 64), [(2048, 20480), (22528, 40960)])
    numbered = folder / "numbered"
    numbered.write_bytes(b"".join(struct.pack("<Q", sector).ljust(512, b".") for sector in range(2048)))
    failing = images.blank(folder / "failing", 16)
    large = images.write_at(images.blank(folder / "large", 8), 0, images.mbr_block([(0x83, 256, 1024), (0x05, 1280, 64)]))
    damaged = images.gpt(images.blank(folder / "damaged", 4), [(64, 1024)], 512)
    images.write_at(damaged, 512 + 40, b"\xff")
    return (Disk(parts, durable=False), Disk(numbered, read_only=True),
            Disk(failing, bad=(("write", 1000), ("read", 2000), ("flush", 0))),
            Disk(large, block_size=4096, durable=False), Disk(damaged, queues=1, durable=False))


def ext4_disk(folder):
    """256 MiB as mkfs.ext4 makes it, which at this size means blocks of 1 KiB."""
    image = images.blank(folder / "ext4", 256)
    command.check(["mkfs.ext4", "-q", "-F", str(image)])
    return (Disk(image, durable=False),)


def fuse2fs_disk(folder):
    """A root file system of Linux with fuse2fs, and its volume in it: tests/guest/fs_conformance/linux_driver.c."""
    root, disk, volume = folder / "root", images.blank(folder / "disk", 256), folder / "root" / "volume"
    shutil.copytree(tree.make("fuse"), root, symlinks=True)
    command.check(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", str(images.blank(volume, 64))])
    command.check(["mkfs.ext4", "-q", "-F", "-d", str(root), str(disk)])
    return (Disk(disk, durable=False),)


def take_out(folder):
    """The volume that was a file of the disk's."""
    if (folder / "disk").exists():
        command.check([packages.find_tool("debugfs"), "-R", f"dump /volume {folder / 'ext4'}", str(folder / "disk")])


def examine(folder):
    """The volume that a suite has left, if it had one: whether e2fsck or fsck.fat finds faults."""
    take_out(folder)
    volumes = (("ext4", fuzzed.E2FSCK), ("fat32", fuzzed.FSCK_FAT))
    return [(name, fuzzed.flaw(folder / name, check)) for name, check in volumes if (folder / name).exists()]


def shared_folder(folder):
    """One of this machine's, as the guest's first virtio-fs device."""
    shared = folder / "shared"
    shared.mkdir()
    return [folders.Share(shared, "/mnt")]


def fat32_disk(folder):
    image = images.blank(folder / "fat32", 64)
    command.check(["mkfs.fat", "-F", "32", str(image)])
    return (Disk(image, durable=False),)


# Suites that run once more for each of these: what their command lines say besides, and their disks.
VARIANTS = {"fs_conformance": [("tmpfs", "", None), ("ext4", "kpio.fs=ext4", ext4_disk), ("fat32", "kpio.fs=fat32", fat32_disk),
                               ("fuse", "kpio.fs=fuse", None), ("fuse-writeback", "kpio.fs=fuse kpio.writeback=1", None),
                               ("virtiofs", "kpio.fs=fuse kpio.driver=virtio_fs", None),
                               ("fuse2fs", "kpio.fs=fuse kpio.driver=fuse2fs root=vda", fuse2fs_disk)],
            "power": [("ext4", "", ext4_disk), ("fat32", "kpio.fs=fat32", fat32_disk)]}

# Those of them that are slow: Linux programs.
RELEASED = {"fuse2fs"}

# Those that get folders of this machine.
SHARES = {"virtiofs": shared_folder}

MACHINES = {
    "boot": ENDS,
    "disk": [DEFAULT, Config("release", machine=Machine(cpus=1, memory_mib=SMALLEST)),
             Config("release", machine=Machine(kind="microvm", cpus=4))],
    "fuzz": [Config("cov", machine=Machine(cpus=4))],
    "storm": [Config(machine=Machine(cpus=4, memory_mib=256)), Config("release", machine=Machine(cpus=8, memory_mib=128))],
    "driver_net": [Config(machine=Machine(cpus=4, net="pair")), Config("release", machine=Machine(cpus=1, net="pair")),
                   Config("release", machine=Machine(kind="microvm", cpus=4, net="pair"))],
    "page_cache": [DEFAULT, Config("release", machine=Machine(cpus=1, memory_mib=SMALLEST)),
                   Config("release", machine=Machine(kind="microvm", cpus=4))],
    "driver_rng": [DEFAULT, Config("release", machine=Machine(kind="microvm", cpus=4))],
}
# More of a suite's boots: silence, total, long, long_append, disks, examine, least_coverage (see Boot).
OPTIONS = {"disk": {"disks": block_disks},
           "page_cache": {"disks": ext4_disk},
           "fs_conformance": {"examine": examine},
           "power": {"examine": examine},
           "fuzz": {"disks": fuzzed.make_disks, "examine": fuzzed.examine_disks, "total": 24 * 3600,
                    "least_coverage": 70.0}}

# Once more with page tables of their own for user mode, which QEMU's processors do not ask for.
WITH_KPTI = ["boot", "thread", "process", "revoke"]

# Programs that are booted elsewhere: tests/system/modes.py, test_appd.py.
OTHERS = {"takeover", "appd"}


def boots():
    made = []
    for name in sorted({path.stem for path in (ROOT / "tests" / "guest").glob("*.c")} - OTHERS):
        for config in MACHINES.get(name, [DEFAULT]):
            options = {"long_append": "kpio.long", **OPTIONS.get(name, {})}
            machine = f"kpio.cpus={config.machine.cpus} kpio.mib={config.machine.memory_mib}"
            for variant, words, disks in VARIANTS.get(name, [("", "", options.pop("disks", None))]):
                chosen = replace(config, build="release") if variant in RELEASED else config
                full = f"{name}[{chosen}{'-' if variant else ''}{variant}]"
                made.append(Boot(full, f"kpio.test={name} {machine} {words}".rstrip(), chosen, disks=disks,
                                 shares=SHARES.get(variant or name), **options))
        if name in WITH_KPTI:
            machine = f"kpio.cpus={DEFAULT.machine.cpus} kpio.mib={DEFAULT.machine.memory_mib}"
            made.append(Boot(f"{name}[{DEFAULT}-kpti]", f"kpio.test={name} {machine} kpti=on", DEFAULT))
    return made
