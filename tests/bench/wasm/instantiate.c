// instantiate_warm: one instance of an artifact made and dropped in a host that runs, without a WASI context.
#include "user/wasmhost/engine.h"
#include "user/wasmhost/memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lib/bench_mark.h"

enum { SAMPLES = 15, BATCH = 100, MARK = 100 };

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void make_and_drop(wasm_engine_t *engine, const wasmtime_module_t *module) {
    wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
    wasmtime_instance_t instance;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = wasmtime_instance_new(wasmtime_store_context(store), module, NULL, 0, &instance, &trap);
    if (error != NULL || trap != NULL) {
        printf("{\"name\":\"instantiate_warm\",\"error\":\"no instance\"}\n");
        exit(1);
    }
    wasmtime_store_delete(store);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    uint64_t found[SAMPLES];
    wasmtime_module_t *module;
    memory_open("instantiate", UINT64_MAX);
    wasm_engine_t *engine = engine_make(COMPILER_CRANELIFT, CPU_NATIVE);
    wasmtime_error_t *error = wasmtime_module_deserialize_file(engine, argc > 1 ? argv[1] : "", &module);
    if (error != NULL) {
        printf("{\"name\":\"instantiate_warm\",\"error\":\"no artifact\"}\n");
        return 1;
    }
    for (int i = 0; i < BATCH; i++) make_and_drop(engine, module);
    bench_mark_begin();
    for (int sample = 0; sample < SAMPLES; sample++) {
        uint64_t before = now();
        for (int i = 0; i < BATCH; i++) make_and_drop(engine, module);
        found[sample] = now() - before;
    }
    bench_mark_end();
    bench_mark_report(MARK, SAMPLES * BATCH);
    qsort(found, SAMPLES, sizeof found[0], by_value);
    const double middle = (double)found[SAMPLES / 2] / BATCH, least = (double)found[0] / BATCH, most = (double)found[SAMPLES - 1] / BATCH;
    printf("{\"name\":\"instantiate_warm\",\"ns\":%.1f,\"min\":%.1f,\"max\":%.1f,\"n\":%d,\"mark\":%d}\n", middle, least, most, SAMPLES,
           MARK);
    return 0;
}
