"""Guests without a kernel, each built once in a session."""
import pytest
from kpio import command
from kpio.paths import ROOT


def assemble(name, folder):
    """tests/host/NAME.S as a PVH kernel."""
    made, elf = folder / "guest.o", folder / "guest.elf"
    command.check(["clang-19", "--target=i386-none-elf", "-c", str(ROOT / f"tests/host/{name}.S"), "-o", str(made)])
    command.check(["ld.lld-19", "-m", "elf_i386", "-Ttext=0x100000", "-e", "start", str(made), "-o", str(elf)])
    return elf


@pytest.fixture(scope="session")
def scripted_guest(tmp_path_factory):
    return assemble("scripted_guest", tmp_path_factory.mktemp("scripted-guest"))


@pytest.fixture(scope="session")
def marks_guest(tmp_path_factory):
    return assemble("marks_guest", tmp_path_factory.mktemp("marks-guest"))
