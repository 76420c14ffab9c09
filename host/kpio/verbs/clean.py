"""Remove what was built; with --cache also what is kept outside the tree (Linux packages, fuzzing corpora)."""
import shutil

from ..errors import OK
from ..paths import ROOT, cache_folder

HELP = "remove what was built"
EXAMPLES = """  kpio clean
  kpio clean --cache
"""


def add_arguments(verb):
    verb.add_argument("--cache", action="store_true", help="also remove $XDG_CACHE_HOME/kpio")


def execute(arguments):
    folders = [ROOT / "build"] + ([cache_folder()] if arguments.cache else [])
    for folder in folders:
        if folder.exists():
            shutil.rmtree(folder)
            print(f"removed {folder}")
    return OK
