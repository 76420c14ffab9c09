// KPIO's own calls from a Linux program, past liblinux.
#pragma once
#include "tests/linux/host.h"
#include "tests/linux/lt.h"

// A handle value: a generation, from 1 on, above an index (kernel/object/handle_table.h).
#define HANDLE(generation, index) ((generation) << 18 | (index))

static long native(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    // The kernel leaves nothing in the registers of arguments.
    __asm__ volatile("syscall"
                     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8), "+r"(r9)
                     : "a"(number)
                     : "rcx", "r11", "memory");
    return result;
}

static void only_here(void) {
    if (!is_kpio()) LT_SKIP("about KPIO's own calls");
}
