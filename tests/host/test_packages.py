"""The package list is well formed, and what is missing is named with the command that installs it."""
import re

import pytest
from kpio import packages
from kpio.errors import MISSING, KpioError


def test_list():
    listed = packages.listed()
    assert {package.group for package in listed} == {"build", "run", "test", "image", "debug", "bench", "linux", "wasm", "dir", "apps"}
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package.name) for package in listed)


def test_missing_is_named():
    absent = [packages.Package("lld-99", "build", "ld.lld-99"), packages.Package("lld-99", "test", "file:/nowhere/*")]
    assert all(package.location() is None for package in absent)
    assert packages.install_command(absent).endswith("apt-get install --no-install-recommends lld-99")


def test_what_may_not_be_installed_is_named(monkeypatch):
    absent = [packages.Package("lld-99", "build", "ld.lld-99")]
    monkeypatch.setattr(packages, "listed", lambda: absent)
    monkeypatch.setattr(packages, "privilege", lambda: None)
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(KpioError) as raised:
        packages.require("build")
    assert raised.value.status == MISSING
    assert "missing: lld-99" in str(raised.value)
    assert "To install: sudo apt-get install --no-install-recommends lld-99" in str(raised.value)


def test_an_install_that_changes_nothing_is_told(monkeypatch):
    monkeypatch.setattr(packages, "listed", lambda: [packages.Package("lld-99", "build", "ld.lld-99")])
    monkeypatch.setattr(packages, "privilege", lambda: [])
    monkeypatch.setattr(packages, "install", lambda *_: None)
    with pytest.raises(KpioError, match=r"still missing: lld-99 \(no ld.lld-99\)"):
        packages.require("build")
