// Tells the few x86-64 instructions apart that the benchmarks count besides their number.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum insn_class {
    INSN_OTHER,
    INSN_CR3,    // mov to CR3
    INSN_MSR,    // wrmsr
    INSN_FSGS,   // wrfsbase, wrgsbase
    INSN_XSAVE,  // xsave, xsaveopt, xsavec, xsaves, fxsave
    INSN_XRSTOR, // xrstor, xrstors, fxrstor
    INSN_LOCKED, // lock prefix, or xchg with memory
    INSN_REP,    // a repeated string instruction
    INSN_MARK,   // lib/bench_mark.h
    INSN_CLASSES,
};

// Class of the instruction in `code`; for a mark, *mark is its code.
enum insn_class insn_classify(const uint8_t *code, size_t size, uint8_t *mark);
