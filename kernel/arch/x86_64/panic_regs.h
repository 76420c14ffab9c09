// Panics with a trap frame.
#pragma once
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/panic.h"

[[gnu::noreturn]] void panic_trap(const struct trap_frame *frame, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));
