// The compiler's process: it reads one module and writes one artifact, and has no other right.
#pragma once
#include "abi/gen/stubs.h"

#define COMPILE_TEXT_MAX 512u

// From module (a file to read) to artifact (a file to write), both the caller's, for this processor (wasmc's --cpu). 0, or a negative
// errno and in text, terminated, what to tell a person: -ENOENT where there is no compiler, -EINVAL where it refuses the module,
// -ETIMEDOUT.
[[nodiscard]] int64_t compile_module(const char *cpu, kpio_handle module, kpio_handle artifact, char text[COMPILE_TEXT_MAX]);
