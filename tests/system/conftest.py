"""Tables of boots become tests: every module here with a function boots() is one. A module with items(parent, long) makes its own."""
import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from guests import GuestItem  # noqa: E402


class BootTable(pytest.File):
    def collect(self):
        module = importlib.import_module(self.path.stem)
        long = self.config.getoption("--long")
        for boot in module.boots():
            if long or not boot.long:
                yield GuestItem.from_parent(self, name=boot.name, boot=boot, long=long)


class ItemTable(pytest.File):
    def collect(self):
        yield from importlib.import_module(self.path.stem).items(self, self.config.getoption("--long"))


def pytest_collect_file(file_path, parent):
    if file_path.parent != Path(__file__).parent or file_path.suffix != ".py" or file_path.name in ("conftest.py", "__init__.py"):
        return None
    text = file_path.read_text()
    table = BootTable if "\ndef boots(" in text else ItemTable if "\ndef items(" in text else None
    return table.from_parent(parent, path=file_path) if table else None
