// What the C API of Wasmtime lacks.
#pragma once
#include <stdbool.h>
#include <wasmtime.h>

#ifdef WASMTIME_FEATURE_COMPILER
// Compiles a module or component into an artifact, without loading it: no executable memory is made. NULL and *artifact, which the caller
// deletes (wasm_byte_vec_delete), or an error.
wasmtime_error_t *kpio_wasmtime_precompile(const wasm_engine_t *engine, const uint8_t *data, size_t size, bool component,
                                           wasm_byte_vec_t *artifact);
#endif
