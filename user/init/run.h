// Runs one program to its end: a test suite or a benchmark. They get everything that init has.
#pragma once
#include "user/init/options.h"
#include "user/libkpio/process.h"

// Returns the program's exit status, or a negative errno when it could not be started (a message was printed).
int64_t run_program(const struct archive *archive, const char *path, const struct options *options);
// Whether it is an ELF file that can be started; prints what is wrong and where.
bool program_can_load(const struct program *program, const char *path);
