"""Tell what this machine has, which accelerator guests will get and why, and what is missing.

Installs nothing. Where kernel and initrd are built, and the processor's flags promise KVM, it makes the trial boot.
"""
import os
import platform
import re
from pathlib import Path

from .. import accel, build, packages
from ..errors import MISSING, OK

HELP = "what this machine has and lacks"
EXAMPLES = """  kpio doctor
"""


def add_arguments(verb):
    del verb  # it has no options of its own


def line(topic, text):
    print(f"{topic:<22} {text}")


def memory_gib():
    found = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) / (1 << 20) if found else 0


def show_machine():
    release = Path("/etc/os-release")
    name = re.search(r'^PRETTY_NAME="?([^"\n]*)', release.read_text(), re.MULTILINE) if release.exists() else None
    line("system", f"{name[1] if name else platform.system()}, {platform.machine()}, Linux {platform.release()}")
    line("processors", f"{build.processors()} of {os.cpu_count()} usable")
    line("memory", f"{memory_gib():.1f} GiB")
    line("python", platform.python_version())


def show_packages():
    absent = []
    for package in {package.name: package for package in packages.listed()}.values():
        found = package.location()
        if found:
            line(package.name, packages.describe_tool(found) or found)
        else:
            line(package.name, f"MISSING (for: {package.group})")
            absent.append(package)
    return absent


def accelerator():
    """Which one, and why."""
    obstacle = accel.kvm_obstacle()
    variant = build.Build()
    if obstacle:
        return f"tcg,thread=multi: {obstacle}"
    if not variant.kernel.is_file():
        return f"{accel.cpu_flag()} is there; whether KVM works is tried once the system is built (./kpio build)"
    if accel.trial_boot(variant):
        return f"kvm: the processor has {accel.cpu_flag()}, and the trial boot came up"
    return f"tcg,thread=multi: the processor has {accel.cpu_flag()}, but the trial boot under KVM did not come up"


def execute(arguments):
    del arguments
    show_machine()
    absent = show_packages()
    line("accelerator", accelerator())
    if not absent:
        print("\nNothing is missing.")
        return OK
    groups = sorted({package.group for package in absent})
    print(f"\nMissing for: {', '.join(groups)}. To install:\n  {packages.install_command(absent)}")
    if packages.privilege() is not None:
        print("kpio installs what a verb needs by itself: this user may.")
    needed = {"build", "run", "test"} & set(groups)
    return MISSING if needed else OK
