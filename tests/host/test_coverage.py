"""Places that a guest printed become source lines."""
from kpio import command, coverage
from kpio.elf import Elf

SOURCE = """int taken(int x) { return x + 1; }
int never(int x) { return x - 1; }
"""


def test_lines(tmp_path):
    (tmp_path / "code.c").write_text(SOURCE)
    command.check(["clang-19", "-g", "-c", "code.c", "-o", "code.o"], cwd=tmp_path)
    command.check(["ld.lld-19", "--defsym=kernel_image_start=0x1000", "-Ttext=0x1000", "-e", "0", "code.o", "-o",
                   "code.elf"], cwd=tmp_path)
    found = coverage.places(["KCOV 0+ 10", "KCOV 10 0", "noise"])
    assert found == {0: True, 0x10: False}, "a place that ran once has run"
    addresses = {name: address - 0x1000 for address, name in Elf(tmp_path / "code.elf").symbols()}
    lines = coverage.covered_lines(tmp_path / "code.elf", {addresses["taken"]: True, addresses["never"]: False})
    assert sorted(line.rpartition("/")[2] for line in lines) == ["code.c:1", "code.c:2"]
    percent, text = coverage.summary(lines)
    assert percent == 50.0 and text.startswith("50.0 % of 2 lines")
