"""Folders of this machine in a guest (`--dir`): for each a virtiofsd, which sees nothing but that folder, behind a virtio-fs device."""
from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import urllib.parse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from . import command, packages
from .errors import MISSING, USAGE, KpioError
from .machine import Folder, Machine

MOST = 4
# Debian 12's comes with QEMU and is C; the later one is Rust, with a package of its own.
DAEMONS = (("/usr/lib/qemu/virtiofsd", "c"), ("/usr/libexec/virtiofsd", "rust"))
QEMU_GONE = ("Broken pipe", "Connection reset by peer")  # how the last line of a daemon ends whose guest was ended
NOT_ALLOWED = "this machine does not allow what virtiofsd locks itself into (user and mount namespaces): start as root"


@dataclass(frozen=True)
class Share:
    """A folder, and where programs of the guest find it."""

    host: Path
    guest: str
    read_only: bool = False


def add_argument(group) -> None:
    group.add_argument("--dir", action="append", default=[], dest="dirs", metavar="HOST[::GUEST[::ro]]",
                       help=f"a folder of this machine, in the guest at GUEST (or by its own name), at most {MOST}")


def parse(text: str, relative: bool = False) -> Share:
    """HOST, HOST::GUEST or HOST::GUEST::ro. `relative`: GUEST is a name for a WebAssembly program, and no path of the guest's root."""
    host, *more = text.split("::")
    if not host or len(more) > 2 or "" in more or more[1:] not in ([], ["ro"]):
        raise KpioError(f"--dir {text}: HOST, HOST::GUEST or HOST::GUEST::ro is expected", USAGE)
    folder = checked(text, Path(host))
    guest = more[0] if more else host if relative else str(folder)
    if not relative and not guest.startswith("/"):
        raise KpioError(f"--dir {text}: {guest} is relative; where a folder is mounted in the guest is an absolute path", USAGE)
    if not relative and (os.path.normpath(guest).strip("/") == "" or ".." in guest.split("/")):
        raise KpioError(f"--dir {text}: a folder is mounted below the root, by a path without ..", USAGE)
    return Share(folder, guest if relative else os.path.normpath(guest).replace("//", "/"), bool(more[1:]))


def checked(text: str, folder: Path) -> Path:
    try:
        found = folder.resolve(strict=True)
        is_folder = found.is_dir()
    except OSError as error:
        raise KpioError(f"--dir {text}: {folder}: {error.strerror}", USAGE) from None
    if not is_folder:
        raise KpioError(f"--dir {text}: {folder} is no folder", USAGE)
    if not os.access(found, os.R_OK | os.X_OK):
        raise KpioError(f"--dir {text}: {folder}: no permission to read it", USAGE)
    return found


def parse_all(texts: list[str], relative: bool = False) -> list[Share]:
    shares = [parse(text, relative) for text in texts]
    if len(shares) > MOST:
        raise KpioError(f"--dir: at most {MOST} folders", USAGE)
    for index, share in enumerate(shares):
        if relative and share.guest.endswith(",ro"):
            raise KpioError(f"--dir: {share.guest}: a name that ends with `,ro` cannot be told to the program", USAGE)
        if any(share.guest == other.guest for other in shares[:index]):
            raise KpioError(f"--dir: two folders at {share.guest}", USAGE)
    return shares


def directory_in(shares: list[Share], otherwise: str) -> str:
    """Where a program starts: this command's working directory, if the guest sees it."""
    here = Path.cwd().resolve()
    for share in shares:
        if here == share.host or share.host in here.parents:
            return str(Path(share.guest, here.relative_to(share.host)))
    return otherwise


def find_daemon() -> tuple[str, str]:
    if not any(os.access(path, os.X_OK) for path, _ in DAEMONS):
        packages.require("dir")
    for path, kind in DAEMONS:
        if os.access(path, os.X_OK):
            return path, kind
    raise KpioError("no virtiofsd on this machine", MISSING)


def works(*argv: str) -> bool:
    return command.run([*argv, "true"], limit=command.LIMIT).status == 0


