// heap_512m: all of a heap of 512 MiB is touched, then 16 M random accesses go through it.
#include <stdlib.h>

#include "tests/bench/wasm/apps/measure.h"

#define BYTES (512u << 20)
#define ACCESSES (16u << 20)

int main(void) {
    uint64_t before = measure_now();
    uint32_t *heap = malloc(BYTES);
    if (heap == NULL) return 1;
    for (uint32_t i = 0; i < BYTES / 4; i += 1024) heap[i] = i;
    uint64_t ready = measure_now();
    uint32_t at = 1, sum = 0;
    for (uint32_t i = 0; i < ACCESSES; i++) {
        at = at * 1664525u + 1013904223u;
        sum += heap[at >> 5]++;
    }
    uint64_t end = measure_now();
    measure_report("heap_512m_setup", ready - before, 1);
    measure_report("heap_512m", end - ready, ACCESSES);
    return sum == 1;  // so that it is needed
}
