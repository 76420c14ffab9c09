// What goes wrong, in words on the error output.
#pragma once
#include <wasmtime.h>

// "wasmhost: FILE: ..." in one line. Takes error over.
void report_error(const char *file, wasmtime_error_t *error);
void report_text(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
// What ended the program, and the functions that it was in: the exit status. Takes error and trap over; one of them is NULL.
int report_end(const char *file, wasmtime_error_t *error, wasm_trap_t *trap);
