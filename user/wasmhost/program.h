// A program in the engine: loaded, given what it was granted, run.
#pragma once
#include "user/wasmhost/file.h"
#include "user/wasmhost/options.h"

#include <wasmtime.h>

struct program {
    const char *file;
    wasm_engine_t *engine;
    wasmtime_module_t *module;        // or
    wasmtime_component_t *component;
};

// False with a message. Where the file does not suit the mode, that is said, and what would.
bool program_load(const struct options *options, const struct whole_file *file, struct program *out);
// Runs it to its end: the exit status. Its trap or error has been reported.
int program_run(struct program *program, const struct options *options);
void program_end(struct program *program);
