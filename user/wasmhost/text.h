// WebAssembly as text (.wat), where the engine has compilers.
#pragma once
#include "user/wasmhost/file.h"

#include <wasmtime.h>

// The text as the module or component that it is: *out lies in *binary, which the caller deletes (wasm_byte_vec_delete). False with a
// message.
bool text_read(const char *name, const struct whole_file *text, wasm_byte_vec_t *binary, struct whole_file *out);
