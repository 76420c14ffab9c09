// start_aot_*, start_component_*: where the instructions of a start go. It is the host, linked with `--wrap` for each step; it ends where
// the program would begin, and says what each step took, page faults and system calls included.
#include "tests/bench/wasm/steps.h"

#include <kpio_wasmtime.h>
#include <unistd.h>

#include "user/wasmhost/engine.h"

static struct start_steps steps;

static uint64_t tsc(void) {
    uint32_t lo, hi;
    __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}

// A function that the host calls for a step, in place of it.
#define STEP(step, type, name, parameters, ...) \
    type __real_##name parameters;              \
    type __wrap_##name parameters;              \
    type __wrap_##name parameters {             \
        const uint64_t before = tsc();          \
        type result = __real_##name(__VA_ARGS__); \
        steps.step += tsc() - before;           \
        return result;                          \
    }

STEP(engine, wasm_engine_t *, engine_make, (enum compiler compiler, enum cpu_level level), compiler, level)
STEP(load, wasmtime_error_t *, wasmtime_module_deserialize_file, (wasm_engine_t * engine, const char *path, wasmtime_module_t **out),
     engine, path, out)
STEP(load, wasmtime_error_t *, wasmtime_component_deserialize_file,
     (const wasm_engine_t *engine, const char *path, wasmtime_component_t **out), engine, path, out)
STEP(define, wasmtime_error_t *, kpio_wasmtime_linker_define_wasi, (wasmtime_linker_t * linker, const wasmtime_module_t *module), linker,
     module)
STEP(define, wasmtime_error_t *, kpio_wasmtime_component_linker_define_wasi,
     (wasmtime_component_linker_t * linker, const wasmtime_component_t *component), linker, component)
STEP(instantiate, wasmtime_error_t *, wasmtime_linker_instantiate,
     (const wasmtime_linker_t *linker, wasmtime_context_t *context, const wasmtime_module_t *module, wasmtime_instance_t *instance,
      wasm_trap_t **trap),
     linker, context, module, instance, trap)
STEP(instantiate, wasmtime_error_t *, wasmtime_component_linker_instantiate,
     (const wasmtime_component_linker_t *linker, wasmtime_context_t *context, const wasmtime_component_t *component,
      wasmtime_component_instance_t *instance),
     linker, context, component, instance)

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);
int __wrap_main(int argc, char **argv) {
    steps.began = tsc();
    return __real_main(argc, argv);
}

[[gnu::noreturn]] static void end(void) {
    steps.ended = tsc();
    _exit(write(1, &steps, sizeof steps) == sizeof steps ? 0 : 1);
}

wasmtime_error_t *__wrap_wasmtime_func_call(void);
wasmtime_error_t *__wrap_wasmtime_func_call(void) { end(); }
wasmtime_error_t *__wrap_wasmtime_component_func_call(void);
wasmtime_error_t *__wrap_wasmtime_component_func_call(void) { end(); }
