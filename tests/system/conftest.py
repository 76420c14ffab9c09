"""Tables of boots become tests: every module here with a function boots() is one. A module with items(parent, long) makes its own."""
import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from guests import Config, GuestItem, built  # noqa: E402
from kpio import apps, engine, packages  # noqa: E402
from kpio.rootfs import image  # noqa: E402


# ---- what `./kpio` needs, made before a test limits the time of a command: making it may take longer than any run ------------------

@pytest.fixture(scope="session")
def system():
    built(Config("release"))


@pytest.fixture(scope="session")
def root(system):
    """The Debian root of a shell and of programs with shared libraries."""
    packages.require("image")
    image.cached(("shell",))


@pytest.fixture(scope="session")
def webassembly(system):
    """The engine, in both forms."""
    packages.require("wasm")
    for kind in engine.KINDS:
        engine.programs(kind)


@pytest.fixture(scope="session")
def quickjs(webassembly):
    apps.script()


# ---- tables -------------------------------------------------------------------------------------------------------------------------


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
