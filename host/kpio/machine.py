"""The guest machine: what the options choose, as QEMU arguments."""
from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from .errors import USAGE, KpioError

QEMU = "qemu-system-x86_64"
KINDS = ("q35", "microvm")
SMALLEST_MIB, LARGEST_MIB = 64, 8192
MOST_CPUS = 8
EXIT_PORT = 0xF4
EXIT_SUCCESS = 0x10 << 1 | 1  # what QEMU exits with when the guest writes 0x10 to the exit port
EXIT_FAILURE = 0x11 << 1 | 1

# Deterministic counting: one instruction is one nanosecond of virtual time; without ERMS both sides of a
# comparison copy eight bytes an iteration.
ICOUNT = ["-icount", "shift=0,sleep=off", "-seed", "1", "-rtc", "base=2024-01-01T00:00:00,clock=vm"]
ICOUNT_CPU = "max,-erms"


@dataclass(frozen=True)
class Disk:
    """A raw image as a virtio disk."""

    file: Path
    read_only: bool = False
    block_size: int = 512
    queues: int = 0  # 0: as many as QEMU likes
    durable: bool = True  # False: flushes end in the host's memory, which is enough where no power is cut
    snapshot: bool = False  # what is written goes with the guest
    # Sectors whose requests fail: ("read" or "write", sector). ("flush", 0) fails every flush.
    bad: tuple = ()
    log: Optional[Path] = None  # every write and flush is appended here (QEMU's blklogwrites)

    def backend(self, number: int) -> list[str]:
        file = str(self.file).replace(",", ",,")
        parts = ["if=none", f"id=disk{number}", f"cache={'writeback' if self.durable else 'unsafe'}"]
        if self.read_only:
            parts.append("readonly=on")
        if self.snapshot:
            parts.append("snapshot=on")
        if self.log:
            parts += ["driver=blklogwrites", "file.driver=raw", "file.file.driver=file", f"file.file.filename={file}",
                      "log.driver=file", f"log.filename={self.log}"]
            return ["-drive", ",".join(parts)]
        if not self.bad:
            return ["-drive", ",".join([*parts, "format=raw", f"file={file}"])]
        parts += ["driver=raw", "file.driver=blkdebug", "file.image.driver=file", f"file.image.filename={file}"]
        for index, (operation, sector) in enumerate(self.bad):
            rule = f"file.inject-error.{index}"
            parts += [f"{rule}.event=none", f"{rule}.iotype={operation}", f"{rule}.errno=5"]
            if operation != "flush":
                parts.append(f"{rule}.sector={sector}")
        return ["-drive", ",".join(parts)]

    def arguments(self, number: int, device: str, place: str) -> list[str]:
        """`device` is QEMU's model, `place` its bus, or nothing."""
        parts = [device, f"drive=disk{number}", "rerror=report,werror=report"]
        if self.block_size != 512:
            parts.append(f"logical_block_size={self.block_size},physical_block_size={self.block_size}")
        if self.queues:
            parts.append(f"num-queues={self.queues}")
        return [*self.backend(number), "-device", ",".join(parts) + place]


@dataclass(frozen=True)
class Folder:
    """A folder of the host behind a virtio-fs device, served on a socket (folders.py)."""

    tag: str
    socket: Path

    def arguments(self, device: str, place: str) -> list[str]:
        return ["-chardev", f"socket,id={self.tag},path={self.socket}",
                "-device", f"vhost-user-fs{device},chardev={self.tag},tag={self.tag},queue-size=128{place}"]


