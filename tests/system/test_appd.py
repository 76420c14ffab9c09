"""appd (user/appd, docs/appd.md): the guest suite tests/guest/appd.c on an ext4 disk, and boots of one disk that find another
engine, other settings, another processor, an old clock."""
import shutil
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from console import Console
from guests import Boot, Config, built
from kpio import command, engine, guest, ktest, linuxguest, packages
from kpio.machine import Disk, Machine
from kpio.paths import ROOT, cache_folder, inputs_key, keep
from suites import examine

SAMPLES = ROOT / "tests" / "wasm"
VERSIONS = ("1", "2", "3")
CONFIG = Config("release", machine=Machine(cpus=2, memory_mib=1024, net="none"))
SILENCE = 900  # of a busy machine
CLANG = ["clang-19", "-std=gnu23", "-Wall", "-Werror", "--target=wasm32", "-nostdlib", "-Os", "-Wl,--no-entry,--strip-all"]


def sources():
    return sorted((SAMPLES / "apps").glob("*.c"))


@lru_cache(maxsize=None)
def modules():
    """The folder of what the suite installs, made once."""
    packages.require("test")
    folder = cache_folder("wasm") / f"apps-{inputs_key(*sources())}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "apps")
            made.mkdir()
            make_modules(made)
            keep(made, folder)
    return folder


def make_modules(folder):
    made = [("rights", "rights", ()), ("large", "large", ())]
    made += [(f"v{version}", "version", (f'-DVERSION="{version}"',)) for version in VERSIONS]
    for name, source, defines in made:
        command.check([*CLANG, *defines, str(SAMPLES / "apps" / f"{source}.c"), "-o", str(folder / f"{name}.wasm")])
    (folder / "cut.wasm").write_bytes((folder / "v1.wasm").read_bytes()[:200])
    (folder / "text").write_text("this is no program\n")
    (folder / "empty").write_bytes(b"")


def initrd(raw, identity=None):
    """The boot archive with the engine's programs and the modules."""
    packages.require("wasm")
    files = {f"/m/{file.name}": file.read_bytes() for file in modules().iterdir()} | {"/data/.keep": b""}
    return linuxguest.archive(raw, [], files, engine.boot_files() | (identity or {}))


def disk(folder, *options):
    image = folder / "ext4"
    with open(image, "wb") as file:
        file.truncate(64 << 20)
    command.check(["mkfs.ext4", "-q", "-F", *options, str(image)])
    return (Disk(image, durable=False),)


def boots():
    return [Boot(f"appd[{CONFIG}]", "kpio.test=appd root=vda", CONFIG, initrd=initrd, disks=disk, examine=examine, silence=SILENCE,
                 long_append="kpio.long")]


# ---- boots of one disk ------------------------------------------------------------------------------------------------------------

def identity(**changed):
    """The archive's words about the engine, some of them others."""
    lines = dict(line.split(" = ") for line in engine.boot_files()[f"{engine.BOOT}/engine"].decode().splitlines())
    assert set(changed) <= set(lines)
    return {f"{engine.BOOT}/engine": "".join(f"{key} = {value}\n" for key, value in {**lines, **changed}.items()).encode()}


def boot(folder, disks, words, more=None, **machine):
    """Boots the suite's cases that `words` name; what the console said."""
    variant, archive = built(CONFIG), folder / "initrd"
    archive.write_bytes(initrd(variant.initrd.read_bytes(), more))
    suite = ktest.Suite()
    chosen = replace(CONFIG.machine, disks=disks, **machine)
    outcome = guest.boot(chosen, variant.kernel, archive, f"kpio.test=appd root=vda {words}", silence=SILENCE, on_line=suite.line)
    failed = [f"{case.name}: {case.detail}" for case in suite.cases if case.result != "passed"]
    assert not suite.flaw(outcome) and not failed and suite.cases, "\n".join([str(suite.flaw(outcome)), *failed])
    return outcome.lines


