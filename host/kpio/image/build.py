"""Puts an image together, with no right that an ordinary user lacks: nothing is mounted.

    disk    MBR + GPT │ BIOS boot: GRUB │ EFI system partition (FAT32): GRUB, kernel, archive │ root (ext4)
    CD      GRUB for BIOS and UEFI, kernel, archive, root file system, which GRUB loads into memory
"""
from __future__ import annotations

import math
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .. import command, progress
from ..build import Build
from ..errors import USAGE, KpioError
from . import gpt, grub

MIB = 1 << 20
BIOS_BOOT_MIB, EFI_MIB, SMALLEST_ROOT_MIB = 1, 64, 64
FORMATS = ("raw", "qcow2", "iso")
SKELETON = ("bin", "etc", "home", "tmp", "var")  # an image made from no folder has these
ROOT_ARGUMENT = {"raw": "root=vda3", "qcow2": "root=vda3", "iso": "root=ram0"}


@dataclass(frozen=True)
class Wanted:
    format: str
    out: Path
    variant: Build
    source: Path | None = None  # what the root file system holds
    root_mib: int | None = None
    append: str = ""


def make(wanted: Wanted) -> None:
    if wanted.source is not None and not wanted.source.is_dir():
        raise KpioError(f"--from {wanted.source}: no such folder", USAGE)
    if not wanted.out.parent.is_dir():
        raise KpioError(f"-o {wanted.out}: no folder {wanted.out.parent}", USAGE)
    with tempfile.TemporaryDirectory(prefix="kpio-image-", dir=wanted.out.parent) as name:
        folder = Path(name)
        append = f"{ROOT_ARGUMENT[wanted.format]} {wanted.append}".strip()
        root = make_root(wanted, folder)
        made = make_cd(wanted, folder, root, append) if wanted.format == "iso" else make_disk(wanted, folder, root, append)
        if wanted.format == "qcow2":
            with progress.step("Converting to qcow2"):
                command.check(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(made), str(folder / "qcow2")],
                              limit=1800)
            made = folder / "qcow2"
        os.replace(made, wanted.out)  # an image is there whole or not at all


def content_mib(folder: Path) -> int:
    """Room that the files take in blocks of 4 KiB, with a block for each name."""
    total = 0
    for at, folders, files in os.walk(folder):
        for name in folders + files:
            total += 4096 + math.ceil(os.lstat(os.path.join(at, name)).st_size / 4096) * 4096
    return math.ceil(total / MIB)


