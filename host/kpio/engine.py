"""The WebAssembly engine (engines/wasmtime) and the programs made with it (user/wasmhost). The engine takes minutes to build: it is
kept outside the tree, by what it is made of."""
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from . import build, command, progress
from .errors import BUILD, MISSING, KpioError
from .paths import ROOT, cache_folder, inputs_key, keep

CRATE = ROOT / "engines" / "wasmtime"
KINDS = ("full", "runtime")  # with compilers, and without
LIBRARY = "libkpio_wasmtime.a"
BUILD_LIMIT = 3600
RUST = "Rust 1.95 or later is needed for the WebAssembly engine: https://rustup.rs"


def rustc_version() -> str:
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        raise KpioError(f"missing: cargo\n{RUST}", MISSING)
    return command.check(["rustc", "-vV"], limit=60, status=MISSING).lines[0]


def key(kind: str) -> str:
    sources = sorted(CRATE.glob("src/*.rs"))
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
        for source in headers(target):
            shutil.copytree(source, made / "include", dirs_exist_ok=True)
        keep(made, folder)


def ensure(kind: str) -> Path:
    """The engine's folder: include/ and the static library."""
    folder = cache_folder("engines") / f"{kind}-{key(kind)}"
    if not folder.exists():
        make(kind, folder)
    return folder


def programs(kind: str = "full") -> Path:
    """The folder of wasmhost, and with the compilers wasmc, up to date."""
    build.make(["wasmhost", f"ENGINE={ensure(kind)}", f"KIND={kind}"], "Building wasmhost")
    return ROOT / "build" / f"wasmhost-{kind}"
