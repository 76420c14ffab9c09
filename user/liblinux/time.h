// Time: clocks, deadlines, and how long to wait.
#pragma once
#include "abi/gen/stubs.h"
#include "user/liblinux/context.h"

enum {
    LX_CLOCK_REALTIME,
    LX_CLOCK_MONOTONIC,
    LX_CLOCK_PROCESS_CPUTIME,
    LX_CLOCK_THREAD_CPUTIME,
    LX_CLOCK_MONOTONIC_RAW,
    LX_CLOCK_REALTIME_COARSE,
    LX_CLOCK_MONOTONIC_COARSE,
    LX_CLOCK_BOOTTIME,
    LX_CLOCK_REALTIME_ALARM,
    LX_CLOCK_BOOTTIME_ALARM,
    LX_CLOCK_TAI = 11
};
#define LX_SECOND 1000000000ull

static inline uint64_t lx_now(void) { return (uint64_t)kpio_clock_get(0); }  // monotonic, ns
static inline uint64_t lx_realtime_offset(void) { return (uint64_t)kpio_clock_get(1) - lx_now(); }  // real time less monotonic
static inline struct lx_timespec lx_timespec(uint64_t ns) {
    return (struct lx_timespec){.seconds = (int64_t)(ns / LX_SECOND), .nanoseconds = (int64_t)(ns % LX_SECOND)};
}
// Nanoseconds of a timespec; what does not fit: INT64_MAX. False: it is none.
[[nodiscard]] bool lx_timespec_ns(const struct lx_timespec *ts, uint64_t *ns);
// Reads the program's timespec: 0, -EFAULT, -EINVAL.
[[nodiscard]] int64_t lx_timespec_in(uint64_t at, uint64_t *ns);
// The deadline that a relative timespec of the program means: of a call that goes on (LX_RESTART_BLOCK) the one it had.
[[nodiscard]] int64_t lx_deadline_after(struct lx_thread *t, uint64_t at, uint64_t *deadline);
// The deadline of an absolute time on CLOCK_MONOTONIC or, `real`, CLOCK_REALTIME.
uint64_t lx_deadline_at(uint64_t ns, bool real);
// Sleeps until a time or a signal: -ETIMEDOUT or -EINTR.
[[nodiscard]] int64_t lx_sleep(struct lx_thread *t, uint64_t deadline);
// The time of a clock: 0, -EINVAL (no such clock).
[[nodiscard]] int64_t lx_clock_read(struct lx_thread *t, int32_t clock, uint64_t *ns);
uint64_t lx_process_cpu(void);  // of the calling thread's process
uint64_t lx_thread_cpu(const struct lx_thread *t);
