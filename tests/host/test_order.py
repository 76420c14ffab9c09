"""mk/order.py: which functions of a program run, in their order."""
import subprocess
import sys

import pytest
from kpio.paths import ROOT

PROGRAM = """
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#define FUNCTION __attribute__((noinline)) void
FUNCTION never(void) { abort(); }
FUNCTION third(int number) { __asm__ volatile("" : : "r"(number)); }
FUNCTION second(void) { raise(SIGUSR1); }
FUNCTION first(void) { second(); }
FUNCTION fourth(void) { __asm__ volatile(""); }
FUNCTION only_with_arguments(void) { __asm__ volatile(""); }
static void *thread(void *argument) { for (int i = 0; i < 3; i++) fourth(); return argument; }
int main(int argc, char **argv) {
    pthread_t threads[4];
    signal(SIGUSR1, third);
    first();
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, thread, 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    if (argc > 1) only_with_arguments();
    return argc > 2 ? atoi(argv[2]) : 0;
}
"""
NAMES = ("first", "second", "third", "fourth", "only_with_arguments", "never")


@pytest.fixture(scope="module", name="program")
def made_program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("order")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(["clang-19", "-O1", "-static", "-pthread", str(folder / "program.c"), "-o", str(folder / "program")], check=True)
    return folder / "program"


def order(program, *words):
    argv = [sys.executable, str(ROOT / "mk" / "order.py"), str(program), *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    if "cannot be traced here" in done.stderr:
        pytest.skip("programs cannot be traced here")
    return done


def test_functions_in_the_order_in_which_they_run(program):
    done = order(program, "--")
    assert [name for name in done.stdout.split() if name in NAMES] == ["first", "second", "third", "fourth"]
    assert done.returncode == 0


def test_each_run_adds_what_is_new(program):
    done = order(program, "--", "--", "word")
    names = done.stdout.split()
    assert [name for name in names if name in NAMES] == ["first", "second", "third", "fourth", "only_with_arguments"]
    assert len(names) == len(set(names))


def test_a_program_that_fails_is_an_error(program):
    done = order(program, "--", "word", "3")
    assert done.returncode != 0 and "wait status 0x300" in done.stderr and done.stdout == ""