def make_root(wanted: Wanted, folder: Path) -> Path:
    """The ext4 file system, as mkfs.ext4 makes it, with the folder's content owned by 0:0."""
    source = wanted.source
    if source is None:
        source = folder / "skeleton"
        for name in SKELETON:
            (source / name).mkdir(parents=True)
    holds = content_mib(source)
    size = wanted.root_mib or max(SMALLEST_ROOT_MIB, holds * 5 // 4 + 32)
    if size < holds:
        raise KpioError(f"--root-size: {size} MiB do not hold the {holds} MiB of {source}", USAGE)
    root = folder / "root.ext4"
    with progress.step(f"Making the root file system, {size} MiB"):
        command.check(["mkfs.ext4", "-q", "-F", "-L", "kpio-root", "-E", "root_owner=0:0", "-d", str(source), str(root),
                       f"{size}M"], limit=1800)
    return root


def make_efi_partition(wanted: Wanted, folder: Path, files: list[tuple[Path, str]]) -> Path:
    """A FAT32 file system with these files."""
    image = folder / "efi.fat"
    with open(image, "wb") as file:
        file.truncate(EFI_MIB * MIB)
    command.check(["mkfs.fat", "-F", "32", "-n", "KPIO-EFI", str(image)])
    made: set[str] = set()
    for source, target in files:
        for parent in reversed(Path(target).parents):
            if str(parent) != "." and str(parent) not in made:
                command.check(["mmd", "-i", str(image), f"::/{parent}"])
                made.add(str(parent))
        command.check(["mcopy", "-i", str(image), str(source), f"::/{target}"])
    return image


def boot_files(wanted: Wanted, folder: Path, append: str, root_in_memory: bool) -> list[tuple[Path, str]]:
    menu = folder / "grub.cfg"
    menu.write_text(grub.menu(append, root_in_memory))
    # GRUB refuses a kernel whose section headers name relocations, though it would not have to apply them.
    kernel = folder / "kernel.elf"
    command.check(["llvm-objcopy-19", "--strip-sections", str(wanted.variant.kernel), str(kernel)])
    return [(kernel, grub.KERNEL), (wanted.variant.initrd, grub.INITRD), (menu, grub.MENU)]


def make_disk(wanted: Wanted, folder: Path, root: Path, append: str) -> Path:
    with progress.step("Making the disk"):
        files = [(grub.efi(folder), "EFI/BOOT/BOOTX64.EFI"), *boot_files(wanted, folder, append, False)]
        efi = make_efi_partition(wanted, folder, files)
        partitions, at = [], gpt.ALIGNMENT
        for name, kind, size in (("BIOS boot", gpt.BIOS_BOOT, BIOS_BOOT_MIB * MIB),
                                 ("EFI system", gpt.EFI_SYSTEM, EFI_MIB * MIB),
                                 ("KPIO root", gpt.LINUX_FILES, root.stat().st_size)):
            partitions.append(gpt.Partition(name, kind, at, size // gpt.SECTOR))
            at += math.ceil(size / gpt.SECTOR / gpt.ALIGNMENT) * gpt.ALIGNMENT
        code, core = grub.bios(folder, partitions[0].first)
        if len(core) > BIOS_BOOT_MIB * MIB:
            raise KpioError(f"GRUB's core image has {len(core)} bytes: more than the BIOS boot partition")
        disk = folder / "disk"
        with open(disk, "w+b") as file:
            file.truncate((at + gpt.ALIGNMENT) * gpt.SECTOR)
            gpt.write(file, at + gpt.ALIGNMENT, partitions, code)
            file.seek(partitions[0].first * gpt.SECTOR)
            file.write(core)
            for partition, content in zip(partitions[1:], (efi, root)):
                copy_sparse(content, file, partition.first * gpt.SECTOR)
    return disk


def copy_sparse(source: Path, file, offset: int) -> None:
    """Copies what is not zero, so that the image takes no more room than its content."""
    with open(source, "rb") as content:
        for at in range(0, source.stat().st_size, MIB):
            piece = content.read(MIB)
            if piece.count(0) != len(piece):
                file.seek(offset + at)
                file.write(piece)


def make_cd(wanted: Wanted, folder: Path, root: Path, append: str) -> Path:
    with progress.step("Making the CD"):
        tree = folder / "cd"
        for source, target in [*boot_files(wanted, folder, append, True), (root, grub.ROOT_IMAGE)]:
            (tree / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, tree / target)
        (tree / "boot/kpio/bios.img").write_bytes(grub.cd(folder))
        # UEFI starts GRUB from a FAT image; GRUB then finds the menu on the CD itself.
        efi = folder / "efi-cd.fat"
        loader = grub.efi(folder)
        with open(efi, "wb") as file:
            file.truncate(max(4, math.ceil(loader.stat().st_size / MIB) + 1) * MIB)
        command.check(["mkfs.fat", "-n", "KPIO-EFI", str(efi)])
        for made in ("EFI", "EFI/BOOT"):
            command.check(["mmd", "-i", str(efi), f"::/{made}"])
        command.check(["mcopy", "-i", str(efi), str(loader), "::/EFI/BOOT/BOOTX64.EFI"])
        shutil.copyfile(efi, tree / "boot/kpio/efi.img")
        iso = folder / "iso"
        command.check(["xorriso", "-as", "mkisofs", "-quiet", "-V", "KPIO", "-R", "-J", "-b", "boot/kpio/bios.img",
                       "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info", "-eltorito-alt-boot",
                       "-e", "boot/kpio/efi.img", "-no-emul-boot", "-o", str(iso), str(tree)], limit=600)
    return iso
