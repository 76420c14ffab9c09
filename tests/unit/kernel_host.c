// What kernel code finds below it when it runs as a host test: CPU blocks behind %gs, a log, panics. All weak: a test
// that wants another behaviour defines its own.
#include "tests/unit/kernel_host.h"

#include "kernel/core/assert.h"
#include "kernel/core/cpu.h"
#include "kernel/core/log.h"
#include "kernel/core/rcu.h"
#include "tests/unit/unit.h"

#include <asm/prctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define weak __attribute__((weak))

weak struct cpu cpus[CONFIG_MAX_CPUS];
weak uint32_t cpu_count = 1;

void unit_become_cpu(uint32_t id)
{
    cpus[id].self = &cpus[id];
    cpus[id].id = id;
    cpus[id].online = true;
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, &cpus[id]) != 0)
        abort();
}

__attribute__((constructor(101))) static void start_as_cpu_0(void) { unit_become_cpu(0); }

weak void log_write(enum log_level level, const char *format, ...) { (void)level, (void)format; }

// A fuzz target has no cases: its panics end the program, which is how libFuzzer learns of them.
weak void unit_panicked(const char *message)
{
    fprintf(stderr, "panic: %s\n", message);
    abort();
}

weak void panic(const char *format, ...)
{
    char message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    unit_panicked(message);
}

weak void assert_fail(const char *expr, const char *file, int line) { panic("%s (%s:%d)", expr, file, line); }

// One CPU at a time looks at what is freed here, so that the grace period is over at once.
weak void rcu_call(struct rcu_head *head, void (*free)(struct rcu_head *head)) { free(head); }
