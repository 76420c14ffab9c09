"""The archive writer and reader agree with each other and with cpio(1)'s format."""
import shutil
import subprocess

import pytest
from kpio import cpio
from kpio.errors import KpioError

ENTRIES = [cpio.Entry("bin", mode=cpio.FOLDER | 0o755), cpio.Entry("bin/init", b"\x7fELF", cpio.FILE | 0o755),
           cpio.Entry("empty"), cpio.Entry("odd", b"12345")]


def test_round_trip():
    assert cpio.unpack(cpio.pack(ENTRIES)) == ENTRIES


def test_same_bytes_each_time():
    assert cpio.pack(ENTRIES) == cpio.pack(list(ENTRIES))


@pytest.mark.skipif(not shutil.which("cpio"), reason="no cpio here to compare with")
def test_cpio_reads_it():
    listed = subprocess.run(["cpio", "-t", "--quiet"], input=cpio.pack(ENTRIES), capture_output=True, timeout=300)
    assert listed.stdout.decode().split() == [entry.name for entry in ENTRIES]


@pytest.mark.parametrize("archive, said", [
    (b"", "offset 0"),
    (b"070707" + b"0" * 200, "no newc header at offset 0"),
    (cpio.pack(ENTRIES)[:150], "no newc header at offset 116"),
    (cpio.pack([cpio.Entry("a", bytes(64))])[:150], "offset 0 goes past the end"),
    (cpio.pack(ENTRIES).replace(b"070701", b"07070x", 2), "offset 0 is not|no newc header"),
], ids=["nothing", "old format", "cut in a header", "cut in data", "broken header"])
def test_flaw_is_named(archive, said):
    with pytest.raises(KpioError, match=said):
        cpio.unpack(archive)
