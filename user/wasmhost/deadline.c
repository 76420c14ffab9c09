#include "user/wasmhost/deadline.h"

#include "user/wasmhost/options.h"
#include "user/wasmhost/report.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *file;
    double seconds;
    struct timespec end;
} deadline;

// The process is the program's alone, so it goes as a whole, wherever the program is: in a loop, or in a call that waits.
static void *watch(void *unused) {
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline.end, NULL) == EINTR) continue;
    report_text(deadline.file, "stopped: its time of %g s is over", deadline.seconds);
    _exit(STATUS_TIMEOUT);
    return unused;
}

_Bool deadline_start(const char *file, uint64_t nanos) {
    pthread_t thread;
    deadline.file = file;
    deadline.seconds = (double)nanos / 1e9;
    clock_gettime(CLOCK_MONOTONIC, &deadline.end);
    nanos += (uint64_t)deadline.end.tv_nsec;
    deadline.end.tv_sec += (time_t)(nanos / 1000000000u);
    deadline.end.tv_nsec = (long)(nanos % 1000000000u);
    if (pthread_create(&thread, NULL, watch, NULL) != 0) return 0;
    pthread_detach(thread);
    return 1;
}