# Writes fail on this side already. What is mounted below the folder is not shown then.
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


def confine(share: Share) -> tuple[list[str], str]:
    """What virtiofsd is started through, and how it locks itself into the folder."""
    root = os.geteuid() == 0
    unshare = ["unshare"] if root else ["unshare", "--user", "--map-root-user"]
    if works(*unshare, "--mount", "--pid", "--net", "--fork"):
        if share.read_only:
            return [*unshare, "--mount", "--", "sh", "-c", READ_ONLY, "sh", str(share.host)], "namespace"
        return [] if root else [*unshare, "--"], "namespace"
    if root:
        return [], "chroot"  # in a container; the guest alone sees to what is read only
    raise KpioError(NOT_ALLOWED, MISSING)


def arguments(daemon: str, kind: str, sandbox: str, fd: int, share: Share) -> list[str]:
    if kind == "c":
        source = str(share.host).replace("\\", "\\\\").replace(",", "\\,")
        limits = [] if os.geteuid() == 0 else ["--rlimit-nofile=0"]
        return [daemon, f"--fd={fd}", "-f", "-o", f"source={source}", "-o", f"sandbox={sandbox}", "-o", "cache=auto", "-o", "xattr",
                "-o", "log_level=err", *limits]
    return [daemon, f"--fd={fd}", f"--shared-dir={share.host}", f"--sandbox={sandbox}", "--cache=auto", "--xattr", "--log-level=error"]


class Daemon:
    """The virtiofsd of one folder. Who starts it first has the socket, so QEMU never comes too early."""

    def __init__(self, place: Path, share: Share):
        self.share, self.said = share, place.with_suffix(".said")
        daemon, kind = find_daemon()
        through, sandbox = confine(share)
        with socket.socket(socket.AF_UNIX) as listening, open(self.said, "wb") as said:
            listening.bind(str(place))
            os.chmod(place, 0o600)
            listening.listen(1)
            argv = through + arguments(daemon, kind, sandbox, listening.fileno(), share)
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
                                            pass_fds=(listening.fileno(),))

    def failure(self) -> Optional[str]:
        """What became of it, if it ended though nobody told it to: not where it says that QEMU went, in the middle of an answer."""
        status = self.process.poll()
        if status is None or status == 0:
            return None
        said = self.said.read_text(errors="replace").strip().splitlines()
        if said and said[-1].endswith(QEMU_GONE):
            return None
        return f"{self.share.host} was lost: virtiofsd ended with status {status}" + (f": {said[-1]}" if said else "")

    def end(self) -> None:
        command.kill_group(self.process)


class Served:
    """A context manager: these folders are served while it lasts, by daemons that end with it.

    `machine` is the machine with their devices, `words` what the kernel's command line says of them; `places` is where each is
    mounted, by default where it says."""

    def __init__(self, machine: Machine, shares: list[Share], places: Optional[list[str]] = None):
        self.shares, self.places = shares, places or [share.guest for share in shares]
        self.machine, self.words = machine, ""
        self.daemons: list[Daemon] = []
        self.folder: Optional[tempfile.TemporaryDirectory] = None

    def __enter__(self) -> "Served":
        if not self.shares:
            return self
        self.folder = tempfile.TemporaryDirectory(prefix="kpio-dir-")
        try:
            sockets = [Path(self.folder.name, f"dir{number}") for number in range(len(self.shares))]
            for place, share in zip(sockets, self.shares):
                self.daemons.append(Daemon(place, share))
        except BaseException:
            self.__exit__()
            raise
        self.machine = replace(self.machine, folders=tuple(Folder(place.name, place) for place in sockets))
        self.words = " ".join(f"kpio.mount={place.name}:{urllib.parse.quote(at)}" + (":ro" if share.read_only else "")
                              for place, at, share in zip(sockets, self.places, self.shares))
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons:
            failure = daemon.failure()
            if failure:
                print(f"kpio: {failure}", file=sys.stderr)
            daemon.end()
        self.daemons = []
        if self.folder:
            self.folder.cleanup()
