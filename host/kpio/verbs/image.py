"""Make a bootable image: a disk with BIOS and UEFI boot loaders and an ext4 root, or a CD."""
import argparse
from pathlib import Path

from .. import build, engine, packages
from ..errors import OK, USAGE, KpioError
from ..image import build as image

HELP = "make a bootable disk or CD image"
EXAMPLES = """  kpio image -o kpio.img                              a disk with an empty root file system
  kpio image -o kpio.img --from ./files               with what that folder holds
  kpio image --format qcow2 -o kpio.qcow2
  kpio image --format iso -o kpio.iso                 a CD that needs no disk: its root lies in memory
  qemu-system-x86_64 -M q35 -m 1G -serial stdio -drive if=virtio,format=raw,file=kpio.img
"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("-o", "--output", required=True, metavar="FILE", help="the image to make; replaced if it exists")
    verb.add_argument("--format", choices=image.FORMATS, default="raw", help="default raw")
    verb.add_argument("--from", dest="source", metavar="FOLDER", help="what the root file system is to hold")
    verb.add_argument("--root-size", type=int, metavar="MIB", help="size of the root file system (default: as needed)")
    verb.add_argument("--append", default="", metavar="TEXT", help="more for the kernel's command line")
    verb.add_argument("--apps", action="store_true", help="with the engine that apps need (docs/appd.md)")
    verb.add_argument("--build", choices=("release", "debug"), default="release", help="default release")


def execute(arguments: argparse.Namespace) -> int:
    if arguments.root_size is not None and arguments.root_size < 8:
        raise KpioError(f"--root-size {arguments.root_size}: at least 8 MiB", USAGE)
    packages.require("build", "image")
    out = Path(arguments.output).absolute()
    variant = build.ensure(build.Build(arguments.build))
    if arguments.apps:
        variant = engine.with_apps(variant)
    image.make(image.Wanted(format=arguments.format, out=out, variant=variant,
                            source=Path(arguments.source) if arguments.source else None, root_mib=arguments.root_size,
                            append=arguments.append))
    print(f"{arguments.output}  {out.stat().st_size / (1 << 20):.0f} MiB")
    return OK
