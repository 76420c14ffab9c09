"""GRUB, which brings the kernel into memory where no `-kernel` does: its images for BIOS, CD and UEFI, its menu.

The menu lies on the partition or CD that has MARK; GRUB finds it by that file, not by number.
"""
from __future__ import annotations

import struct
from pathlib import Path

from .. import command
from .gpt import SECTOR

FOLDER = Path("/usr/lib/grub")
KERNEL, INITRD, ROOT_IMAGE, MENU = "boot/kpio/kernel.elf", "boot/kpio/initrd.cpio", "boot/kpio/root.ext4", "boot/kpio/grub.cfg"
MARK = MENU

COMMON = ["part_gpt", "part_msdos", "fat", "iso9660", "normal", "configfile", "search", "search_fs_file", "multiboot2",
          "all_video", "boot", "serial", "terminal", "echo", "test", "reboot", "halt"]
BIOS = COMMON + ["biosdisk", "vbe", "vga"]
EFI = COMMON + ["efi_gop", "efi_uga"]

EARLY = f"search.file /{MARK} root\nset prefix=($root)/boot/grub\nconfigfile /{MENU}\n"


def make_image(kind: str, modules: list[str], out: Path) -> Path:
    """A core image with these modules inside, so that none is loaded from the disk."""
    early = out.with_suffix(".early")
    early.write_text(EARLY)
    command.check(["grub-mkimage", "-O", kind, "-d", str(FOLDER / kind.removesuffix("-eltorito")), "-c", str(early),
                   "-p", "/boot/grub", "-o", str(out), *modules])
    return out


def bios(folder: Path, core_sector: int) -> tuple[bytes, bytes]:
    """Boot code for the MBR, and the core image that it loads from `core_sector` on.

    Both find the next piece by block lists that the installer fills in: the MBR's first sector of the core at 0x5c; the
    core's first sector has the rest of it as its last 12 bytes (sector, count, segment).
    """
    code = bytearray((FOLDER / "i386-pc/boot.img").read_bytes())
    struct.pack_into("<Q", code, 0x5C, core_sector)
    code[0x66:0x68] = b"\x90\x90"  # trust the drive number that the BIOS gives
    core = bytearray(make_image("i386-pc", BIOS, folder / "core.img").read_bytes())
    core += bytes(-len(core) % SECTOR)
    struct.pack_into("<QHH", core, SECTOR - 12, core_sector + 1, len(core) // SECTOR - 1, 0x820)
    return bytes(code), bytes(core)


def cd(folder: Path) -> bytes:
    """The El Torito image for BIOS; xorriso fills in where it lies."""
    core = make_image("i386-pc-eltorito", BIOS, folder / "cdcore.img").read_bytes()
    return core


def efi(folder: Path) -> Path:
    return make_image("x86_64-efi", EFI, folder / "BOOTX64.EFI")


def menu(append: str, root_in_memory: bool) -> str:
    """Says what it is about to do: reading from a disk takes the firmware, which may be slow, or stop."""
    disk = f"    echo Loading /{ROOT_IMAGE}\n    module2 /{ROOT_IMAGE}\n" if root_in_memory else ""
    return f"""set timeout=0
if [ "$grub_platform" = pc ]; then
    serial --unit=0 --speed=115200
    terminal_input console serial
    terminal_output console serial
fi
menuentry "KPIO" {{
    echo Loading /{KERNEL}
    multiboot2 /{KERNEL} {append}
    echo Loading /{INITRD}
    module2 /{INITRD}
{disk}    echo Starting
}}
"""
