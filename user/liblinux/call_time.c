// The calls that tell and wait for time. Timers: timer.c.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/time.h"

#define TICKS 100u  // per second, of times

struct timeval {
    int64_t seconds, microseconds;
};
static struct timeval timeval(uint64_t ns) {
    return (struct timeval){.seconds = (int64_t)(ns / LX_SECOND), .microseconds = (int64_t)(ns % LX_SECOND / 1000)};
}

// ---- telling ------------------------------------------------------------------------------------------------------------

LX_CALL(clock_gettime) {
    uint64_t ns;
    int64_t error = lx_clock_read(t, (int32_t)a0, &ns);
    if (error < 0) return error;
    const struct lx_timespec ts = lx_timespec(ns);
    return lx_copy_out(a1, &ts, sizeof ts);
}

LX_CALL(clock_getres) {
    uint64_t ns;
    int64_t error = lx_clock_read(t, (int32_t)a0, &ns);
    if (error < 0 || a1 == 0) return error;
    const struct lx_timespec ts = {.nanoseconds = 1};
    return lx_copy_out(a1, &ts, sizeof ts);
}

// ABI clock_settime: EPERM; the clock is the system's
LX_CALL(clock_settime) {
    uint64_t ns;
    int64_t error = (uint32_t)a0 == LX_CLOCK_REALTIME ? lx_timespec_in(a1, &ns) : -EINVAL;
    return error < 0 ? error : -EPERM;
}

LX_CALL(gettimeofday) {
    const struct timeval tv = timeval((uint64_t)kpio_clock_get(1));
    const uint64_t zone = 0;
    int64_t error = a0 != 0 ? lx_copy_out(a0, &tv, sizeof tv) : 0;
    return error == 0 && a1 != 0 ? lx_copy_out(a1, &zone, sizeof zone) : error;
}

LX_CALL(settimeofday) { return -EPERM; }

LX_CALL(time) {
    const int64_t seconds = kpio_clock_get(1) / (int64_t)LX_SECOND;
    int64_t error = a0 != 0 ? lx_copy_out(a0, &seconds, sizeof seconds) : 0;
    return error < 0 ? error : seconds;
}

// ABI times: all time counts as user time
LX_CALL(times) {
    const struct lx_process *p = lx_process(t);
    const int64_t words[4] = {
        [0] = (int64_t)(lx_process_cpu() / (LX_SECOND / TICKS)), [2] = (int64_t)(p->children_cpu / (LX_SECOND / TICKS))};
    int64_t error = a0 != 0 ? lx_copy_out(a0, words, sizeof words) : 0;
    return error < 0 ? error : (int64_t)(lx_now() / (LX_SECOND / TICKS));
}

// ABI getrusage: CPU time, as user time, and the largest memory, as what there is now
struct rusage {
    struct timeval user, system;
    int64_t max_kib, rest[13];
};
_Static_assert(sizeof(struct rusage) == 144, "ABI");
enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };
LX_CALL(getrusage) {
    const struct lx_process *p = lx_process(t);
    struct kpio_process_info info;
    struct rusage usage = {0};
    int64_t error = kpio_process_info(p->handle, &info);
    if (error < 0) return error;
    switch ((int32_t)a0) {
    case RUSAGE_SELF: usage.user = timeval(info.cpu_ns); break;
    case RUSAGE_CHILDREN: usage.user = timeval(p->children_cpu); break;
    case RUSAGE_THREAD: usage.user = timeval(lx_thread_cpu(t)); break;
    default: return -EINVAL;
    }
    if ((int32_t)a0 != RUSAGE_CHILDREN) usage.max_kib = (int64_t)info.pages * 4;
    return lx_copy_out(a1, &usage, sizeof usage);
}

// ---- waiting ------------------------------------------------------------------------------------------------------------

// What is left of a sleep that a signal ended goes to the program's timespec; the sleep goes on when there is no handler.
static int64_t sleep_for(struct lx_thread *t, uint64_t request, uint64_t remaining, uint64_t deadline) {
    if (lx_sleep(t, deadline) == -ETIMEDOUT) return 0;
    const uint64_t now = lx_now();
    const struct lx_timespec left = lx_timespec(deadline > now ? deadline - now : 0);
    int64_t error = remaining != 0 ? lx_copy_out(remaining, &left, sizeof left) : 0;
    return error < 0 ? error : -LX_RESTART_BLOCK;
}

LX_CALL(nanosleep) {
    uint64_t deadline;
    int64_t error = lx_deadline_after(t, a0, &deadline);
    return error < 0 ? error : sleep_for(t, a0, a1, deadline);
}

// A clock of CPU time runs at most as fast as the CPUs: sleeps for what is left, and looks again.
static int64_t sleep_cpu(struct lx_thread *t, int32_t clock, uint64_t until) {
    for (;;) {
        uint64_t now;
        int64_t error = lx_clock_read(t, clock, &now);
        if (error < 0 || now >= until) return error;
        if (lx_sleep(t, lx_now() + (until - now)) == -EINTR) return -EINTR;
    }
}

#define TIMER_ABSTIME 1u
LX_CALL(clock_nanosleep) {
    const int32_t clock = (int32_t)a0;
    uint64_t ns, deadline, now;
    int64_t error = lx_clock_read(t, clock, &now);
    if (error < 0) return error;
    bool cpu = clock == LX_CLOCK_PROCESS_CPUTIME || clock < 0;
    bool real = clock == LX_CLOCK_REALTIME || clock == LX_CLOCK_TAI;
    if (!cpu && !real && clock != LX_CLOCK_MONOTONIC && clock != LX_CLOCK_BOOTTIME) return -EOPNOTSUPP;
    error = lx_timespec_in(a2, &ns);
    if (error < 0) return error;
    if (cpu) return sleep_cpu(t, clock, a1 & TIMER_ABSTIME ? ns : now + ns);
    if (a1 & TIMER_ABSTIME) return lx_sleep(t, lx_deadline_at(ns, real)) == -ETIMEDOUT ? 0 : -LX_RESTART_NOHAND;
    error = lx_deadline_after(t, a2, &deadline);
    return error < 0 ? error : sleep_for(t, a2, a3, deadline);
}
