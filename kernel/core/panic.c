#include "kernel/core/panic.h"

#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/core/symbols.h"
#include "kernel/core/types.h"
#include "lib/fmt.h"

#define MAX_FRAMES 32
#define LOG_LINES 20

static void print_address(uint64_t address) {
    uint64_t offset;
    const char *name = symbol_find(address, &offset);
    if (name != NULL)
        log_error("    %#018lx %s+%#lx", address, name, offset);
    else
        log_error("    %#018lx", address);
}

void backtrace_print(uint64_t rip, uint64_t rbp) {
    if (rip != 0) print_address(rip);
    for (int i = 0; i < MAX_FRAMES && rbp % 8 == 0 && arch_stack_readable(rbp); i++) {
        const uint64_t *frame = (const uint64_t *)rbp;
        if (frame[1] == 0) break;
        print_address(frame[1]);
        if (frame[0] <= rbp) break;  // frames go up; anything else is a loop or garbage
        rbp = frame[0];
    }
}

void panic_at(const void *registers, uint64_t rip, uint64_t rbp, const char *format, va_list args) {
    static bool again;
    char text[256];
    uint64_t before = log_end();

    if (!arch_panic_begin()) arch_halt();
    if (__atomic_exchange_n(&again, true, __ATOMIC_ACQ_REL)) arch_exit(false);  // a fault while printing this
    fmt_vprint(text, sizeof(text), format, args);
    log_error("PANIC: %s", text);
    arch_panic_registers(registers);
    log_error("backtrace:");
    backtrace_print(rip, rbp);
    arch_console_write("last log lines:\n", 16);
    log_dump_tail(before, LOG_LINES);
    arch_exit(false);
}

void panic(const char *format, ...) {
    va_list args;
    va_start(args, format);
    panic_at(NULL, 0, (uint64_t)__builtin_frame_address(0), format, args);
}

void assert_fail(const char *expr, const char *file, int line) { panic("%s:%d: assertion failed: %s", file, line, expr); }

// Called by -fstack-protector when a function finds its canary changed.
[[gnu::noreturn]] void __stack_chk_fail(void);
void __stack_chk_fail(void) { panic("stack smashed in the caller of this"); }
