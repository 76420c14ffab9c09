"""The WebAssembly engine (engines/wasmtime) and the programs made with it (user/wasmhost). The engine takes minutes to build: it is
kept outside the tree, by what it is made of. It is built twice: with compilers, and without for hosts of what is compiled already."""
from __future__ import annotations

import functools
import os
import re
import shutil
import tempfile
from pathlib import Path

from . import build, command, linuxguest, packages, progress
from .errors import BUILD, MISSING, USAGE, KpioError
from .paths import ROOT, cache_folder, inputs_key, keep

CRATE = ROOT / "engines" / "wasmtime"
KINDS = ("full", "runtime")  # with compilers, and without
LIBRARY = "libkpio_wasmtime.a"
BOOT = "lib/kpio"  # where the boot archive has what appd runs (user/appd/engine.h)
BUILD_LIMIT = 3600
RUST = "Rust 1.95 or later is needed for the WebAssembly engine: https://rustup.rs"


def rustc_version() -> str:
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        raise KpioError(f"missing: cargo\n{RUST}", MISSING)
    return command.check(["rustc", "-vV"], status=MISSING).lines[0]


def key(kind: str) -> str:
    sources = [*sorted(CRATE.glob("src/*.rs")), *sorted(CRATE.glob("include/*.h"))]
    return inputs_key(kind, rustc_version(), CRATE / "Cargo.toml", CRATE / "Cargo.lock", *sources)


def headers(target: Path) -> list[Path]:
    """The API's headers: those of the crate, and conf.h, which its build script makes."""
    found = sorted(target.glob("release/build/wasmtime-c-api-impl-*/out/include"), key=lambda folder: folder.stat().st_mtime)
    if not found:
        raise KpioError(f"cargo succeeded but made no headers below {target}", BUILD)
    return [found[-1]]


def make(kind: str, folder: Path) -> None:
    target = cache_folder("engines", f"target-{kind}")
    argv = ["cargo", "build", "--release", "--locked", "--manifest-path", str(CRATE / "Cargo.toml"), "--target-dir", str(target),
            "--no-default-features", "--features", kind]
    with progress.step(f"Building the WebAssembly engine ({kind}); once, some minutes") as shown:
        command.check(argv, limit=BUILD_LIMIT, status=BUILD, on_line=lambda line: shown.detail(line.strip()))
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, "engine")
        made.mkdir()
        shutil.copy2(target / "release" / LIBRARY, made / LIBRARY)
        for source in [*headers(target), CRATE / "include"]:
            shutil.copytree(source, made / "include", dirs_exist_ok=True)
        keep(made, folder)


def ensure(kind: str) -> Path:
    """The engine's folder: include/ and the static library."""
    folder = cache_folder("engines") / f"{kind}-{key(kind)}"
    if not folder.exists():
        make(kind, folder)
    return folder


@functools.cache
def programs(kind: str = "full", goal: str = "wasmhost") -> Path:
    """The folder of wasmhost, and with the compilers wasmc, up to date; with the goal `wasmbench` also of what measures them."""
    with build.alone(f"wasmhost-{kind}"):
        build.make([goal, f"ENGINE={ensure(kind)}", f"KIND={kind}"], f"Building {goal} ({kind})")
    return ROOT / "build" / f"wasmhost-{kind}"


def version() -> str:
    """The engine's, by the lock."""
    found = re.search(r'name = "wasmtime"\nversion = "([^"]+)"', (CRATE / "Cargo.lock").read_text())
    if not found:
        raise KpioError(f"{CRATE / 'Cargo.lock'} names no wasmtime", BUILD)
    return found[1]


def settings() -> str:
    """A name for all that shapes compiled code, or what a host expects of it: artifacts made with other settings are not loaded."""
    chosen = sorted((ROOT / "user" / "wasmhost").glob("engine*.[ch]"))
    return inputs_key(CRATE / "Cargo.toml", CRATE / "Cargo.lock", *sorted(CRATE.glob("src/*.rs")), *chosen)


def boot_files() -> dict[str, bytes]:
    """What the boot archive needs so that apps run (docs/appd.md): the host without compilers, the compiler, and what they are."""
    host, compiler = programs("runtime") / "boot" / "wasmhost", programs("full") / "boot" / "wasmc"
    identity = f"engine = wasmtime {version()}\nsettings = {settings()}\n"
    return {f"{BOOT}/wasmhost": host.read_bytes(), f"{BOOT}/wasmc": compiler.read_bytes(), f"{BOOT}/engine": identity.encode()}


def full_boot_files() -> dict[str, bytes]:
    """The same, and the host with compilers: apps of `mode = jit` run too."""
    return {f"{BOOT}/wasmhost-full": (programs("full") / "boot" / "wasmhost").read_bytes(), **boot_files()}


def archive(variant: build.Build, name: str, files: dict[str, bytes]) -> Path:
    """The system's boot archive with these files, beside it under that name."""
    place = variant.folder / name
    made = place.with_name(f"{name}.{os.getpid()}")
    made.write_bytes(linuxguest.archive(variant.initrd.read_bytes(), [], {}, files))
    os.replace(made, place)  # others may be reading the one before
    return place


def with_apps(variant: build.Build) -> build.Build:
    """The same system with what apps need in its boot archive."""
    packages.require("wasm")
    variant.initrd = archive(variant, "initrd-apps.cpio", full_boot_files())
    return variant


def artifact(module: Path, target: str, programs_folder: Path) -> Path:
    """What wasmc in that folder makes of a module for a level of processors, or byte code (`pulley`); kept."""
    compiler = programs_folder / "wasmc"
    folder = cache_folder("apps") / f"artifact-{inputs_key(module, compiler, target)}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "made")
            made.mkdir()
            ran = command.run([str(compiler), "--cpu", target, str(module), str(made / "artifact")], limit=900)
            if ran.status == USAGE and len(ran.lines) == 1:  # the module is at fault, which the line names
                raise KpioError(ran.lines[0].removeprefix("wasmhost: "), USAGE)
            if ran.status != 0:
                raise KpioError(f"{module} could not be compiled:\n{ran.tail()}", BUILD)
            keep(made, folder)
    return folder / "artifact"
