// Exceptions of the running thread: faults, and interrupts from holders of its handle.
#pragma once
#include <stdbool.h>

#include "abi/gen/stubs.h"

// Runs on the exception stack with the state of the thread in *frame, which it may change. Returns true to resume from the
// frame; false ends the process as if nobody had handled it (KPIO_STATUS_FAULT - kind).
typedef bool exception_handler(struct kpio_exception_frame *frame, void *context);

// For the calling thread; a stack of its own, at least 16 KiB. NULL as handler: no longer.
[[nodiscard]] int exception_set(exception_handler *handler, void *context, void *stack, uint64_t stack_size);