@dataclass(frozen=True)
class Machine:
    kind: str = "q35"
    cpus: int = 1
    memory_mib: int = 1024
    accelerator: str = "tcg"  # tcg, kvm, or icount: deterministic, one CPU
    net: str = "user"  # none; user: one card, QEMU's own network; pair: two cards joined by a wire
    rng: bool = True
    cpu: str = "max"
    disks: tuple = ()  # of Disk: vda, vdb, ...
    folders: tuple = ()  # of Folder
    streams: Optional[int] = None  # this process's end of a socket, the other of which a program's streams go through (hostrun.py)
    extra: tuple = ()  # more QEMU arguments

    def with_disk(self, disk: Disk) -> tuple[Machine, str]:
        """The machine with one disk more, and its name in the guest."""
        return replace(self, disks=(*self.disks, disk)), f"vd{chr(ord('a') + len(self.disks))}"

    def arguments(self, kernel: Path, initrd: Path | None, append: str) -> list[str]:
        """The whole command line, but for the console."""
        # strict: the firmware leaves disks alone, which it would keep memory for, where the boot archive lies.
        argv = [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-boot", "strict=on", "-display", "none", "-monitor", "none",
                "-m", str(self.memory_mib), "-smp", str(self.cpus), *self.machine_arguments(),
                *self.accelerator_arguments(), "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4",
                *self.device_arguments(), *self.extra, "-kernel", str(kernel)]
        if initrd:
            argv += ["-initrd", str(initrd)]
        if append:
            argv += ["-append", append]
        return argv

    def machine_arguments(self) -> list[str]:
        kind = "q35" if self.kind == "q35" else "microvm,acpi=on,rtc=on,x-option-roms=on"
        if not self.folders:
            return ["-machine", kind]
        # Memory that another process of the host's can map: the daemon moves data right to and from where the guest has them.
        return ["-object", f"memory-backend-memfd,id=ram,size={self.memory_mib}M,share=on", "-machine", f"{kind},memory-backend=ram"]

    def accelerator_arguments(self) -> list[str]:
        if self.accelerator == "kvm":
            return ["-accel", "kvm", "-cpu", "host"]
        if self.accelerator == "icount":
            return ["-accel", "tcg", "-cpu", ICOUNT_CPU, *ICOUNT]
        return ["-accel", "tcg,thread=multi", "-cpu", self.cpu]

    def device_arguments(self) -> list[str]:
        pci = self.kind == "q35"
        suffix = "-pci,disable-legacy=on" if pci else "-device"
        argv = [] if pci else ["-global", "virtio-mmio.force-legacy=false"]
        places = self.places()
        if "rng" in places:
            argv += ["-object", "rng-builtin,id=rng0", "-device", f"virtio-rng{suffix},rng=rng0{places['rng']}"]
        for card in ("net0", "net1"):
            if card not in places:
                continue
            network = f"hubport,id={card},hubid=0" if self.net == "pair" else f"user,id={card},restrict=on"
            argv += ["-netdev", network, "-device", f"virtio-net{suffix},netdev={card}{places[card]}"]
        for number, disk in enumerate(self.disks):
            first = places["disks"]
            place = first if pci else f",bus=virtio-mmio-bus.{int(first.rpartition('.')[2]) + number}"
            argv += disk.arguments(number, f"virtio-blk{suffix}", place)
        for folder in self.folders:
            argv += folder.arguments("-pci" if pci else "-device", places[folder.tag])
        if self.streams is not None:
            argv += ["-chardev", f"socket,id=streams,fd={self.streams}", "-device", f"virtio-serial{suffix},max_ports=2{places['streams']}",
                     "-device", "virtserialport,chardev=streams,nr=1"]
        return argv

    def places(self) -> dict[str, str]:
        """Which devices there are, and where each goes. On a microvm a page of registers holds eight slots and goes to one driver:
        each device gets a page of its own, and the disks, which the kernel drives, one together. Slot 0 stays empty: its interrupt
        is pin 0 of the second I/O APIC, and QEMU takes pin 0 of each I/O APIC for the timer's and raises pin 2 instead. Where
        folders or streams take the room, the card and the source of chance stay away: no program that is given these uses them."""
        cards = {"none": [], "user": ["net0"], "pair": ["net0", "net1"]}[self.net]
        devices = (["rng"] if self.rng else []) + cards + (["disks"] if self.disks else [])
        more = [folder.tag for folder in self.folders] + (["streams"] if self.streams is not None else [])
        if self.kind == "q35":
            return dict.fromkeys(devices + more, "")
        slots = (1, 8, 16)
        if more:
            devices = (["disks"] if self.disks else []) + more
        if len(self.disks) > 8 or len(devices) > len(slots):
            raise KpioError("--machine microvm: no room for so many disks, cards and folders; q35 has it", USAGE)
        return {device: f",bus=virtio-mmio-bus.{slot}" for device, slot in zip(devices, slots)}


def parse_memory(text: str) -> int:
    """MiB from 64M, 1G, 8G, or a plain number of MiB."""
    found = re.fullmatch(r"(\d+)([MmGg]?)(?:i?[Bb])?", text)
    if not found:
        raise KpioError(f"--memory {text}: a size such as 64M or 2G is expected", USAGE)
    mib = int(found[1]) * (1024 if found[2] in ("G", "g") else 1)
    if not SMALLEST_MIB <= mib <= LARGEST_MIB:
        raise KpioError(f"--memory {text}: KPIO runs with {SMALLEST_MIB} MiB to {LARGEST_MIB // 1024} GiB", USAGE)
    return mib


def add_arguments(verb: argparse.ArgumentParser, cpus: int = 4) -> None:
    """The options by which a verb lets its user choose the guest."""
    guest = verb.add_argument_group("guest")
    guest.add_argument("--smp", type=int, default=cpus, metavar="N", help=f"CPUs, 1 to {MOST_CPUS} (default {cpus})")
    guest.add_argument("--memory", default="1G", metavar="SIZE", help="64M to 8G (default 1G)")
    guest.add_argument("--machine", choices=KINDS, default="q35", help="QEMU's machine (default q35)")
    guest.add_argument("--accel", choices=("auto", "kvm", "tcg"), default="auto",
                       help="auto takes KVM where it works, else multi-threaded TCG (default)")
    guest.add_argument("--disk", action="append", default=[], metavar="FILE[,ro]", dest="disks",
                       help="a raw image as a virtio disk, `,ro` for read-only; the first is vda, repeat for more")
    guest.add_argument("--append", default="", metavar="TEXT", help="more for the kernel's command line")
    guest.add_argument("--build", choices=("release", "debug"), default="release",
                       help="debug has KASAN, UBSan and the lock-order checker (default release)")


def parse_disk(text: str) -> Disk:
    name, comma, option = text.rpartition(",")
    file = Path(name if comma and option == "ro" else text)
    if not file.is_file():
        raise KpioError(f"--disk {text}: no file {file}", USAGE)
    return Disk(file.resolve(), read_only=bool(comma) and option == "ro")


def from_arguments(arguments: argparse.Namespace, accelerator: str) -> Machine:
    if not 1 <= arguments.smp <= MOST_CPUS:
        raise KpioError(f"--smp {arguments.smp}: 1 to {MOST_CPUS} CPUs are expected", USAGE)
    return Machine(kind=arguments.machine, cpus=arguments.smp, memory_mib=parse_memory(arguments.memory),
                   accelerator=accelerator, disks=tuple(parse_disk(text) for text in arguments.disks))
