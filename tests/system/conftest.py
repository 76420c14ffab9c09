"""Tables of boots become tests: every module here with a function boots() is one."""
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


def pytest_collect_file(file_path, parent):
    if file_path.parent == Path(__file__).parent and file_path.suffix == ".py" and \
            file_path.name not in ("conftest.py", "__init__.py") and "def boots(" in file_path.read_text():
        return BootTable.from_parent(parent, path=file_path)
    return None
