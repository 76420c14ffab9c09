"""The demonstration (user/demo): what it needs beside the system, so that it has apps to run. Its disk is made once and booted once,
which compiles and installs the apps: every run finds them as they were left then, and what it writes goes with it."""
from __future__ import annotations

import os
import re
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from . import apps, command, engine, guest, packages, progress
from .build import Build
from .errors import MISSING, KpioError
from .machine import Disk, Machine
from .paths import ROOT, cache_folder, inputs_key

SOURCES = ROOT / "apps" / "demo"
HELLO = ROOT / "apps" / "samples" / "hello.c"
SMALLEST_MIB = 512  # with the engine in the boot archive, and the memories of apps
DISK_MIB = 64
SECONDS = 1800  # of the boot that compiles, on a busy machine
MANIFESTS = {
    "hello": b"name = hello\nversion = 1\n",
    "js": b"name = js\nversion = 1\nmode = interp\nmemory = 64M\ndirectory = /demo read\n",
}
LOG = re.compile(r"\[ *\d+\.\d+\] \d+ [A-Z] |[a-z]+: ")  # the kernel's, and services'


def is_shown(line: str) -> bool:
    """Whether a line of the console is the demonstration's own."""
    return not LOG.match(line)


def about_times(machine: Machine) -> str:
    processor = "this machine's processor" if machine.accelerator == "kvm" else "a processor that QEMU emulates, and of what else runs here"
    return f"Times are those of {processor}; `./kpio bench` counts instructions."


def module(source: Path) -> Path:
    return apps.kept(f"{source.stem}.wasm", lambda made: apps.compile_c([source], made, ["-O2", "-Wall", "-Werror"]), source)


@lru_cache(maxsize=None)
def files() -> dict[str, bytes]:
    """What the boot archive needs beside the system: the engine's programs, and system apps."""
    modules = {"hello": module(HELLO), "js": apps.quickjs()}
    found = engine.full_boot_files()
    for name, manifest in MANIFESTS.items():
        found[f"{engine.BOOT}/apps/{name}.app"] = manifest
        found[f"{engine.BOOT}/apps/{name}.wasm"] = modules[name].read_bytes()
    return found


def disk_files() -> dict[str, bytes]:
    return {"demo/primes.wasm": module(SOURCES / "primes.c").read_bytes(), "demo/script.js": (SOURCES / "script.js").read_bytes()}


def empty_disk(place: Path, found: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        for name, data in found.items():
            Path(folder, name).parent.mkdir(parents=True, exist_ok=True)
            Path(folder, name).write_bytes(data)
        command.check(["mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "kpio", "-E", "root_owner=0:0", "-d", folder, str(place),
                       f"{DISK_MIB}M"])


def booted(machine: Machine, disk: Disk) -> tuple[Machine, str]:
    machine, name = machine.with_disk(disk)
    return machine, f"root={name} kpio.apps=1"


def installed(variant: Build, archive: Path, accelerator: str) -> Path:
    """The disk with all apps on it, compiled; not to be written to."""
    service = sorted(path for path in (ROOT / "user" / "appd").glob("*.[ch]"))
    key = inputs_key(accelerator, *(part for name, data in sorted({**files(), **disk_files()}.items()) for part in (name, data)), *service)
    kept = cache_folder("demo") / f"{key}.ext4"
    if kept.exists():
        return kept
    with progress.step("Installing the demonstration's apps; once") as shown, tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        made = Path(folder, "disk")
        empty_disk(made, disk_files())
        machine, words = booted(Machine(cpus=4, accelerator=accelerator), Disk(made, durable=False))
        outcome = guest.boot(machine, variant.kernel, archive, f"kpio.mode=demo {words}", silence=SECONDS, on_line=shown.detail)
        if outcome.end is not guest.End.SUCCESS:
            raise KpioError(f"the demonstration's apps could not be installed: {outcome.report()}")
        os.rename(made, kept)
    return kept


def with_apps(variant: Build, machine: Machine, append: str) -> tuple[Machine, Path, str]:
    """The machine, the boot archive and words for the kernel's command line; without apps, said on stderr, where the engine cannot be
    had or the machine was chosen without room for them."""
    if machine.memory_mib < SMALLEST_MIB:
        print(f"kpio: without apps, which need --memory {SMALLEST_MIB}M", file=sys.stderr)
        return machine, variant.initrd, ""
    if "root=" in append:
        print("kpio: without apps, which are on a root of their own", file=sys.stderr)
        return machine, variant.initrd, ""
    try:
        packages.require("wasm", "apps", "linux")
        archive = engine.archive(variant, "initrd-demo.cpio", files())
    except KpioError as error:
        if error.status != MISSING:
            raise
        print(f"kpio: without apps: {error}", file=sys.stderr)
        return machine, variant.initrd, ""
    disk = Disk(installed(variant, archive, machine.accelerator), durable=False, snapshot=True)
    machine, words = booted(machine, disk)
    return machine, archive, words
