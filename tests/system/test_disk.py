"""A disk that leaves a request without an answer: it is reset, the request fails, the guest goes on."""
from kpio import build, guest, machine


def test_a_disk_that_does_not_answer_is_reset(tmp_path):
    """At 4 bytes a second a disk answers once; the next sector is due after two minutes."""
    image = tmp_path / "disk"
    image.write_bytes(bytes(1 << 20))
    variant = build.ensure(build.Build("release"))
    drive = ("-drive", f"file={image},if=none,id=slow,format=raw,throttling.bps-total=4", "-device", "virtio-blk-pci,drive=slow")
    outcome = guest.boot(machine.Machine(net="none", rng=False, extra=drive), variant.kernel, variant.initrd,
                         "disk_timeout=3s kpio.test=boot log=info")
    said = [line for line in outcome.lines if " vda: " in line]
    assert outcome.end is guest.End.SUCCESS, outcome.report()
    for wanted in ("no answer within disk_timeout", "runs again", "read of 1 sectors at 0: I/O error"):
        assert sum(wanted in line for line in said) == 1, "\n".join(said)
