// The boot console as a terminal.
#include "lib/util.h"
#include "user/posixd/posixd.h"

static struct thread thread;

void tty_emit(const uint8_t *bytes, uint32_t count) {
    const kpio_handle console = startup_handle("console");
    if (console > 0) (void)kpio_console_write(console, bytes, count);
}

static int64_t run(void *arg) {
    for (;;) {
        uint8_t bytes[64];
        int64_t count = kpio_console_read(startup_handle("console"), bytes, sizeof bytes, KPIO_TIME_NEVER);
        if (count < 0 && count != -EINTR) return count;
        mutex_lock(&state_lock);
        if (count > 0) (void)tty_input(&state->ttys[0], bytes, (uint32_t)count);
        mutex_unlock(&state_lock);
    }
}

int console_start(void) { return thread_spawn(&thread, "console", run, NULL, NULL, 0); }
