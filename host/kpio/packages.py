"""What this machine must have installed, and getting it where that is allowed."""
from __future__ import annotations

import glob
import os
import shutil
from pathlib import Path

from . import command, progress
from .errors import MISSING, KpioError
from .paths import ROOT

LIST = ROOT / "host" / "packages.txt"
INSTALL_LIMIT = 1800  # seconds; a slow mirror, not a hang, is what this allows for


class Package:
    def __init__(self, name: str, group: str, probe: str):
        self.name = name
        self.group = group
        self.probe = probe

    def location(self) -> str | None:
        """Where the probe found it, or None."""
        kind, _, value = self.probe.partition(":")
        if kind == "file":
            found = glob.glob(value)
            return found[0] if found else None
        if kind == "python":
            found = glob.glob(f"/usr/lib/python3/dist-packages/{value}")
            return found[0] if found else None
        return find_tool(self.probe)


def find_tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def listed() -> list[Package]:
    packages = []
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        if len(fields) != 3:
            raise KpioError(f"{LIST}:{number}: three fields expected: package, group, probe")
        packages.append(Package(*fields))
    return packages


def missing(*groups: str) -> list[Package]:
    return [package for package in listed() if package.group in groups and not package.location()]


def names(packages: list[Package]) -> list[str]:
    return list(dict.fromkeys(package.name for package in packages))


def install_command(packages: list[Package]) -> str:
    """What a person types to install them."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install --no-install-recommends {' '.join(names(packages))}"


def require(*groups: str) -> None:
    """Makes sure that these groups are there: installs them, or says exactly what to install."""
    absent = missing(*groups)
    if not absent:
        return
    prefix = privilege()
    if prefix is None:
        raise KpioError(f"missing: {', '.join(names(absent))}\nTo install: {install_command(absent)}", MISSING)
    left = install_missing(prefix, absent, groups)
    if left:
        probes = ", ".join(f"{package.name} (no {package.probe})" for package in left)
        raise KpioError(f"apt-get succeeded, but still missing: {probes}", MISSING)


def install_missing(prefix: list[str], absent: list[Package], groups: tuple[str, ...]) -> list[Package]:
    """Installs them and returns what is missing then. apt-get may have removed one that was there (another version that
    stood in the way of these): it gets a second round."""
    for _ in range(2):
        with progress.step(f"Installing {', '.join(names(absent))}") as shown:
            install(prefix, names(absent), shown)
        absent = missing(*groups)
        if not absent:
            break
    return absent


def privilege() -> list[str] | None:
    """How apt-get is started with the right to install; None where that is not allowed here."""
    if find_tool("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return []
    if find_tool("sudo") and command.run(["sudo", "-n", "true"], limit=10).status == 0:
        return ["sudo", "-n"]
    return None


def install(prefix: list[str], wanted: list[str], shown: progress.Step) -> None:
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=120"]
    # The lists of a fresh machine are empty or old; a failure here matters only if the next step fails too.
    update = command.run([*apt, "update"], limit=INSTALL_LIMIT, on_line=shown.detail)
    result = command.run([*apt, "install", "-y", "--no-install-recommends", *wanted],
                         limit=INSTALL_LIMIT, on_line=shown.detail)
    if result.status != 0:
        before = "" if update.status == 0 else f"apt-get update failed:\n{update.tail()}\n"
        raise KpioError(f"{before}apt-get install {' '.join(wanted)} failed:\n{result.tail()}", MISSING)


def describe_tool(path: str) -> str:
    """The first line of `path --version`, or nothing where it has none."""
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        return ""
    result = command.run([path, "--version"], limit=10)
    return result.lines[0] if result.status == 0 and result.lines else ""
