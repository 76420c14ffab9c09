// The kernel's base types. Physical, virtual and user addresses differ in type, so that mixing them does not compile.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/core/config.h"

// A physical (machine) address.
typedef struct {
    uint64_t v;
} paddr_t;

// An address in the current process. Not to be dereferenced: only copied from or to (kernel/mm/usercopy.h).
struct user_ptr {
    uint64_t v;
};

// Nanoseconds since boot (CLOCK_MONOTONIC). A deadline of TIME_NEVER does not expire.
typedef uint64_t nanos_t;
#define TIME_NEVER UINT64_MAX

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul
#define PAGE_MASK (PAGE_SIZE - 1)
#define LARGE_PAGE_SHIFT 21
#define LARGE_PAGE_SIZE (1ul << LARGE_PAGE_SHIFT)
#define CACHE_LINE 64

// User addresses: [USER_MIN, USER_MAX). The page below USER_MAX stays unmapped (canonical hole and sysret).
#define USER_MIN 0x10000ul
#define USER_MAX 0x7ffffffff000ul

static inline paddr_t paddr(uint64_t v) { return (paddr_t){v}; }
static inline struct user_ptr user_ptr(uint64_t v) { return (struct user_ptr){v}; }

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define cacheline_aligned __attribute__((aligned(CACHE_LINE)))
// The out-of-line, rarely taken half of a path: kept out of the hot path's cache lines.
#define coldpath __attribute__((cold, noinline))
// The same for a call in the middle of a hot path, which then need not save registers around it (clang).
#if defined(__clang__) && !defined(__KPIO_HOST__)
#define coldcall __attribute__((cold, noinline, preserve_most))
#else
#define coldcall __attribute__((cold, noinline))
#endif
