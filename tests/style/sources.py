"""The project's C sources and what each may know of the others."""
import re
import subprocess
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)

# Lowest first: a folder may include itself and those before it. The first match names a file's place; the last is kernel/main.c and what
# stands beside it.
KERNEL_LAYERS = ("abi", "lib", "kernel/core", "kernel/arch/x86_64", "kernel/sched", "kernel/mm", "kernel/object",
                 "kernel/ipc", "kernel/hal", "kernel/block", "kernel/fs", "kernel/syscall", "kernel")
# What each folder outside the kernel may include, besides itself.
OTHER_FOLDERS = {
    "protocols": ("abi", "lib", "user/libkpio"),
    "user/libkpio": ("abi", "lib", "protocols/gen"),
    "user/liblinux": ("abi", "lib", "user/libkpio", "protocols", "user/liblinux/gen"),
    "user/wasmhost": ("abi",),  # a Linux program, which knows the system's calls for linear memories
    "user": ("abi", "lib", "user/libkpio", "protocols"),  # of one program; no other program's files
    "drivers": ("abi", "lib", "user/libkpio", "protocols"),
    "tests/guest": ("abi", "lib", "user/libkpio", "protocols", "tests/guest"),
    "tests/bench/guest": ("abi", "lib", "user/libkpio", "protocols", "tests/bench/guest", "tests/guest/kt"),
    "tests/linux/runner": ("abi", "lib", "user/libkpio", "protocols", "tests/guest/kt"),
    "tests/bench/wasm": ("lib", "user/wasmhost"),
    "tests/bench": ("lib", "tests/bench/plugin"),
    "tests/fuzz": ("abi", "lib", "user/libkpio", "protocols", *KERNEL_LAYERS),
}


@lru_cache
def tracked(*suffixes):
    """The tree's files with these suffixes, as paths relative to the root: tracked ones and new ones."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split("\n")
    return tuple(name for name in listed if name.endswith(suffixes) and (ROOT / name).is_file())


def includes(name):
    """What a file includes with quotes."""
    return INCLUDE.findall((ROOT / name).read_text())


def below(name, folder):
    return name == folder or name.startswith(folder + "/")


def is_test(name):
    return "/test/" in name


def layer(name):
    """The number of a kernel-side file's layer, None for files elsewhere."""
    for number, folder in enumerate(KERNEL_LAYERS):
        if below(name, folder):
            return number
    return None


def beside_or_above(name, target):
    """Whether the target lies in the file's folder or in one that this lies in: no sibling's files."""
    return below(name, target.rpartition("/")[0])


def allowed_outside_kernel(name, target):
    """Whether a file outside the kernel may include the target."""
    for folder, others in OTHER_FOLDERS.items():
        if below(name, folder):
            return beside_or_above(name, target) or any(below(target, other) for other in others)
    return True


def allowed(name, target):
    """Whether the file may include the target, by the order of folders."""
    mine, its = layer(name), layer(target)
    if is_test(name) and below(target, "tests/unit"):
        return True
    if mine is None:
        return allowed_outside_kernel(name, target)
    return its is not None and its <= mine
