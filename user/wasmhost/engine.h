// The engine as a program is to be run: which compiler, and what of the language.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <wasmtime.h>

enum compiler {
    COMPILER_CRANELIFT,
    COMPILER_WINCH,   // one pass: starts sooner. Without tail calls, exceptions, relaxed SIMD, garbage collection
    COMPILER_PULLEY,  // byte code that is interpreted: needs no executable memory. Without threads
};

// What compiled code may use of the processor: all that this one has, or a level of the x86-64 psABI (section 3.1.1).
enum cpu_level { CPU_NATIVE, CPU_V1, CPU_V2, CPU_V3 };

// Never NULL. All that the compiler can is on. Artifacts load only into an engine made in the same way, on a processor that has
// what they use.
wasm_engine_t *engine_make(enum compiler compiler, enum cpu_level level);
// Bytes of stack that programs of engines made from now on have; the engine's own default otherwise.
void engine_set_stack(size_t bytes);
// Whether this process may make executable memory.
bool engine_may_compile(void);
