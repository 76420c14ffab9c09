"""Power cuts, looked at on this machine: what a workload leaves behind when the power goes (docs/storage.md).

Two kinds of rounds: the file system's sources built for the host, under a recorder; and a guest with four processes, whose
disk QEMU records. Both are judged by programs of mk/unit.mk, with e2fsck and fsck.fat.
"""
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import build, command, guest, ktest, machine
from .errors import KpioError
from .paths import ROOT



@dataclass(frozen=True)
class FileSystem:
    name: str
    volumes: tuple  # MiB and what makes it; by the round's seed one of them
    on_host: tuple  # program and case
    in_guest: tuple


EXT4 = FileSystem("ext4", ((32, ("mke2fs", "-q", "-F", "-t", "ext4")),),
                  ("kernel/fs/ext4/test/power_test", "nothing_that_was_synced"),
                  ("kernel/fs/ext4/test/power_guest_test", "what_a_guest_synced"))
# Clusters of one sector and of two: files end at their ends and within them.
FAT32 = FileSystem("fat32", ((68, ("mkfs.fat", "-F", "32", "-s", "2")), (34, ("mkfs.fat", "-F", "32", "-s", "1"))),
                   ("kernel/fs/fat32/test/fat_power_test", "what_a_guest_synced"),
                   ("kernel/fs/fat32/test/fat_power_test", "what_a_guest_synced"))
ALL = (EXT4, FAT32)
ROUND_SECONDS = 3600


def judge(program, case, on_line=None, **environment):
    """Runs one case of a host program; what it found, nothing when all is well."""
    path = f"build/unit-clang-19/{program}"
    with build.alone("unit-clang-19"):
        build.make([path], f"Building {path}", quiet=True)
    settings = {f"KPIO_POWER_{key.upper()}": str(value) for key, value in environment.items()}
    result = command.run([str(ROOT / path), case], limit=ROUND_SECONDS, env={**settings, "KPIO_PROGRESS": "1"}, on_line=on_line)
    if result.status == 0:
        return []
    return [line for line in result.lines if line.startswith(("cut at", "KTEST fail"))] or result.lines[-20:]


def host_round(system, cuts, seed, on_line=None):
    return judge(*system.on_host, on_line, cuts=cuts, seed=seed)


def make_image(system, folder, seed):
    image = Path(folder) / "disk"
    mib, make = system.volumes[seed % len(system.volumes)]
    with open(image, "wb") as file:
        file.truncate(mib << 20)
    command.check([*make, str(image)])
    return image


def guest_round(system, variant, folder, cuts, seed, steps=60, cpus=4, on_line=None):
    """Boots the workload on a new image, then cuts its power. Raises when the guest itself fails."""
    image, log = make_image(system, folder, seed), Path(folder) / "log"
    before = Path(folder) / "before"
    shutil.copyfile(image, before)
    log.write_bytes(b"")
    suite = ktest.Suite()
    chosen = machine.Machine(cpus=cpus, disks=(machine.Disk(image, log=log),))
    words = f"kpio.test=power kpio.fs={system.name} kpio.steps={steps} kpio.seed={seed}"
    outcome = guest.boot(chosen, variant.kernel, variant.initrd, words, on_line=suite.line)
    failed = [case.name for case in suite.cases if case.result != "passed"]
    if suite.flaw(outcome) or failed or not suite.cases:
        raise KpioError("\n".join([f"the workload failed in the guest: {suite.flaw(outcome)}", *outcome.lines[-30:]]))
    return judge(*system.in_guest, on_line, cuts=cuts, seed=seed, steps=steps, log=log, image=before)
