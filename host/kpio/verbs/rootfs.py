"""Make the root file system of Linux programs from Debian packages, whose versions and checksums are pinned in host/rootfs.txt."""
from pathlib import Path

from .. import packages
from ..errors import OK
from ..paths import ROOT
from ..rootfs import calls, image, pins, tree

HELP = "make the root file system of Linux programs"
EXAMPLES = """  kpio rootfs -o root.ext4                     bash, coreutils and their like, as a disk image
  kpio rootfs -o root.ext4 --with python gcc   more groups of host/rootfs.txt
  kpio rootfs --update                         pin the newest versions of all packages
  kpio rootfs --calls                          see on this machine which system calls the programs use (as root, with strace)
"""


def add_arguments(verb):
    verb.add_argument("-o", "--output", metavar="FILE", help="the ext4 image to make")
    verb.add_argument("--with", nargs="*", default=[], dest="groups", metavar="GROUP", help="groups of packages besides `shell`")
    verb.add_argument("--update", action="store_true", help="pin the newest versions")
    verb.add_argument("--calls", action="store_true", help=f"write {calls.FILE.relative_to(ROOT)}: the programs that use each call")


def execute(arguments):
    packages.require("image")
    if arguments.update:
        print(f"{pins.FILE.name}: {pins.write(pins.read().wants)} packages pinned")
    if arguments.calls:
        print(f"{calls.FILE.relative_to(ROOT)}: {calls.write()} calls are used")
    if arguments.output:
        made = image.make(("shell", *arguments.groups), Path(arguments.output).absolute())
        print(f"{arguments.output}  {made.stat().st_size >> 20} MiB")
    elif not arguments.update and not arguments.calls:
        print(tree.make("shell", *arguments.groups))
    return OK
