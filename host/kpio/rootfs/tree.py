"""Packages fetched, checked and unpacked: a folder that is a root file system. All of it lies in the cache, by its inputs."""
from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from .. import command, progress
from ..errors import KpioError
from ..paths import cache_folder, inputs_key, keep
from . import fetch, pins

FORMAT = "5"  # of the folder: changes when what is done with the packages does
MERGED = ("bin", "sbin", "lib", "lib64")  # links into usr/
FOLDERS = ("dev", "proc", "sys", "tmp", "root", "home", "run", "mnt", "var/tmp", "etc")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "etc/hostname": "kpio\n",
    "etc/hosts": "127.0.0.1 localhost kpio\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/profile": "PS1='\\w\\$ '\nexport PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
}
PROGRAMS = {f"usr/bin/{name}": Path(__file__).with_name(name) for name in ("ktrace", "kpio-mounts")}  # KPIO's own
# What packages' scripts would link, where the target is there.
LINKS = {"usr/bin/sh": "bash", "usr/bin/vi": "vim.tiny", "usr/bin/awk": "mawk", "usr/bin/python3": "python3.11", "usr/bin/pager": "less",
         "usr/bin/cc": "gcc", "usr/bin/gcc": "gcc-12", "usr/bin/which": "which.debianutils"}


def unpack(package: Path, folder: Path) -> None:
    """As dpkg does on a system whose /bin is a link to /usr/bin."""
    tar = folder.parent / "package.tar"
    with open(tar, "wb") as out:
        status = os.spawnvp(os.P_WAIT, "sh", ["sh", "-c", 'exec dpkg-deb --fsys-tarfile "$0" > "$1"', str(package), str(tar)])
        out.close()
    if status != 0:
        raise KpioError(f"{package}: dpkg-deb cannot unpack it")
    command.check(["tar", "-x", "-p", "--keep-directory-symlink", "--no-same-owner", "-C", str(folder), "-f", str(tar)], limit=300)
    tar.unlink()


def unpack_sources(groups: tuple[str, ...], folder: Path) -> None:
    """What of the packages' sources belongs into the root."""
    known = pins.read()
    for source in [source for group in groups for source in known.sources.get(group, ())]:
        archive, place = fetch.source(source, known.pins[source.name]), folder / source.place
        place.mkdir(parents=True)
        command.check(["tar", "-x", "-z", "--no-same-owner", "-C", str(place), f"--strip-components={source.member.count('/') + 1}",
                       "-f", str(archive), source.member], limit=300)


def furnish(folder: Path) -> None:
    """What Debian's installer and the packages' own scripts would have made."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "tmp").chmod(0o1777)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            (folder / name).write_text(text)
    for name, source in PROGRAMS.items():
        shutil.copyfile(source, folder / name)
        (folder / name).chmod(0o755)
    for name, target in LINKS.items():
        link = folder / name
        if (link.parent / target).exists() and not link.is_symlink() and not link.exists():
            link.symlink_to(target)
    shutil.rmtree(folder / "usr/share/doc", ignore_errors=True)
    shutil.rmtree(folder / "usr/share/locale", ignore_errors=True)
    shutil.rmtree(folder / "usr/share/man", ignore_errors=True)
    ldconfig = folder / "sbin" / "ldconfig"
    if ldconfig.exists():
        command.check(["/sbin/ldconfig", "-r", str(folder)])


def packages_of(groups: tuple[str, ...]) -> list[pins.Pin]:
    """What the groups take, of what is pinned."""
    known = pins.read()
    unknown = [group for group in groups if group not in known.wants]
    if unknown:
        raise KpioError(f"no group {unknown[0]} in {pins.FILE.name}: {', '.join(sorted(known.wants))}")
    needed = closure([name for group in groups for name in known.wants[group]], known)
    return [known.pins[name] for name in sorted(needed)]


def closure(names: list[str], known: pins.Pins) -> set[str]:
    """The pinned packages that these names lead to. Dependencies are read from the packages themselves, so that a machine
    with other lists makes the same folder."""
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in needed or name not in known.pins:
            continue
        needed.add(name)
        shown = command.check(["dpkg-deb", "-f", str(fetch.package(known.pins[name])), "Pre-Depends", "Depends"])
        fields = dict(line.split(": ", 1) for line in shown.lines if ": " in line)
        for alternatives in pins.dependencies(fields):
            waiting += alternatives
    return needed


def make(*groups: str) -> Path:
    """The folder for these groups of packages."""
    key = inputs_key(FORMAT, pins.FILE, *PROGRAMS.values(), repr((groups, FILES, LINKS, FOLDERS, list(PROGRAMS))))
    kept = cache_folder("rootfs") / key
    if kept.is_dir():
        return kept
    with progress.step(f"Making the root of Linux programs ({', '.join(groups)})") as shown, \
            tempfile.TemporaryDirectory(dir=kept.parent) as name:
        folder = Path(name, "root")
        for merged in MERGED:
            (folder / "usr" / merged).mkdir(parents=True)
            (folder / merged).symlink_to(f"usr/{merged}")
        for pin in packages_of(groups):
            shown.detail(pin.name)
            unpack(fetch.package(pin), folder)
        unpack_sources(groups, folder)
        furnish(folder)
        keep(folder, kept)
    return kept
