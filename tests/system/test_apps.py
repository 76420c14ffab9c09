"""Apps that `kpio app build` makes (docs/apps.md): the samples of apps/samples in every mode, here and in a guest, and what
the verb says."""
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

import pytest
from console import Console
from kpio import command, engine, packages
from kpio.paths import ROOT, cache_folder, inputs_key, keep
from test_appd import disk
from test_wasm import HOST_SECONDS, SILENCE, Case, WasmItem, flaw_of, samples

SAMPLES = ROOT / "apps" / "samples"
LIMIT = 900  # of a busy machine
making = threading.Lock()
TEXTS = {"a.txt": "one two\nthree\n", "below/b.txt": "four", "below/c.txt": ""}
COUNTED = r""" +2 +3 +14 /text/a\.txt
 +0 +1 +4 /text/below/b\.txt
 +0 +0 +0 /text/below/c\.txt
 +2 +4 +18 all"""

SURVEY = "place: here\nclocks: a good day, slept enough\nrandom: two draws differ\nwritten: all of it"
INTERFACES = ("cli/run", "cli/environment", "cli/stdout", "io/streams", "filesystem/types", "clocks/wall-clock", "clocks/monotonic-clock",
              "random/random")


def kpio_app(*words, cwd=None):
    return subprocess.run([sys.executable, str(ROOT / "kpio"), "app", *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT, cwd=cwd)


def build(*words, cwd=None):
    done = kpio_app("build", *words, cwd=cwd)
    assert done.returncode == 0, done.stderr


# ---- the samples --------------------------------------------------------------------------------------------------------------

def made_apps():
    with making:
        return make_apps()


@lru_cache(maxsize=None)
def make_apps():
    """The folder of what the cases name, made once."""
    packages.require("wasm", "test")
    host = engine.programs()
    tools = [ROOT / "host" / "kpio" / name for name in ("apps.py", "component.py", "crate.py", "verbs/app.py")]
    tools += [ROOT / "engines" / "component" / name for name in ("Cargo.lock", "src/main.rs")]
    inputs = [Path(__file__), *tools, *sorted(path for path in SAMPLES.rglob("*") if path.is_file()), host / "wasmc", host / "wasmhost"]
    folder = cache_folder("wasm") / f"samples-{inputs_key(*inputs)}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            made = Path(temporary, "apps")
            made.mkdir()
            make_all(made, host)
            keep(made, folder)
    return folder


def make_all(folder, host):
    shutil.copy(host / "boot" / "wasmhost", folder / "wasmhost")
    for sample in ("hello.c", "notes.c", "words"):
        build(SAMPLES / sample, "-Wall", "-Wextra", "-Werror", cwd=folder)
    build("--component", SAMPLES / "survey.c", "-Wall", "-Wextra", "-Werror", cwd=folder)
    shutil.copy(SAMPLES / "survey.app", folder)
    for module in folder.glob("*.wasm"):
        command.check([str(host / "wasmc"), "--cpu", "x86-64-v3", str(module), str(module.with_suffix(".aot"))])
    for name, text in TEXTS.items():
        (folder / "text" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "text" / name).write_text(text)


def in_mode(mode):
    def case(name, app, *arguments, output="", status=0, options=()):
        program = f"{app}.{'aot' if mode == 'aot' else 'wasm'}"
        return Case(f"{mode}_{name}", ("--mode", mode, *options), (program, *arguments), output, status)

    notes = ("--dir", "@/data::/notes")
    return [
        case("hello", "hello", "Ada", "Grace Hopper", output="Hello, Ada!\nHello, Grace Hopper!"),
        case("hello_by_variable", "hello", "Ada", output="Hallo, Ada!", options=("--env", "GREETING=Hallo")),
        case("hello_usage", "hello", output=r"usage: \S+ NAME \.\.\.", status=2),
        case("words", "words", "/text", output=COUNTED, options=("--dir", "@/text::/text,ro")),
        case("words_of_nothing_shown", "words", "/text", output=r"/text: .*\n +0 +0 +0 all", status=1),
        case("notes_add", "notes", "add", f"by {mode}", options=notes),
        case("notes_list", "notes", "list", output=rf"(?=(.*\n)*by {mode}(\n|$))(by \w+\n?)+", options=notes),
        case("notes_read_only", "notes", "add", "lost", output=r"notes: /notes/\.new-\w+: .*", status=1,
             options=("--dir", "@/data::/notes,ro")),
        case("survey", "survey", f".{mode}.txt", output=SURVEY, options=("--dir", "@/data::/out", "--env", "PLACE=here")),
        case("survey_of_nothing_shown", "survey", "a.txt", output="survey: /out/a.txt: .*", status=1),
    ]


CASES = [*in_mode("aot"), *in_mode("jit"), *in_mode("interp")]


class AppItem(WasmItem):
    groups, made = {"samples": (CASES, " kpio.jit=1")}, staticmethod(made_apps)


def test_samples_on_this_machine(tmp_path):
    (tmp_path / "data").mkdir()
    for file in made_apps().iterdir():
        (tmp_path / file.name).symlink_to(file)
    for case in CASES:
        argv = [str(tmp_path / "wasmhost"), *case.words(str(tmp_path))]
        ran = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             timeout=HOST_SECONDS)
        flaw = flaw_of(case, ran.returncode, ran.stdout.rstrip("\n"))
        assert not flaw, f"{case.name}: {flaw}"


