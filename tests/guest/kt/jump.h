// Leaves a failed case from within: setjmp and longjmp of what the framework needs.
#pragma once
#include <stdint.h>

struct kt_jump {
    uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip;
};
// Returns 0, and once more with `value` when kt_jump_to is called.
int kt_jump_mark(struct kt_jump *jump) __attribute__((returns_twice));
_Noreturn void kt_jump_to(const struct kt_jump *jump, int value);
