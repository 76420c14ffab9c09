"""`kpio image`: what it makes boots under BIOS and UEFI, as disk and as CD, and holds what it was made from."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from console import Console
from kpio import command, ktest, machine, packages
from kpio.errors import USAGE
from kpio.paths import ROOT

APPEND = "kpio.test=boot kpio.framebuffer=1"
FIRMWARE = Path("/usr/share/OVMF")
MIB = 1 << 20
LIMIT = 900  # seconds, of a busy machine
pytestmark = pytest.mark.usefixtures("system")


def kpio_image(*arguments):
    return subprocess.run([sys.executable, str(ROOT / "kpio"), "image", *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Format to file, each made once, from one folder."""
    folder = tmp_path_factory.mktemp("images")
    source = folder / "files"
    (source / "deep/er").mkdir(parents=True)
    (source / "deep/er/word").write_text("found\n")
    (source / "zeros").write_bytes(bytes(3 * MIB))
    for kind in ("raw", "qcow2", "iso"):
        done = kpio_image("--format", kind, "-o", folder / kind, "--from", source, "--append", APPEND)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def machine_arguments(arguments, firmware, folder, memory_mib=1024):
    argv = [machine.QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none", "-vga", "std",
            "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(memory_mib), "-serial", "stdio",
            "-device", f"isa-debug-exit,iobase={machine.EXIT_PORT:#x},iosize=4", *arguments]
    if firmware == "efi":
        variables = folder / "variables.fd"
        shutil.copyfile(FIRMWARE / "OVMF_VARS_4M.fd", variables)
        argv += ["-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE / 'OVMF_CODE_4M.fd'}",
                 "-drive", f"if=pflash,format=raw,file={variables}"]
    return argv


def boot(arguments, firmware, folder, memory_mib=1024):
    return command.run(machine_arguments(arguments, firmware, folder, memory_mib), limit=LIMIT)


def passed(result):
    suite = ktest.Suite()
    for line in result.lines:
        suite.line(line[line.rfind("KTEST"):] if "KTEST" in line else line)  # firmware leaves no line ends
    wrong = [case.name for case in suite.cases if case.result != "passed"]
    assert result.status == machine.EXIT_SUCCESS and suite.cases and not wrong, f"{wrong}\n{result.tail()}"


def disk(image, kind):
    return ["-drive", f"if=none,id=disk,format={kind},file={image}", "-device", "virtio-blk-pci,drive=disk,bootindex=0"]


@pytest.mark.parametrize("firmware, kind", [("bios", "raw"), ("efi", "raw"), ("bios", "qcow2")])
def test_disk_boots(images, tmp_path, firmware, kind):
    passed(boot(disk(images / kind, kind), firmware, tmp_path))


def test_disk_boots_with_little_memory(images, tmp_path):
    passed(boot(disk(images / "raw", "raw"), "bios", tmp_path, memory_mib=128))


@pytest.mark.parametrize("firmware", ["bios", "efi"])
def test_cd_boots(images, tmp_path, firmware):
    passed(boot(["-cdrom", str(images / "iso")], firmware, tmp_path))


@pytest.mark.parametrize("kind, firmware", [("iso", "bios"), ("iso", "efi"), ("raw", "bios")])
def test_the_root_is_what_the_image_was_made_from(tmp_path, kind, firmware):
    """The menu's own command line, in the monitor: from a CD the root is in memory, and can be written there."""
    source = tmp_path / "files"
    (source / "deep/er").mkdir(parents=True)
    (source / "deep/er/word").write_text("found\n")
    done = kpio_image("--format", kind, "-o", tmp_path / kind, "--from", source, "--append", "kpio.mode=shell")
    assert done.returncode == 0, done.stdout + done.stderr
    place = ["-cdrom", str(tmp_path / "iso")] if kind == "iso" else disk(tmp_path / "raw", "raw")
    guest = Console(machine_arguments(place, firmware, tmp_path))
    try:
        guest.begin(LIMIT)
        for line, answer in (("disks", ("ram0" if kind == "iso" else "vda3") + r"\b.*in use"),
                             ("ls deep/er", r" 6  word\s"),
                             ("cat deep/er/word", r"\bfound\s"),
                             ("write deep/new some words", ""),
                             ("sync", ""),
                             ("cat deep/new", r"\bsome words\s")):
            guest.ask(line, rf"{answer}(?s:.*)kpio> ")
        guest.power_off()
    finally:
        guest.close()


@pytest.mark.skipif(shutil.which("cargo") is None, reason="the WebAssembly engine needs Rust")
def test_an_image_with_apps(tmp_path, webassembly):
    """An app that was installed on it runs after the next boot by what was compiled then."""
    packages.require("wasm")
    source = tmp_path / "files"
    source.mkdir()
    command.check(["clang-19", "--target=wasm32-wasi", "-O1", "-o", str(source / "hello.wasm"), str(ROOT / "apps/samples/hello.c")])
    (source / "hello.app").write_text("name = hello\nversion = 1\n")
    done = kpio_image("--apps", "-o", tmp_path / "raw", "--from", source, "--append", "kpio.mode=shell")
    assert done.returncode == 0, done.stdout + done.stderr
    run = ("app run hello there", r"Hello, there!\s(?s:.*)kpio> ")
    install = ("app install /hello.wasm /hello.app", r"hello 1\s(?s:.*)kpio> ")
    listed = ("app list", r"hello +1 +aot +valid\s(?s:.*)kpio> ")
    for asked in ((install, run), (run, listed)):
        guest = Console(machine_arguments(disk(tmp_path / "raw", "raw"), "bios", tmp_path))
        try:
            guest.begin(LIMIT)
            for line, answer in asked:
                guest.ask(line, answer, LIMIT)
            guest.ask("sync", r"kpio> ", LIMIT)
            guest.power_off()
        finally:
            guest.close()


def test_file_systems_are_sound(images, tmp_path):
    """What the partitions hold, as the tools of those who defined them see it."""
    with open(images / "raw", "rb") as image:
        image.seek(2 * MIB)
        (tmp_path / "efi").write_bytes(image.read(64 * MIB))
        image.seek(66 * MIB)
        (tmp_path / "root").write_bytes(image.read(64 * MIB))
    command.check(["fsck.fat", "-n", str(tmp_path / "efi")])
    command.check(["e2fsck", "-fn", str(tmp_path / "root")])
    shown = command.check(["debugfs", "-R", "cat /deep/er/word", str(tmp_path / "root")])
    assert "found" in shown.lines


@pytest.mark.parametrize("arguments, says", [
    (["--from", "/no/such/folder"], "no such folder"),
    (["--root-size", "1"], "at least 8 MiB"),
    (["--root-size", "9", "--from", "SOURCE"], "do not hold"),
])
def test_bad_input_is_named_and_makes_nothing(tmp_path, arguments, says):
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(bytes(20 * MIB))
    done = kpio_image("-o", tmp_path / "out.img", *[str(source) if word == "SOURCE" else word for word in arguments])
    assert done.returncode == USAGE and says in done.stderr
    assert not (tmp_path / "out.img").exists()


def test_no_folder_for_the_output(tmp_path):
    done = kpio_image("-o", tmp_path / "missing" / "out.img")
    assert done.returncode == USAGE and "no folder" in done.stderr
