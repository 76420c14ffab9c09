// How a panic prints; used by panic() and by the trap code for faults in the kernel.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

// Prints the message, `registers` (an arch trap frame, or NULL: the current ones), the backtrace from rip and rbp, the
// last log lines; stops the other CPUs first, leaves QEMU with a failure status at the end.
[[gnu::noreturn]] void panic_at(const void *registers, uint64_t rip, uint64_t rbp, const char *format, va_list args);

// Prints the calls that led here, innermost first.
void backtrace_print(uint64_t rip, uint64_t rbp);

// Provided by arch: stops all other CPUs for good; returns false when a panic is already under way on another CPU.
bool arch_panic_begin(void);
// Provided by arch: logs the registers of a trap frame, or the current ones when NULL.
void arch_panic_registers(const void *registers);
// Provided by arch: whether 16 bytes at a kernel address can be read.
bool arch_stack_readable(uint64_t address);
// Provided by arch: leaves QEMU with this status, or switches the machine off.
[[gnu::noreturn]] void arch_exit(bool success);
// Provided by arch.
[[gnu::noreturn]] void arch_halt(void);
