// What the C API of Wasmtime lacks.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <wasmtime.h>

// Of one store; -1: no limit. What a module or component declares counts, not what it imports.
struct kpio_wasmtime_limits {
    int64_t memory_size, table_elements;  // bytes of each memory, elements of each table
    int64_t instances, tables, memories;  // how many are made
    bool trap_on_grow_failure;            // what cannot grow ends the program, which else is told
};
void kpio_wasmtime_store_limit(wasmtime_store_t *store, const struct kpio_wasmtime_limits *limits);

// Whether it is a trap, and not what a function of the host gave in place of an answer. The error stays the caller's.
bool kpio_wasmtime_error_is_trap(const wasmtime_error_t *error);

#ifdef WASMTIME_FEATURE_COMPILER
// Compiles a module or component into an artifact, without loading it: no executable memory is made. NULL and *artifact, which the caller
// deletes (wasm_byte_vec_delete), or an error.
wasmtime_error_t *kpio_wasmtime_precompile(const wasm_engine_t *engine, const uint8_t *data, size_t size, bool component,
                                           wasm_byte_vec_t *artifact);
#endif

// ---- WASI preview 1 for one module ----------------------------------------------------------------------------------------------

// What a program is granted, of a configuration, which is taken over. NULL and *wasi, or an error. It is to be the data of the program's
// store, with the second function as its finalizer.
wasmtime_error_t *kpio_wasmtime_wasi_new(wasi_config_t *config, void **wasi);
void kpio_wasmtime_wasi_delete(void *wasi);
// Defines those functions of wasi_snapshot_preview1 that the module imports; a name that it has not stays undefined. They are called in
// stores whose data is as above.
wasmtime_error_t *kpio_wasmtime_linker_define_wasi(wasmtime_linker_t *linker, const wasmtime_module_t *module);

// ---- WASI preview 2 for one component -------------------------------------------------------------------------------------------

// Defines those interfaces of WASI 0.2 that the component imports; others stay undefined. What is granted is the store's, as
// wasmtime_context_set_wasi sets it.
wasmtime_error_t *kpio_wasmtime_component_linker_define_wasi(wasmtime_component_linker_t *linker, const wasmtime_component_t *component);

// ---- memory -----------------------------------------------------------------------------------------------------------------------

// The program has to have these four functions (user/wasmhost/heap.h), from which the library takes all of its memory.