def test_another_system_finds_the_cache(tmp_path):
    """Each of these is a boot of the same disk. An artifact is believed where all is as it was made with, whatever the clock says."""
    disks = disk(tmp_path)
    boot(tmp_path, disks, "kpio.case=first_boot")
    next_boots = [
        ("valid", "", {}, {"extra": ("-rtc", "base=1999-01-01")}),
        ("invalid", "made for another processor", {}, {"cpu": "max,-avx2"}),
        ("invalid", "made by another engine", {"cpu": "max,-avx2", "more": identity(engine="wasmtime 48.0.9")}, {}),
        ("invalid", "made with other settings", {"cpu": "max,-avx2", "more": identity(engine="wasmtime 48.0.9", settings="other")}, {}),
    ]
    for found, reason, options, machine in next_boots:
        lines = boot(tmp_path, disks, f"kpio.case=next_boot kpio.found={found}", **options, **machine)
        said = [line for line in lines if "its artifact is dropped" in line]
        assert len(said) == (0 if found == "valid" else 2) and all(reason in line for line in said), "\n".join(lines)


def test_a_host_that_is_taken_over_makes_no_code(tmp_path):
    hostile = tmp_path / "hostile"
    sources = sorted(str(file) for file in (SAMPLES / "host").glob("*.c"))
    command.check(["musl-gcc", "-static", "-std=gnu2x", "-O1", "-Wall", "-Werror", "-Wno-nonnull", f"-I{ROOT}",
                   f"-I{built(CONFIG).folder / 'gen'}", *sources, "-o", str(hostile)])
    more = {f"{engine.BOOT}/wasmhost": hostile.read_bytes()}
    boot(tmp_path, disk(tmp_path), "kpio.case=the_host_of_the_archive kpio.host=hostile", more)


def test_a_host_with_compilers(tmp_path):
    more = {f"{engine.BOOT}/wasmhost-full": (engine.programs("full") / "boot" / "wasmhost").read_bytes()}
    boot(tmp_path, disk(tmp_path), "kpio.case=the_other_modes kpio.compilers=1", more)


def system_app(version):
    """Of the boot archive; and another one that cannot be installed."""
    folder = f"{engine.BOOT}/apps"
    return {f"{folder}/first.app": f"name = first\nversion = {version}\n".encode(),
            f"{folder}/first.wasm": (modules() / f"v{version}.wasm").read_bytes(),
            f"{folder}/other.app": b"name = other\nversion = 1\n"}


def test_apps_of_the_boot_archive(tmp_path):
    disks = disk(tmp_path)
    for version in VERSIONS[:2]:
        lines = boot(tmp_path, disks, f"kpio.case=system_apps kpio.system={version}", system_app(version))
        assert sum(f"lib/kpio/apps/first.app: installed: first {version}" in line for line in lines) == 1
        assert any("lib/kpio/apps/other.app: no module of its name beside it" in line for line in lines)


# ---- the monitor ------------------------------------------------------------------------------------------------------------------

RESTARTED = ("kpio> ", "init: appd runs again", "1 of 1 artifacts are valid")


def test_the_monitor_installs_and_runs(tmp_path):
    """As a service of init, with what its manifest grants."""
    source = tmp_path / "root"
    shutil.copytree(modules(), source / "m")
    (source / "hello.app").write_text("name = hello\nversion = 1.0\ndirectory = /data read\n")
    (source / "bad.app").write_text("name = hello\nversion = 1.0\ncolour = red\n")
    variant, archive = built(CONFIG), tmp_path / "initrd"
    archive.write_bytes(initrd(variant.initrd.read_bytes()))
    chosen = replace(CONFIG.machine, disks=disk(tmp_path, "-d", str(source)))
    console = Console(chosen.arguments(variant.kernel, archive, "kpio.mode=shell root=vda") + ["-serial", "stdio"])
    try:
        console.begin(SILENCE)
        for line, answer in (("app install /m/v1.wasm /bad.app", r"manifest: line 3: colour: unknown"),
                             ("app install /m/v1.wasm /hello.app memory=16M", r"hello 1\.0"),
                             ("app grant hello /data /m read", r""),
                             ("app list", r"hello +1\.0 +aot +valid"),
                             ("app info hello", r"directory:   /data: /m, read"),
                             ("app run hello", r"version 1\r?\n"),
                             ("app run other", r"appd: other: it is not installed\r?\napp: ENOENT"),
                             ("restart appd", None),
                             ("app run hello", r"version 1\r?\n"),
                             ("app remove hello", r""),
                             ("app list", r"")):
            # What init and appd say of a restart comes when it comes, the prompt at once; what is typed next must not meet it.
            shown = rf"{answer}(?s:.*)kpio> " if answer is not None else "".join(rf"(?=(?s:.*){part})" for part in RESTARTED)
            said = console.ask(line, shown, SILENCE)
            assert "usage" not in said, said
        assert "hello" not in said.partition("app list")[2], said
    finally:
        console.close()
