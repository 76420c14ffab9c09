#include "user/wasmhost/deadline.h"

#include "user/wasmhost/report.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define CPU_STEP 1000000ull  // between two looks at the CPU time, at least

static struct {
    const struct options *options;
    uint64_t end;  // CLOCK_MONOTONIC; UINT64_MAX: no wall time
} deadline;

static uint64_t now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t when) {
    const struct timespec t = {.tv_sec = (time_t)(when / SECOND), .tv_nsec = (long)(when % SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

// The process is the program's alone, so it goes as a whole, wherever the program is: in a loop, or in a call that waits. As many
// processors as there are may use its CPU time up: so half of what is left is waited for, again and again.
static void *watch(void *unused) {
    const struct options *o = deadline.options;
    for (;;) {
        uint64_t time = now(CLOCK_MONOTONIC), used = o->cpu_nanos != 0 ? now(CLOCK_PROCESS_CPUTIME_ID) : 0, next = deadline.end;
        if (time >= deadline.end) {
            report_text(o->file, "stopped: its time of %g s is over", (double)o->timeout_nanos / 1e9);
            _exit(STATUS_TIMEOUT);
        }
        if (o->cpu_nanos != 0 && used >= o->cpu_nanos) {
            report_text(o->file, "stopped: its CPU time of %g s is over", (double)o->cpu_nanos / 1e9);
            _exit(STATUS_TIMEOUT);
        }
        if (o->cpu_nanos != 0) {
            uint64_t left = (o->cpu_nanos - used) / 2, look = time + (left > CPU_STEP ? left : CPU_STEP);
            if (look < next) next = look;
        }
        sleep_until(next);
    }
    return unused;
}

bool deadline_start(const struct options *options) {
    pthread_t thread;
    deadline.options = options;
    deadline.end = options->timeout_nanos != 0 ? now(CLOCK_MONOTONIC) + options->timeout_nanos : UINT64_MAX;
    if (pthread_create(&thread, NULL, watch, NULL) != 0) return false;
    pthread_detach(thread);
    return true;
}
