"""Which accelerator a guest gets: KVM only where it is known to work."""
from __future__ import annotations

import json
import os
import platform
import re
from pathlib import Path

from .build import Build
from .guest import Guest
from .machine import Machine
from .paths import cache_folder, inputs_key

KVM_NODE = Path("/dev/kvm")
TRIAL_SECONDS = 20.0  # a boot takes well under one with KVM; where KVM is broken the guest never says a word


def cpu_flag() -> str | None:
    """vmx or svm, where the processor has one."""
    try:
        flags = re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return flags[1] if flags else None


def kvm_obstacle() -> str | None:
    """Why KVM cannot even be tried here; None where it can."""
    if cpu_flag() is None:
        return "no vmx or svm in /proc/cpuinfo"
    if not KVM_NODE.exists():
        return f"there is no {KVM_NODE}"
    if not os.access(KVM_NODE, os.R_OK | os.W_OK):
        return f"{KVM_NODE} may not be opened by this user (sudo adduser $USER kvm, then log in again)"
    return None


def trial_boot(build: Build) -> bool:
    """Whether a guest gets as far as its first console line under KVM."""
    machine = Machine(accelerator="kvm", memory_mib=256, net="none")
    with Guest(machine, build.kernel, build.initrd, "") as guest:
        for line in guest.follow(silence=TRIAL_SECONDS, total=TRIAL_SECONDS):
            if line.strip():
                return True
    return False


def trial_verdict(build: Build) -> bool:
    """trial_boot(), remembered for this machine as long as kernel, QEMU and processor stay what they are."""
    processor = re.search(r"^model name.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    key = inputs_key(platform.release(), processor[0] if processor else "", str(KVM_NODE.stat().st_rdev))
    remembered = cache_folder("kvm") / f"{key}.json"
    try:
        return json.loads(remembered.read_text())["works"]
    except (OSError, ValueError, KeyError):
        works = trial_boot(build)
        remembered.write_text(json.dumps({"works": works}))
        return works


def choose(wanted: str, build: Build) -> str:
    """The accelerator for `--accel wanted`. KVM asked for by name is not questioned: QEMU says what is wrong."""
    if wanted != "auto":
        return wanted
    return "kvm" if kvm_obstacle() is None and trial_verdict(build) else "tcg"
