"""The root of Linux programs: what is not as it was pinned is refused, and what is wrong in the list of pins is named with its line."""
import hashlib

import pytest
from kpio.errors import MISSING, KpioError
from kpio.rootfs import fetch, pins

SUM = hashlib.sha256(b"as it was pinned").hexdigest()
PIN = pins.Pin("nothing", "1:2.0-1", SUM, 16)
SOURCE = pins.Source("nothing", "nothing_2.0.orig.tar.gz", SUM, 16, "nothing-2.0/test", "usr/test")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """The folder where files are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "kpio" / "debs"
    folder.mkdir(parents=True)
    return folder


def refusal(get, *arguments):
    with pytest.raises(KpioError) as raised:
        get(*arguments)
    assert raised.value.status == MISSING
    return str(raised.value)


def test_what_is_kept_is_checked(kept):
    file = kept / "nothing_1%3a2.0-1.deb"
    file.write_bytes(b"as it was pinned")
    assert fetch.package(PIN) == file
    file.write_bytes(b"something else")
    other = hashlib.sha256(b"something else").hexdigest()
    assert refusal(fetch.package, PIN).startswith(f"nothing 1:2.0-1: its SHA-256 is {other}, pinned is {SUM}")
    assert not file.exists()  # so that the next time it is fetched


def test_what_is_fetched_is_checked(kept):
    file = kept / "fetched.deb"
    assert "pinned is" in refusal(fetch.fetched, file, ["sh", "-c", "echo something else > fetched.deb"], "fetched", SUM)
    assert not list(kept.iterdir())
    assert fetch.fetched(file, ["sh", "-c", "printf 'as it was pinned' > any"], "fetched", SUM).read_bytes() == b"as it was pinned"


def test_what_is_not_to_be_had_is_named(kept):
    assert refusal(fetch.package, PIN).startswith("nothing 1:2.0-1 is not to be had: ")
    assert refusal(fetch.source, SOURCE, PIN).startswith("nothing 1:2.0-1 is not to be had: ")
    assert not list(kept.iterdir())


WRONG = ("want", "pin bash 1.0 123 5", f"pin bash 1.0 {SUM} many", f"source python bash x.tar.gz {SUM} 5 member", "else")


@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_is_wrong_is_named(tmp_path, monkeypatch, line):
    monkeypatch.setattr(pins, "FILE", tmp_path / "rootfs.txt")
    pins.FILE.write_text(f"# what it is\nwant shell bash\n{line}\n")
    with pytest.raises(KpioError, match=r"rootfs\.txt:3: .* is expected"):
        pins.read()


def test_a_source_is_of_a_pinned_package(tmp_path, monkeypatch):
    monkeypatch.setattr(pins, "FILE", tmp_path / "rootfs.txt")
    pins.FILE.write_text(f"source shell bash x.tar.gz {SUM} 5 member place\n")
    with pytest.raises(KpioError, match="a source of bash, which is not pinned"):
        pins.read()


def test_the_list_is_well_formed():
    read = pins.read()
    assert set(read.wants) == {"shell", "python", "gcc", "fuse"}
    assert {name for names in read.wants.values() for name in names} <= set(read.pins)
