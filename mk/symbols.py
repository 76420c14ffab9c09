#!/usr/bin/env python3
"""Turns `nm -n` of the first link into the symbol table that panic backtraces print names from.

Output: assembly with, in .rodata.symbols, `kernel_symbol_count` (u32), `kernel_symbol_offsets` (u32 each, from
kernel_image_start, ascending) and `kernel_symbol_names` (NUL-terminated, in the same order).
"""
import sys


def main() -> int:
    base, symbols = None, []
    for line in sys.stdin:
        if len(line.split()) != 3:
            continue  # an undefined weak symbol has no address
        address, kind, name = line.split()
        if name == "kernel_image_start":
            base = int(address, 16)
        elif kind in "tT" and not name.startswith((".L", "__cfi_")):
            symbols.append((int(address, 16), name))
    if base is None:
        print("symbols.py: kernel_image_start is not among the symbols", file=sys.stderr)
        return 1
    symbols = [(a, n) for a, n in symbols if a >= base]
    print('.section .rodata.symbols,"a"\n.balign 4')
    for name in ("kernel_symbol_count", "kernel_symbol_offsets", "kernel_symbol_names"):
        print(f".globl {name}\n.hidden {name}")
    print(f"kernel_symbol_count: .long {len(symbols)}\nkernel_symbol_offsets:")
    for address, _ in symbols:
        print(f".long {address - base}")
    print("kernel_symbol_names:")
    for _, name in symbols:
        print(f'.asciz "{name}"')
    return 0


sys.exit(main())
