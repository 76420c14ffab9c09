"""A script and the files that it imports, as a WebAssembly program sees them."""
from __future__ import annotations

import os
import re
from pathlib import Path

IMPORT = re.compile(rb"""\b(?:from|import)\s*\(?\s*(["'])(\.{1,2}/[^"'\n]+)\1""")


def imported(file: Path) -> list[Path]:
    """The files that it names in imports by relative paths, as far as there are such files; what is missing the runner says."""
    found = (file.parent / os.fsdecode(match[2]) for match in IMPORT.finditer(file.read_bytes()))
    return [Path(os.path.normpath(path)) for path in found if path.is_file()]


def closure(script: Path) -> list[Path]:
    """The script and all that it imports, and what those import: absolute paths."""
    found, at = [Path(os.path.abspath(script))], 0
    while at < len(found):
        found += [path for path in dict.fromkeys(imported(found[at])) if path not in found]
        at += 1
    return found


def laid_out(script: Path) -> tuple[str, dict[str, bytes]]:
    """The script's own path, and the content of all of them by theirs: relative ones, so that each finds what it imports."""
    files = closure(script)
    top = Path(os.path.commonpath([file.parent for file in files]))
    return str(files[0].relative_to(top)), {str(file.relative_to(top)): file.read_bytes() for file in files}
