"""What a person sees of a step that takes long, and what stands in a file."""
import io
import sys

import pytest
from kpio import progress


class Screen(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def run(monkeypatch, clock, stream, silent):
    monkeypatch.setattr(progress, "silent", silent)
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.step("Building") as shown:
        shown.detail("a.c")
        clock[0] += 2
        shown.detail("b.c")
    return stream.getvalue()


def test_a_silent_step_is_told_on_a_terminal_when_it_takes_long(monkeypatch, clock):
    assert run(monkeypatch, clock, Screen(), True) == "\r\033[KBuilding (2 s) b.c\r\033[K"


def test_a_step_is_told_on_a_terminal_at_once(monkeypatch, clock):
    assert run(monkeypatch, clock, Screen(), False).startswith("\r\033[KBuilding\r\033[KBuilding a.c")


@pytest.mark.parametrize("silent, said", [(True, ""), (False, "Building\n")])
def test_in_a_file(monkeypatch, clock, silent, said):
    assert run(monkeypatch, clock, io.StringIO(), silent) == said


def test_a_short_silent_step_leaves_nothing(monkeypatch, clock):
    monkeypatch.setattr(progress, "silent", True)
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.step("Building") as shown:
        shown.detail("a.c")
    assert screen.getvalue() == ""
