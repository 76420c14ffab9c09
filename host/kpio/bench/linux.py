"""The Linux side: Debian's cloud kernel in the same QEMU, running tests/bench/linux/bench.c.

The kernel comes from its package, downloaded and unpacked into the cache, never installed. Fixed seed and clock,
nokaslr and norandmaps make runs repeat; tsc=reliable drops the clock watchdog.
"""
from __future__ import annotations

import glob
import os
import re
import tempfile
from pathlib import Path

from .. import command, cpio, guest, packages
from ..errors import MISSING, KpioError
from ..machine import Machine
from ..paths import ROOT, cache_folder, inputs_key
from .kernel import SILENCE, json_lines

SOURCES = ROOT / "tests" / "bench" / "linux"
METAPACKAGE = "linux-image-cloud-amd64"
# musl: a static program of glibc's starts so slowly that exec would take twice as long, which is not Linux's doing.
# The FUSE driver is the program that Debian's libfuse makes: with its C library.
DEVFUSE = ["gcc-12", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-static", "-s", str(SOURCES / "devfuse.c"), "-lfuse3", "-lpthread"]
COMPILER = ["musl-gcc", "-std=c11", "-O2", "-Wall", "-Wextra", "-static", "-s", f"-I{ROOT}"]
APPEND = "console=ttyS0 quiet panic=-1 nokaslr norandmaps tsc=reliable"
# In the order in which they must be loaded; ext4 is built in, and its checksums use crc32c-intel on a real machine.
MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
           "crc32c-intel", "fuse")
DISK_ID = "01234567-89ab-cdef-0123-456789abcdef"
DISK_MIB = 256


def kernel_package() -> str:
    """What the metapackage stands for today."""
    listed = command.check(["apt-cache", "depends", METAPACKAGE], status=MISSING)
    found = re.search(r"Depends: (linux-image-\S+)", "\n".join(listed.lines))
    if not found:
        raise KpioError(f"{METAPACKAGE} is not in apt's lists: apt-get update, on Debian", MISSING)
    return found[1]


def kernel_tree() -> Path:
    """The unpacked kernel package, fetched once for each version."""
    if not packages.find_tool("apt-get"):
        raise KpioError("the Linux kernel for the comparison comes from Debian's archive; there is no apt-get", MISSING)
    name = kernel_package()
    tree = cache_folder("linux") / name
    if not tree.exists():
        with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
            command.check(["apt-get", "download", name], cwd=Path(folder), limit=900, status=MISSING)
            command.check(["dpkg", "-x", *glob.glob(f"{folder}/*.deb"), f"{folder}/tree"], limit=300)
            os.rename(f"{folder}/tree", tree)
    return tree


def module_entries(tree: Path) -> list[cpio.Entry]:
    entries = []
    for number, name in enumerate(MODULES, 10):
        found = glob.glob(f"{tree}/lib/modules/**/{name}.ko", recursive=True)
        if found:  # what is not a module is built in
            entries.append(cpio.Entry(f"mod/{number}-{name}.ko", Path(found[0]).read_bytes()))
    return entries


def initramfs(tree: Path) -> Path:
    """init, bench and a tiny program, and the modules for the disk; made anew when one of them changes."""
    sources = [SOURCES / "init.c", SOURCES / "bench.c", SOURCES / "tiny.c"]
    driver = SOURCES / "devfuse.c"
    headers = [ROOT / "lib" / "bench_mark.h"]
    made = cache_folder("linux") / f"initramfs-{inputs_key(tree.name, *COMPILER, *DEVFUSE, *sources, *headers, driver)}.cpio"
    if made.exists():
        return made
    entries = [cpio.Entry(name, mode=cpio.FOLDER | 0o755) for name in ("dev", "mod")]
    with tempfile.TemporaryDirectory(dir=made.parent) as folder:
        for source in sources:
            program = Path(folder, source.stem)
            command.check([*COMPILER, str(source), "-o", str(program)])
            entries.append(cpio.Entry(source.stem, program.read_bytes(), cpio.FILE | 0o755))
        command.check([*DEVFUSE, "-o", f"{folder}/devfuse"])
        entries.append(cpio.Entry("devfuse", Path(folder, "devfuse").read_bytes(), cpio.FILE | 0o755))
        unfinished = Path(folder, "initramfs")
        unfinished.write_bytes(cpio.pack(entries + module_entries(tree)))
        unfinished.rename(made)
    return made


def make_disk(image: Path, mib: int = DISK_MIB) -> None:
    """An ext4 disk: the same bytes each time, nothing left to initialise in the background."""
    with open(image, "wb") as file:
        file.truncate(mib << 20)
    mkfs = packages.find_tool("mkfs.ext4") or "mkfs.ext4"
    command.check([mkfs, "-q", "-F", "-U", DISK_ID, "-E",
                   f"hash_seed={DISK_ID},lazy_itable_init=0,lazy_journal_init=0", str(image)],
                  env={"E2FSPROGS_FAKE_TIME": "1700000000"})


def disk_arguments(image: Path) -> tuple:
    """cache=unsafe spares the host the flushes that the guest still sends; the throttle makes a request slower than
    the guest's way to idle, else luck would decide which comes first."""
    return ("-drive", f"file={image},if=none,id=disk,format=raw,cache=unsafe,throttling.iops-total=1000",
            "-device", "virtio-blk-pci,drive=disk,disable-legacy=on")


def measure(words: list[str], disk: bool = False, detail=lambda text: None, image: Path | None = None,
            disks: tuple = (), archive: Path | None = None, memory_mib: int = 1024, extra: tuple = (),
            patience: int = 1) -> dict[str, dict]:
    """Results by name, "ns" being instructions; `words` select tests (all where there is none). `image`: a disk made already,
    which is slow; `disks`: as a machine has them; `archive`: another initramfs, `patience`: how much longer it may take."""
    tree = kernel_tree()
    kernel = Path(glob.glob(f"{tree}/boot/vmlinuz-*")[0])
    with tempfile.TemporaryDirectory(prefix="kpio-linux-") as folder:
        if image:
            extra = disk_arguments(image)
        elif disk:
            make_disk(Path(folder, "disk"))
            extra = disk_arguments(Path(folder, "disk"))
        machine = Machine(memory_mib=memory_mib, accelerator="icount", net="none", rng=False, disks=disks, extra=extra)
        outcome = guest.boot(machine, kernel, archive or initramfs(tree), f"{APPEND} BENCH={','.join(words)}",
                             silence=patience * SILENCE, total=6 * patience * SILENCE, on_line=detail)
    results = json_lines(outcome.lines)
    if not any(result.get("name") == "end" for result in results):
        raise KpioError(f"the Linux guest did not reach its end: {outcome.report()}")
    return {result["name"]: result for result in results if result.get("name") not in (None, "end")}
