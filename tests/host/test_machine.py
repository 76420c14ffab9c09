"""What the guest options turn into, and what of them is refused."""
from pathlib import Path

import pytest
from kpio.errors import KpioError
from kpio.machine import Machine, parse_memory


def arguments(**options):
    return " ".join(Machine(**options).arguments(Path("kernel.elf"), Path("initrd.cpio"), "kpio.mode=demo"))


@pytest.mark.parametrize("text, mib", [("64M", 64), ("1G", 1024), ("8g", 8192), ("512", 512), ("2GiB", 2048)])
def test_memory(text, mib):
    assert parse_memory(text) == mib


@pytest.mark.parametrize("text", ["63M", "9G", "", "1T", "-1G", "many"])
def test_memory_refused(text):
    with pytest.raises(KpioError, match="--memory"):
        parse_memory(text)


def test_counted_machine_is_deterministic():
    text = arguments(accelerator="icount")
    for part in ("-icount shift=0,sleep=off", "-cpu max,-erms", "-seed 1", "clock=vm", "-smp 1"):
        assert part in text


def test_no_kvm_unless_asked_for():
    assert "kvm" not in arguments() and "thread=multi" in arguments()
    assert "-accel kvm" in arguments(accelerator="kvm")


def test_microvm_has_no_pci():
    assert "-pci" not in arguments(kind="microvm")
    assert "virtio-net-device" in arguments(kind="microvm")
