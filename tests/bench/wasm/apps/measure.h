// What a program of the benchmark says about itself: instructions, since under the benchmark's QEMU a nanosecond is one.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline uint64_t measure_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// A line for tests/bench/wasm/bench.c's reader.
static inline void measure_report(const char *name, uint64_t nanos, uint64_t operations) {
    printf("{\"name\":\"%s\",\"ns\":%.1f}\n", name, (double)nanos / (double)operations);
}
