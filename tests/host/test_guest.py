"""How a guest's end is told: success, failure, silence, reset, and what a suite's console lines come to."""
import pytest
from kpio import guest, ktest
from kpio.guest import End
from kpio.machine import Machine

SMALL = Machine(memory_mib=64, net="none")


def run(scripted_guest, script, silence=guest.HANG_SECONDS, machine=SMALL):
    return guest.boot(machine, scripted_guest, None, script, silence=silence)


@pytest.mark.parametrize("script, end", [
    ("hello;!", End.SUCCESS),
    ("hello;#", End.FAILURE),
    ("hello;~", End.OFF),
])
def test_end(scripted_guest, script, end):
    outcome = run(scripted_guest, script)
    assert outcome.end is end
    assert outcome.lines[-1] == "hello"


def test_microvm(scripted_guest):
    outcome = run(scripted_guest, "hello;!", machine=Machine(kind="microvm", memory_mib=64, cpus=2))
    assert outcome.end is End.SUCCESS, outcome.report()
    assert "hello" in outcome.lines[-1]


def test_silence_is_a_hang(scripted_guest):
    with guest.Guest(SMALL, scripted_guest, None, "first;second;@") as running:
        assert "second" in running.follow()  # it may take its time to come so far
        outcome = running.run(silence=2.0)
    assert outcome.end is End.HUNG
    assert "second" in outcome.report()


def test_last_line_without_newline_is_kept(scripted_guest):
    assert run(scripted_guest, "tail!").lines[-1] == "tail"


def suite_of(outcome):
    suite = ktest.Suite()
    for line in outcome.lines:
        suite.line(line)
    return suite


def test_suite_that_passes(scripted_guest):
    outcome = run(scripted_guest, "KTEST start a;KTEST pass a;KTEST skip b: no IOMMU;KTEST done 1 passed 0 failed;!")
    suite = suite_of(outcome)
    assert [(case.name, case.result) for case in suite.cases] == [("a", "passed"), ("b", "skipped")]
    assert suite.flaw(outcome) is None


def test_suite_with_a_failed_case(scripted_guest):
    outcome = run(scripted_guest, "KTEST start a;KTEST fail a: 1 is not 2 (t.c:7);KTEST done 0 passed 1 failed;#")
    suite = suite_of(outcome)
    assert suite.cases[0].detail == "1 is not 2 (t.c:7)"
    assert suite.flaw(outcome) is None, "the failed case tells it; the run as a whole is sound"


@pytest.mark.parametrize("script, said", [
    ("KTEST start a;panic: oops;#", "in a"),
    ("KTEST pass a;!", "without `KTEST done`"),
    ("KTEST pass a;KTEST done 2 passed 0 failed;!", "2 passed"),
    ("KTEST done 0 passed 0 failed;!", "no case"),
    ("KTEST pass a;KTEST done 1 passed 0 failed;#", "panicked"),
    ("KTEST pass a;KTEST done 1 passed 0 failed;~", "reset"),
])
def test_suite_that_is_flawed(scripted_guest, script, said):
    outcome = run(scripted_guest, script)
    assert said in suite_of(outcome).flaw(outcome)
