"""Names and layout of files, and generated files that agree with what they are generated from."""
import re
import sys
from pathlib import Path

from kpio import command

sys.path.insert(0, str(Path(__file__).parent))

import sources  # noqa: E402

SOURCE_NAME = re.compile(r"[a-z0-9_]+(\.pass1)?\.(c|h|S|ld|py|def|mk)")
LONGEST_LINE = 140  # a fence, not the target of 120


def test_names():
    """Lower snake case."""
    wrong = [name for name in sources.tracked(".c", ".h", ".S", ".ld", ".py", ".def", ".mk")
             if not SOURCE_NAME.fullmatch(Path(name).name)]
    assert not wrong, ", ".join(wrong)


def test_layout():
    """Spaces, none at a line's end, lines that fit, a newline at the end."""
    wrong = []
    for name in sources.tracked(".c", ".h", ".S", ".py", ".def", ".sh"):
        text = (sources.ROOT / name).read_text()
        tabs, longest = not name.endswith(".S"), 10_000 if name.endswith(".def") else LONGEST_LINE
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith("// links:"):
                continue  # make reads it as one line
            if line != line.rstrip() or tabs and "\t" in line or len(line) > longest:
                wrong.append(f"{name}:{number}")
        if text and not text.endswith("\n"):
            wrong.append(f"{name}: no newline at the end")
    assert not wrong, "\n".join(wrong)


def test_system_call_reference_is_up_to_date():
    command.check([sys.executable, "abi/generate.py", "--check-docs", "docs/syscalls.md"], cwd=sources.ROOT, limit=command.LIMIT)


def test_table_of_linux_calls_is_up_to_date():
    command.check([sys.executable, "user/liblinux/generate.py", "--check", "docs/linux-abi.md"], cwd=sources.ROOT, limit=command.LIMIT)


def test_every_system_call_has_a_handler():
    named = [line for line in (sources.ROOT / "abi/not_yet.list").read_text().splitlines()
             if line and not line.startswith("#")]
    assert not named, "abi/not_yet.list still names " + ", ".join(named)


def test_guest_suites_are_sources():
    """The table names no suite that is not there."""
    sys.path.insert(0, str(sources.ROOT / "tests" / "system"))
    import suites
    missing = [name for name in suites.MACHINES if not (sources.ROOT / f"tests/guest/{name}.c").is_file()]
    assert not missing, "tests/system/suites.py names " + ", ".join(missing)
