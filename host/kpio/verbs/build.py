"""Build kernel and initrd into build/<BUILD>-<COMPILER>/."""
from .. import build, packages
from ..errors import OK

HELP = "build kernel and initrd"
EXAMPLES = """  kpio build                           release, clang-19
  kpio build --build debug
  kpio build --compiler gcc-12
"""


def add_arguments(verb):
    verb.add_argument("--build", choices=build.BUILDS, default="release", help="default release")
    verb.add_argument("--compiler", choices=("clang-19", "gcc-12"), default=build.DEFAULT_COMPILER,
                      help=f"default {build.DEFAULT_COMPILER}")


def execute(arguments):
    packages.require("build")
    variant = build.ensure(build.Build(arguments.build, arguments.compiler))
    for made in (variant.kernel, variant.initrd):
        print(f"{build.relative(made)}  {made.stat().st_size / 1024:.0f} KiB")
    return OK
