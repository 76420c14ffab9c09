"""The power goes while four processes of a guest work on one file system."""
import pytest
from kpio import build, power

systems = pytest.mark.parametrize("system", power.ALL, ids=lambda system: system.name)


@systems
def test_nothing_that_a_guest_synced_is_lost(system, tmp_path):
    found = power.guest_round(system, build.ensure(build.Build("release")), tmp_path, cuts=30, seed=1)
    assert not found, "\n".join(found)


@systems
def test_a_record_without_its_flushes_is_seen(system, tmp_path, monkeypatch):
    """The checker would notice: the same with every flush taken out of the record."""
    judge = power.judge

    def without_flushes(program, case, on_line=None, **environment):
        environment["log"].write_bytes(strip_flushes(environment["log"].read_bytes()))
        return judge(program, case, on_line, **environment)

    monkeypatch.setattr(power, "judge", without_flushes)
    assert power.guest_round(system, build.ensure(build.Build("release")), tmp_path, cuts=30, seed=1)


def strip_flushes(log):
    """QEMU's log: a sector of numbers, then entries: sector, sectors, flags (1: flush, 2: FUA, 4: discard), and the data."""
    out, word = bytearray(log), 8
    entries, size = int.from_bytes(log[16:24], "little"), int.from_bytes(log[24:28], "little")
    at = size
    for _ in range(entries):
        sectors = int.from_bytes(log[at + word:at + 2 * word], "little")
        flags = int.from_bytes(log[at + 2 * word:at + 3 * word], "little")
        out[at + 2 * word:at + 3 * word] = (flags & ~3).to_bytes(8, "little")
        at += size + (0 if flags & 4 else sectors * size)
    return bytes(out)
