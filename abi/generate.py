#!/usr/bin/env python3
"""Makes from the definitions everything that must agree with them.

    abi/generate.py --out DIR     headers and the dispatch table in DIR/abi/gen, protocol bindings in DIR/protocols/gen
    abi/generate.py --docs FILE   the reference page (docs/syscalls.md)
    abi/generate.py --check-docs FILE   fails when that page is out of date
"""
import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "protocols"))

import emit_docs  # noqa: E402
import emit_kernel  # noqa: E402
import emit_protocol  # noqa: E402
import emit_user  # noqa: E402
from definition import DefinitionError, read_errors, read_not_yet, read_syscalls  # noqa: E402
from protocol import read_protocols  # noqa: E402


def write(path: Path, text: str) -> None:
    """Leaves a file that is already right untouched, so that nothing is built again for it. Another make may be reading: it finds the
    whole file, of before or of now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.read_text() == text:
        return
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(text)
    made.replace(path)


def generate(out: Path, calls: list, errors: list, not_yet: list, protocols: list) -> None:
    folder = out / "abi" / "gen"
    write(folder / "errors.h", emit_kernel.errors_h(errors))
    write(folder / "syscalls.h", emit_kernel.syscalls_h(calls))
    write(folder / "syscall_frames.h", emit_kernel.syscall_frames_h(calls))
    write(folder / "syscall_table.c", emit_kernel.syscall_table_c(calls, not_yet))
    write(folder / "stubs.h", emit_user.stubs_h(calls))
    write(folder / "names.h", emit_user.names_h(calls))
    write(folder / "fuzz_grammar.h", emit_user.grammar_h(calls))
    for protocol in protocols:
        write(out / "protocols" / "gen" / f"{protocol.name}.h", emit_protocol.bindings_h(protocol))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--docs", type=Path, metavar="FILE")
    parser.add_argument("--check-docs", type=Path, metavar="FILE")
    options = parser.parse_args()
    try:
        errors = read_errors(ROOT / "abi" / "errors.def")
        calls = read_syscalls(ROOT / "abi" / "syscalls.def", errors)
        not_yet = read_not_yet(ROOT / "abi" / "not_yet.list", calls)
        protocols = read_protocols(ROOT / "protocols")
    except DefinitionError as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 1
    if options.out:
        generate(options.out, calls, errors, not_yet, protocols)
    page = emit_docs.reference_md(calls, errors)
    if options.docs:
        write(options.docs, page)
    if options.check_docs and (not options.check_docs.exists() or options.check_docs.read_text() != page):
        print(f"generate.py: {options.check_docs} is out of date: run abi/generate.py --docs {options.check_docs}",
              file=sys.stderr)
        return 1
    return 0


sys.exit(main())
