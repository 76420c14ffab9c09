// What the log says about a process that a fault ended.
#pragma once
#include "kernel/object/process.h"

// Logs kind, place, registers and what is mapped around. `why`: more, or NULL. From the faulting thread.
void crash_report(struct thread_object *t, const struct trap_frame *frame, uint64_t kind, uint64_t address,
                  const char *why);
// A name for enum kpio_exception or a CPU vector.
const char *crash_kind_name(uint64_t kind);
