// What must hold. A broken invariant of the kernel's own panics; nothing that user space or a device sends may.
#pragma once
#include "kernel/core/config.h"

// Prints the message, registers, a symbolised backtrace and the last log lines, stops the other CPUs and leaves QEMU
// with a failure status. Any context.
[[gnu::noreturn]] void panic(const char *format, ...) __attribute__((format(printf, 1, 2), cold));

[[gnu::noreturn]] void assert_fail(const char *expr, const char *file, int line) __attribute__((cold));

// Checked in debug builds only.
#define assert(expr) ((void)(!CONFIG_DEBUG || (expr) || (assert_fail(#expr, __FILE__, __LINE__), 0)))
// Checked always: memory safety hangs on it.
#define verify(expr) ((void)(__builtin_expect(!!(expr), 1) || (assert_fail(#expr, __FILE__, __LINE__), 0)))
