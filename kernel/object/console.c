#include "kernel/object/console.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/sched/sched.h"

static struct wait_queue readers;

// From the interrupt handler. The kernel takes interrupts only where it holds no lock.
static void console_notify(void) {
    spin_lock(&readers.lock);
    (void)wait_queue_wake_locked(&readers, 1, 0);
    spin_unlock(&readers.lock);
}

void console_init(void) {
    wait_queue_init(&readers, "console readers");
    arch_console_set_input(console_notify);
}

int64_t console_read(char *buffer, size_t size, nanos_t deadline) {
    for (;;) {
        spin_lock(&readers.lock);
        size_t got = arch_console_read(buffer, size);
        if (got > 0 || size == 0) {
            spin_unlock(&readers.lock);
            return (int64_t)got;
        }
        wait_queue_join_unlock(&readers, NULL, &readers);
        int64_t error = wait_block(deadline);
        if (error != 0) return error;
    }
}
