// The wall time that a program has.
#pragma once
#include <stdint.h>

// From now on the process ends, with a message and STATUS_TIMEOUT, when so many nanoseconds are over. False: no thread.
_Bool deadline_start(const char *file, uint64_t nanos);
