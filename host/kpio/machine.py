"""The guest machine: what the options choose, as QEMU arguments."""
from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

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
class Machine:
    kind: str = "q35"
    cpus: int = 1
    memory_mib: int = 1024
    accelerator: str = "tcg"  # tcg, kvm, or icount: deterministic, one CPU
    net: str = "user"  # none; user: one card, QEMU's own network; pair: two cards joined by a wire
    rng: bool = True
    cpu: str = "max"
    extra: tuple = ()  # more QEMU arguments

    def arguments(self, kernel: Path, initrd: Path | None, append: str) -> list[str]:
        """The whole command line, but for the console."""
        argv = [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none",
                "-m", str(self.memory_mib), "-smp", str(self.cpus), *self.machine_arguments(),
                *self.accelerator_arguments(), "-device", f"isa-debug-exit,iobase={EXIT_PORT:#x},iosize=4",
                *self.device_arguments(), *self.extra, "-kernel", str(kernel)]
        if initrd:
            argv += ["-initrd", str(initrd)]
        if append:
            argv += ["-append", append]
        return argv

    def machine_arguments(self) -> list[str]:
        return ["-machine", "q35"] if self.kind == "q35" else ["-machine", "microvm,acpi=on,rtc=on,x-option-roms=on"]

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
        # A page of registers holds eight slots and goes to one driver: each device gets a page of its own.
        slots = [""] * 3 if pci else [f",bus=virtio-mmio-bus.{slot}" for slot in (0, 8, 16)]
        if self.rng:
            argv += ["-object", "rng-builtin,id=rng0", "-device", f"virtio-rng{suffix},rng=rng0{slots[0]}"]
        if self.net == "user":
            argv += ["-netdev", "user,id=net0,restrict=on", "-device", f"virtio-net{suffix},netdev=net0{slots[1]}"]
        elif self.net == "pair":
            for card, slot in zip(("net0", "net1"), slots[1:]):
                argv += ["-netdev", f"hubport,id={card},hubid=0", "-device", f"virtio-net{suffix},netdev={card}{slot}"]
        return argv


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
    guest.add_argument("--append", default="", metavar="TEXT", help="more for the kernel's command line")
    guest.add_argument("--build", choices=("release", "debug"), default="release",
                       help="debug has KASAN, UBSan and the lock-order checker (default release)")


def from_arguments(arguments: argparse.Namespace, accelerator: str) -> Machine:
    if not 1 <= arguments.smp <= MOST_CPUS:
        raise KpioError(f"--smp {arguments.smp}: 1 to {MOST_CPUS} CPUs are expected", USAGE)
    return Machine(kind=arguments.machine, cpus=arguments.smp, memory_mib=parse_memory(arguments.memory),
                   accelerator=accelerator)
