// Benchmarks in the guest: windows between marks, timed with the TSC, which advances one tick per instruction under
// -icount. A window holds a batch of operations; the loop around them and one rdtsc are part of what is counted.
//
// Each result is a line {"name","unit","value","min","max","n","mark"}: value is the median over n windows, min and max
// their extremes, each per operation, rounded up.
#pragma once
#include <stdint.h>

#include "lib/bench_mark.h"
#include "user/libkpio/kpio.h"

#define BENCH_WINDOWS_MAX 256u

struct bench {
    const char *name;
    const char *unit;
    uint32_t windows, batch;                   // batch: operations in a window
    void (*prepare)(void *context);            // before each window; may be NULL
    void (*operate)(void *context, uint32_t batch);
    void (*clean)(void *context);              // after each window; may be NULL
    void *context;
};

static inline uint64_t bench_clock(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

// Runs two windows that do not count (caches of the kernel fill), then those that do, and prints the result.
void bench_run(const struct bench *bench);
// Prints a figure that was found in another way.
void bench_print(const char *name, const char *unit, const uint64_t *samples, uint32_t count);
// The same with more members of the line, each with a comma before it.
void bench_print_with(const char *name, const char *unit, const uint64_t *samples, uint32_t count, const char *more);
void bench_value(const char *name, const char *unit, uint64_t value);
// Ends the program: a benchmark that cannot be measured must not look like one that was.
_Noreturn void bench_fail(const char *name, const char *what, int64_t error);
int64_t bench_check(const char *name, int64_t result);  // result, unless it is an error

// This program again in a new process, as argv[1] = role, with the grants.
kpio_handle bench_spawn(const char *role, const struct process_grant *grants, uint32_t count);
void bench_reap(kpio_handle process);  // kills it and waits for its end
const struct archive *bench_archive(void);
