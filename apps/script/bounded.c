// QuickJS with a bound of its stack: calls that nest too deep throw a RangeError, which a script may catch. On WASI QuickJS has none.
//
// A program has two stacks: that in linear memory, where QuickJS can look, and the engine's, of which a program knows nothing and
// whose end is a trap. A function takes as little as nothing of the first and some hundred bytes of the second. So each that looks takes
// FRAME_LEAST of the first: the bound on it is then one on the other, as max-wasm-stack allows for (host/kpio/apps.py).
#include <stdint.h>

#define FRAME_LEAST 192

static inline __attribute__((always_inline)) uintptr_t script_stack(void) {
    char frame[FRAME_LEAST];
    uintptr_t at = (uintptr_t)frame;
    __asm__ volatile("" : "+r"(at) : : "memory");  // it is there, whether or not anything is in it
    return at;
}
#define __builtin_frame_address(level) script_stack()

#include <quickjs_checked.c>

void script_bound_stack(JSRuntime *runtime, size_t bytes) { runtime->stack_limit = runtime->stack_top - bytes; }
