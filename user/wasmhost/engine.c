#define _GNU_SOURCE  // MAP_ANONYMOUS
#include "user/wasmhost/engine.h"

#include "user/wasmhost/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define FOR_HOST (1u << 20)  // of a stack, beside what the program may use

static size_t stack;  // 0: the default

void engine_set_stack(size_t bytes) { stack = bytes; }

static void must(wasmtime_error_t *error) {
    if (error == NULL) return;
    wasm_byte_vec_t text;
    wasmtime_error_message(error, &text);
    fprintf(stderr, "wasmhost: the engine: %.*s\n", (int)text.size, text.data);
    abort();
}

// The engine refuses one that is larger than its stacks for calls that wait, though none is made here.
static void set_stack(wasm_config_t *config) {
    wasmtime_config_async_stack_size_set(config, stack + FOR_HOST);
    wasmtime_config_max_wasm_stack_set(config, stack);
}

static void set_language(wasm_config_t *config, enum compiler compiler) {
    wasmtime_config_wasm_simd_set(config, true);
    wasmtime_config_wasm_multi_memory_set(config, true);
    wasmtime_config_wasm_memory64_set(config, true);
    wasmtime_config_shared_memory_set(config, compiler != COMPILER_PULLEY);
    if (compiler != COMPILER_PULLEY) wasmtime_config_wasm_threads_set(config, true);
    if (compiler == COMPILER_WINCH) return;
    wasmtime_config_wasm_tail_call_set(config, true);
    wasmtime_config_wasm_relaxed_simd_set(config, true);
    wasmtime_config_wasm_function_references_set(config, true);
    wasmtime_config_wasm_gc_set(config, true);
    wasmtime_config_wasm_exceptions_set(config, true);
}

#ifdef WASMTIME_FEATURE_COMPILER
// Naming the target takes away what was found on this processor.
static void set_level(wasm_config_t *config, enum cpu_level level) {
    static const struct {
        enum cpu_level from;
        const char *flag;
    } features[] = {
        {CPU_V2, "has_cmpxchg16b"}, {CPU_V2, "has_popcnt"}, {CPU_V2, "has_sse3"}, {CPU_V2, "has_sse41"}, {CPU_V2, "has_sse42"},
        {CPU_V2, "has_ssse3"}, {CPU_V3, "has_avx"}, {CPU_V3, "has_avx2"}, {CPU_V3, "has_bmi1"}, {CPU_V3, "has_bmi2"},
        {CPU_V3, "has_fma"}, {CPU_V3, "has_lzcnt"},
    };
    must(wasmtime_config_target_set(config, "x86_64-unknown-linux-gnu"));
    for (unsigned i = 0; i < sizeof features / sizeof features[0]; i++)
        if (features[i].from <= level) wasmtime_config_cranelift_flag_enable(config, features[i].flag);
}
#endif

wasm_engine_t *engine_make(enum compiler compiler, enum cpu_level level) {
    wasm_config_t *config = wasm_config_new();
    set_language(config, compiler);
    wasmtime_config_memory_init_cow_set(config, false);  // in compilers and hosts alike: memories of the pool have no image below them
    memory_configure(config);
    if (stack != 0) set_stack(config);
#ifdef WASMTIME_FEATURE_COMPILER
    if (compiler != COMPILER_PULLEY)
        wasmtime_config_strategy_set(config, compiler == COMPILER_WINCH ? WASMTIME_STRATEGY_WINCH : WASMTIME_STRATEGY_CRANELIFT);
    if (level != CPU_NATIVE) set_level(config, level);
#endif
    if (compiler == COMPILER_PULLEY) must(wasmtime_config_target_set(config, "pulley64"));
    return wasm_engine_new_with_config(config);
}

bool engine_may_compile(void) {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return false;
    bool may = mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
    munmap(page, 4096);
    return may;
}
