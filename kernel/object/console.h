// Waiting for what is typed on the boot console.
#pragma once
#include "kernel/core/types.h"

void console_init(void);
// Takes up to size typed bytes, waits for the first. The count, or -ETIMEDOUT, -EINTR, -ECANCELED.
int64_t console_read(char *buffer, size_t size, nanos_t deadline);
