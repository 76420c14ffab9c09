"""The QEMU plugin counts what runs between marks, and nothing else."""
import pytest
from kpio import guest
from kpio.bench import plugin
from kpio.guest import End
from kpio.machine import Machine


@pytest.mark.parametrize("accelerator", ["tcg", "icount"])
def test_counts(marks_guest, tmp_path, accelerator):
    out = tmp_path / "counts"
    machine = Machine(memory_mib=64, net="none", accelerator=accelerator, extra=plugin.arguments(out, lines=True))
    outcome = guest.boot(machine, marks_guest, None)
    assert outcome.end is End.SUCCESS, outcome.report()
    record = plugin.read(out)[2]
    assert record["ops"] == 4
    counted = {name: record[name] for name in ("cr3", "msr", "locked", "fsgs", "xsave", "xrstor")}
    assert counted == {"cr3": 1, "msr": 1, "locked": 3, "fsgs": 0, "xsave": 0, "xrstor": 0}
    assert record["rep"] in (8, 9), "QEMU enters the instruction once more to find the counter at zero"
    assert record["writes"] == 3 + 8, "each locked operation and each repetition writes once, the load does not"
    assert record["shared_lines"] == 0, "there is one CPU"
    assert plugin.per_operation(record)["locked"] == 0.75
