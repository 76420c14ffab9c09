"""What all tests share: the host tools on the path, the options, the report."""
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS.parent / "host"), str(TESTS / "harness")]

import pytest  # noqa: E402
from kpio import command  # noqa: E402
from kpio.errors import KpioError  # noqa: E402
from guests import CasePool  # noqa: E402
from reporter import Reporter  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the long forms too")


@pytest.hookimpl(trylast=True)  # after the terminal reporter that it replaces
def pytest_configure(config):
    command.interrupt_once()
    config.pluginmanager.register(CasePool(), "kpio-cases")
    shown = config.pluginmanager.get_plugin("terminalreporter")
    if shown:
        config.pluginmanager.unregister(shown)
        config.pluginmanager.register(Reporter(config), "kpio-reporter")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """An error of the tools says by itself what is wrong; where in the tools it was raised helps nobody."""
    made = yield
    if call.excinfo and call.excinfo.errisinstance(KpioError):
        made.get_result().longrepr = str(call.excinfo.value)
