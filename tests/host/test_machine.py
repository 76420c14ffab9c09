"""What the guest options turn into, and what of them is refused."""
import re
from pathlib import Path

import pytest
from kpio.errors import KpioError
from kpio.machine import Disk, Folder, Machine, parse_disk, parse_memory


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


def test_disks():
    disks = (Disk(Path("/a,b.img")), Disk(Path("/c.img"), read_only=True, bad=(("write", 8), ("flush", 0))))
    text = arguments(disks=disks)
    assert "file=/a,,b.img" in text and "virtio-blk-pci,disable-legacy=on,drive=disk0" in text
    assert "readonly=on" in text and "inject-error.0.sector=8" in text and "inject-error.1.sector" not in text


def test_disks_share_a_page_of_a_microvm():
    text = arguments(kind="microvm", disks=(Disk(Path("/a")), Disk(Path("/b"))))
    assert "drive=disk0" in text and "virtio-mmio-bus.16" in text and "virtio-mmio-bus.17" in text
    with pytest.raises(KpioError, match="microvm"):
        arguments(kind="microvm", net="pair", disks=(Disk(Path("/a")),))


def test_disk_option(tmp_path):
    image = tmp_path / "disk.img"
    image.touch()
    assert parse_disk(f"{image},ro") == Disk(image.resolve(), read_only=True)
    assert parse_disk(str(image)) == Disk(image.resolve())
    with pytest.raises(KpioError, match="--disk"):
        parse_disk(str(tmp_path / "none"))


def test_a_folder_needs_memory_that_is_shared():
    text = arguments(folders=(Folder("dir0", Path("/s")),))
    assert "memory-backend-memfd,id=ram,size=1024M,share=on" in text and "q35,memory-backend=ram" in text
    assert "vhost-user-fs-pci,chardev=dir0,tag=dir0" in text and "virtio-net-pci" in text
    assert "memfd" not in arguments()


def test_streams_have_a_port_and_a_page_of_their_own():
    assert "virtio-serial-pci,disable-legacy=on,max_ports=2 -device virtserialport,chardev=streams,nr=1" in arguments(streams=7)
    assert "socket,id=streams,fd=7" in arguments(streams=7) and "virtserialport" not in arguments()
    text = arguments(kind="microvm", streams=7, disks=(Disk(Path("/a")),), folders=(Folder("dir0", Path("/s")),))
    places = re.findall(r"(virtio-serial|vhost-user-fs|virtio-blk)-device\S*bus=virtio-mmio-bus\.(\d+)", text)
    assert sorted(places) == [("vhost-user-fs", "8"), ("virtio-blk", "1"), ("virtio-serial", "16")]


def test_folders_have_pages_of_their_own_on_a_microvm():
    three = tuple(Folder(f"dir{number}", Path(f"/{number}")) for number in range(3))
    text = arguments(kind="microvm", folders=three[:2], disks=(Disk(Path("/a")), Disk(Path("/b"))))
    buses = [int(bus) for bus in re.findall(r"vhost-user-fs-device\S*bus=virtio-mmio-bus\.(\d+)", text)]
    assert [bus // 8 for bus in buses] == [1, 2] and "virtio-net-device" not in text and "virtio-mmio-bus.2" in text
    assert arguments(kind="microvm", folders=three).count("vhost-user-fs-device") == 3
    with pytest.raises(KpioError, match="microvm"):
        arguments(kind="microvm", folders=three, disks=(Disk(Path("/a")),))
