"""Power cuts, looked at on this machine: what a workload on ext4 leaves behind when the power goes (docs/storage.md).

Two kinds of rounds: the file system's sources built for the host, under a recorder; and a guest with four processes, whose
disk QEMU records. Both are judged by programs of mk/unit.mk, with e2fsck.
"""
import shutil
import subprocess
from pathlib import Path

from . import build, command, guest, ktest, machine
from .errors import KpioError
from .paths import ROOT

HOST_PROGRAM = "kernel/fs/ext4/test/power_test"
GUEST_PROGRAM = "kernel/fs/ext4/test/power_guest_test"
ROUND_SECONDS = 3600
IMAGE_MIB = 32


def judge(program, case, on_line=None, **environment):
    """Runs one case of a host program; what it found, nothing when all is well."""
    path = f"build/unit-clang-19/{program}"
    build.make([path], f"Building {path}", quiet=True)
    settings = {f"KPIO_POWER_{key.upper()}": str(value) for key, value in environment.items()}
    result = command.run([str(ROOT / path), case], limit=ROUND_SECONDS, env={**settings, "KPIO_PROGRESS": "1"}, on_line=on_line)
    if result.status == 0:
        return []
    return [line for line in result.lines if line.startswith(("cut at", "KTEST fail"))] or result.lines[-20:]


def host_round(cuts, seed, on_line=None):
    return judge(HOST_PROGRAM, "nothing_that_was_synced", on_line, cuts=cuts, seed=seed)


def make_image(folder):
    image = Path(folder) / "disk"
    with open(image, "wb") as file:
        file.truncate(IMAGE_MIB << 20)
    tool = shutil.which("mke2fs") or "/usr/sbin/mke2fs"
    subprocess.run([tool, "-q", "-F", "-t", "ext4", str(image)], check=True, timeout=60)
    return image


def guest_round(variant, folder, cuts, seed, steps=60, cpus=4, on_line=None):
    """Boots the workload on a new image, then cuts its power. Raises when the guest itself fails."""
    image, log = make_image(folder), Path(folder) / "log"
    before = Path(folder) / "before"
    shutil.copyfile(image, before)
    log.write_bytes(b"")
    suite = ktest.Suite()
    chosen = machine.Machine(cpus=cpus, disks=(machine.Disk(image, log=log),))
    outcome = guest.boot(chosen, variant.kernel, variant.initrd, f"kpio.test=power kpio.steps={steps} kpio.seed={seed}",
                         silence=300, on_line=suite.line)
    failed = [case.name for case in suite.cases if case.result != "passed"]
    if suite.flaw(outcome) or failed or not suite.cases:
        raise KpioError("\n".join([f"the workload failed in the guest: {suite.flaw(outcome)}", *outcome.lines[-30:]]))
    return judge(GUEST_PROGRAM, "what_a_guest_synced", on_line, cuts=cuts, seed=seed, steps=steps, log=log, image=before)