def kpio_run(app, *words):
    done = subprocess.run([sys.executable, str(ROOT / "kpio"), "run", str(made_apps() / app), *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("mode", ("aot", "jit", "interp"))
def test_run(mode):
    assert kpio_run("hello.wasm", "--mode", mode, "--env", "GREETING=Hi", "--", "Ada") == (0, "Hi, Ada!\n", "")


def test_run_a_component(tmp_path):
    assert kpio_run("survey.wasm", "--dir", f"{tmp_path}::/out", "--env", "PLACE=here", "--", "a.txt") == (0, f"{SURVEY}\n", "")
    assert (tmp_path / "a.txt").read_text().startswith("place: here\n")


def test_a_component_is_one():
    made = (made_apps() / "survey.wasm").read_bytes()
    assert made.startswith(b"\0asm\x0d\0\1\0")
    assert all(f"wasi:{name}@0.2.".encode() in made for name in INTERFACES)


# (module (memory (export "memory") 1) (func (export "_start") ...)), where it does (loop (br 0)) or (unreachable)
START = "0061736d01000000 010401600000 03020100 0503010001 071302066d656d6f72790200065f73746172740000"
ENDLESS, TRAP = bytes.fromhex(f"{START} 0a0901070003400c000b0b"), bytes.fromhex(f"{START} 0a05010300000b")
MANIFESTS = {"streams": "", "hello": "", "endless": "", "trap": "", "now": "mode = jit\n", "jit-trap": "mode = jit\n",
             "refused": "mode = jit\n"}
TRAPPED = r"wasm trap: wasm `unreachable` instruction executed(?s:.*)\nexit status 134"


def talk_to_an_app(console):
    """What is typed is its input, by lines, until Ctrl-D; what nobody read is the monitor's."""
    prompt = r"(?s:.*)kpio> "
    console.ask("app run streams copy", "", SILENCE)
    console.ask("first words", "first words\r?\n", SILENCE)
    console.type("thrx\x7fee\x1b[Hnot \x1b[F th")  # erased, at the beginning, at the end
    console.read_until(r"\nnot three th\r?\n", SILENCE)
    console.type("")
    console.type("\x04")
    console.read_until(prompt, SILENCE)
    console.ask("app run streams copy", "", SILENCE)
    console.type("thrown away\x03")
    console.read_until(rf"\^C\r?\n{prompt}", SILENCE)
    console.type("app run streams none\nls /out 'for the monitor'\nls '/o'\\ut")
    console.read_until(rf"exit status 7\r?\n(?s:.*)usage: ls \[PATH\]{prompt}(?s:.*)first\.txt{prompt}", SILENCE)


def test_apps_are_installed(tmp_path):
    """A component and modules, compiled before or when they start, by `kpio shell --monitor --apps`; Ctrl-C ends one that runs."""
    source = tmp_path / "root"
    shutil.copytree(made_apps(), source / "m")
    shutil.copy(samples() / "streams.wasm", source / "m")
    for name, rest in MANIFESTS.items():
        (source / "m" / f"{name}.app").write_text(f"name = {name}\nversion = 1\n{rest}")
    (source / "m" / "endless.wasm").write_bytes(ENDLESS)
    (source / "m" / "trap.wasm").write_bytes(TRAP)
    (source / "out").mkdir()
    image, = disk(tmp_path, "-d", str(source))
    console = Console([sys.executable, str(ROOT / "kpio"), "shell", "--monitor", "--apps", "--smp", "2", "--disk", str(image.file),
                       "--append", "root=vda"])
    survey = SURVEY.replace("here", "unknown").replace("\n", r"\r?\n")
    try:
        console.begin(SILENCE)
        for line, answer in (("app install /m/survey.wasm /m/survey.app environment", r"survey 1\.0"),
                             ("app grant survey /out /out write", r""),
                             ("app run survey first.txt", survey),
                             ("app install /m/hello.wasm /m/hello.app", r"hello 1"),
                             ("app run hello Ada", "Hello, Ada!"),
                             ("app run hello 'Ada Lovelace'", "Hello, Ada Lovelace!"),
                             ("app run hello Ada\\ L\"ove \\\"lace\\\"\"", 'Hello, Ada Love "lace"!'),
                             ("app run hello 'Ada", "this line cannot be understood: a ' is not closed"),
                             ("app run hello", r"\nexit status 2"),
                             ("app install /m/trap.wasm /m/trap.app", r"trap 1"),
                             ("app run trap", TRAPPED),
                             ("app install /m/hello.wasm /m/now.app jit", r"now 1"),
                             ("app run now Grace", "Hello, Grace!"),
                             ("app install /m/trap.wasm /m/jit-trap.app jit", r"jit-trap 1"),
                             ("app run jit-trap", TRAPPED),
                             ("app", r"usage: app install (?s:.*)usage: app run NAME"),
                             ("app install /m/hello.wasm /m/refused.app", r"refused 1"),
                             ("app run refused Ada", r"no right to make executable memory(?s:.*)\nexit status 2"),
                             ("app install /m/endless.wasm /m/endless.app", r"endless 1"),
                             ("app list", r"survey +1\.0 +aot +valid")):
            said = console.ask(line, rf"{answer}(?s:.*)kpio> ", SILENCE)
            assert line == "app" or "usage: app" not in said, said
        console.ask("app install /m/streams.wasm /m/streams.app", r"streams 1(?s:.*)kpio> ", SILENCE)
        talk_to_an_app(console)
        console.type("app run endless\n\x03")
        console.read_until(r"\^C\r?\n(?s:.*)kpio> ", SILENCE)
    finally:
        console.close()


# ---- what the verb says -------------------------------------------------------------------------------------------------------

def test_what_it_makes(tmp_path):
    (tmp_path / "one.c").write_text('#include "two.h"\nint main(void) { return two() - TWO; }\n')
    (tmp_path / "two.c").write_text("int two(void) { return 2; }\n")
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "two.h").write_text("int two(void);\n")
    done = kpio_app("build", "one.c", "two.c", "-Iinclude", "-DTWO=2", "-Wall", "-g", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "one.wasm").read_bytes().startswith(b"\0asm\1"), done.stderr
    assert done.stdout == f"one.wasm: {(tmp_path / 'one.wasm').stat().st_size:,} bytes\n"


def test_a_stack_that_overflows_traps(tmp_path):
    """It changes no data: the stack lies before them."""
    source = tmp_path / "deep.c"
    source.write_text("#include <stdio.h>\nint deep(int n) { volatile char a[4096]; a[n] = 1; return n > 4000 ? 0 : deep(n + 1) + a[n]; }\n"
                      "int main(void) { printf(\"%d\\n\", deep(0)); return 0; }\n")
    build(source, "-O0", "-Wl,-z,stack-size=65536", cwd=tmp_path)
    ran = subprocess.run([str(made_apps() / "wasmhost"), str(tmp_path / "deep.wasm")], capture_output=True, text=True, timeout=HOST_SECONDS)
    assert ran.returncode == 134 and "out of bounds memory access" in ran.stderr, ran


@pytest.mark.parametrize("text, words, status, said", [
    (None, ("missing.c",), 2, "missing.c: no such file"),
    ("", ("text.md",), 2, "no C source, object or archive"),
    (None, (".",), 2, "a folder without C files"),
    ("int main(void) { return 0; }", ("a.c", "-o", "no/a.wasm"), 2, "its folder is not there"),
    ("int main(void) { return fork(); }", ("a.c",), 4, "undeclared function 'fork'"),
    ("int none(void) { return 0; }", ("a.c",), 4, "undefined symbol: main"),
    ("#include <sys/times.h>\nint main(void) { return 0; }", ("a.c",), 4, "-lwasi-emulated-process-clocks"),
])
def test_what_is_wrong_is_said(tmp_path, text, words, status, said):
    if text is not None:
        (tmp_path / words[0]).write_text(text)
    done = kpio_app("build", *words, cwd=tmp_path)
    assert done.returncode == status and said in done.stderr and "Traceback" not in done.stderr, done
    assert not list(tmp_path.glob("*.wasm"))


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    absent = [packages.Package("wasi-libc", "apps", "file:/nowhere/*")]
    monkeypatch.setattr(packages, "listed", lambda: absent)
    monkeypatch.setattr(packages, "privilege", lambda: None)
    from kpio import main
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    assert main.main(["app", "build", str(tmp_path / "a.c"), "-o", str(tmp_path / "a.wasm")]) == 3


def items(parent, long):
    yield AppItem.from_parent(parent, name="apps-samples", group="samples")
