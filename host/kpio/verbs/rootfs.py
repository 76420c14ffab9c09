"""Make the root file system of Linux programs from Debian packages, whose versions and checksums are pinned in host/rootfs.txt."""
from pathlib import Path

from .. import packages
from ..errors import OK
from ..rootfs import image, pins, tree

HELP = "make the root file system of Linux programs"
EXAMPLES = """  kpio rootfs -o root.ext4                     bash, coreutils and their like, as a disk image
  kpio rootfs -o root.ext4 --with python gcc   more groups of host/rootfs.txt
  kpio rootfs --update                         pin the newest versions of all packages
"""


def add_arguments(verb):
    verb.add_argument("-o", "--output", metavar="FILE", help="the ext4 image to make")
    verb.add_argument("--with", nargs="*", default=[], dest="groups", metavar="GROUP", help="groups of packages besides `shell`")
    verb.add_argument("--update", action="store_true", help="pin the newest versions")


def execute(arguments):
    packages.require("image")
    if arguments.update:
        print(f"{pins.FILE.name}: {pins.write(pins.read().wants)} packages pinned")
    if arguments.output:
        made = image.make(("shell", *arguments.groups), Path(arguments.output).absolute())
        print(f"{arguments.output}  {made.stat().st_size >> 20} MiB")
    elif not arguments.update:
        print(tree.make("shell", *arguments.groups))
    return OK
