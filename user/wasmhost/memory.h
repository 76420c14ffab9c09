// Linear memories out of the system's WASM pool. On a system without one (Linux) the engine maps them itself.
#pragma once
#include <stdint.h>
#include <wasmtime.h>

// Opens the program's account, under this name, for engines made from now on. Once, before the first of them.
void memory_open(const char *name, uint64_t limit);
// Lets an engine that is made of this configuration take its memories there, if there is an account.
void memory_configure(wasm_config_t *config);
