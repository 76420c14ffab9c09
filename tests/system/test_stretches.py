"""How long the kernel takes no interrupt while it works on memory: a wake-up on that processor, of a real-time thread too, waits so long.
Counted in instructions by the plugin (tests/bench/plugin/stretch.c), on one processor; what is done is tests/guest/stretch.c."""
import pytest
from guests import Config, built
from kpio import guest
from kpio.bench import plugin
from kpio.elf import Elf, Symbols
from kpio.guest import End
from kpio.machine import Machine

MOST = 60_000   # instructions
KEPT = 20_000   # those that are shorter are not looked at
MEMORY_MIB = 1024
# Before any thread runs, and once a boot, when the first file system makes the tables of its caches.
ONCE = {"boot_kernel", "sys_fs_mount"}


@pytest.fixture(scope="module")
def stretches(tmp_path_factory):
    build, out = built(Config("release")), tmp_path_factory.mktemp("stretches") / "counts"
    machine = Machine(cpus=1, memory_mib=MEMORY_MIB, net="none", accelerator="icount", extra=plugin.arguments(out, stretches=KEPT))
    outcome = guest.boot(machine, build.kernel, build.initrd, f"kpio.test=stretch kpio.cpus=1 kpio.mib={MEMORY_MIB} nokaslr")
    assert outcome.end is End.SUCCESS, outcome.report()
    return plugin.stretches(out, Symbols(Elf(build.kernel), every=True))


def test_boot_is_seen(stretches):
    """The longest of all: else nothing is counted."""
    assert any("boot_kernel" in stretch.functions for stretch in stretches if stretch.length > MOST)


def test_none_is_long(stretches):
    assert [stretch for stretch in stretches if stretch.length > MOST and not ONCE & set(stretch.functions)] == []
