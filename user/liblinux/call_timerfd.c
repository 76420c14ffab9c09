// timerfd: a kernel timer on the monotonic clock. Which clock the program chose is in the timer's flags.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/time.h"

struct itimerspec {
    struct lx_timespec interval, value;
};

static int64_t timer_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (size < 8) return -EINVAL;
    int64_t fired = lx_block(t, SYS_timer_read, (uint64_t)fd->handle, 0, KPIO_TIME_NEVER, 0, 0, 0);
    if (fired < 0) return lx_wait_result(t, fired);
    int64_t error = lx_copy_out(buffer, &fired, sizeof fired);
    return error < 0 ? error : 8;
}

const struct lx_fd_ops lx_timer_ops = {.read = timer_read, .write = lx_no_transfer, .stat = lx_anonymous_stat, .status = lx_object_status};

// ABI timerfd_create: CLOCK_BOOTTIME and the alarm clocks are as the others
LX_CALL(timerfd_create) {
    const uint32_t flags = (uint32_t)a1;
    bool real = (uint32_t)a0 == LX_CLOCK_REALTIME || (uint32_t)a0 == LX_CLOCK_REALTIME_ALARM;
    bool monotonic =
        (uint32_t)a0 == LX_CLOCK_MONOTONIC || (uint32_t)a0 == LX_CLOCK_BOOTTIME || (uint32_t)a0 == LX_CLOCK_BOOTTIME_ALARM;
    if (flags & ~(LX_O_CLOEXEC | LX_O_NONBLOCK) || !(real || monotonic)) return -EINVAL;
    int64_t handle = kpio_timer_create();
    if (handle < 0) return handle;
    const struct lx_fd fd = {.kind = LX_KIND_TIMER,
                             .flags = LX_FD_READ | LX_FD_WRITE | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0),
                             .handle = (kpio_handle)handle};
    if (real) (void)lx_object_flags(fd.handle, 0, LX_TIMER_REAL);
    if (flags & LX_O_NONBLOCK) (void)lx_object_status(&fd, 0, LX_O_NONBLOCK);
    return lx_fd_install(lx_process(t), &fd, 0);
}

static int64_t find(struct lx_thread *t, uint64_t number, struct lx_fd *fd) {
    int64_t error = lx_fd_get(lx_process(t), number, fd);
    if (error != 0) return error;
    return fd->kind == LX_KIND_TIMER ? 0 : -EINVAL;
}

// The time left, and the period.
static int64_t left(const struct lx_fd *fd, struct itimerspec *out) {
    struct kpio_timer_info info;
    int64_t error = kpio_timer_info(fd->handle, &info);
    if (error < 0) return error;
    const uint64_t now = lx_now();
    uint64_t ns = 0;
    if (info.deadline != KPIO_TIME_NEVER) ns = info.deadline > now ? info.deadline - now : 1;  // armed: not 0
    *out = (struct itimerspec){.interval = lx_timespec(info.period), .value = lx_timespec(ns)};
    return 0;
}

LX_CALL(timerfd_gettime) {
    struct lx_fd fd;
    struct itimerspec now;
    int64_t error = find(t, a0, &fd);
    if (error == 0) error = left(&fd, &now);
    return error < 0 ? error : lx_copy_out(a1, &now, sizeof now);
}

enum { TFD_TIMER_ABSTIME = 1, TFD_TIMER_CANCEL_ON_SET = 2 };
// ABI timerfd_settime: the clock is never set, so TFD_TIMER_CANCEL_ON_SET cancels nothing
LX_CALL(timerfd_settime) {
    struct lx_fd fd;
    struct itimerspec fresh, old;
    uint64_t value, interval;
    if ((uint32_t)a1 & ~(uint32_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) return -EINVAL;
    int64_t error = lx_copy_in(&fresh, a2, sizeof fresh);
    if (error < 0) return error;
    if (!lx_timespec_ns(&fresh.value, &value) || !lx_timespec_ns(&fresh.interval, &interval)) return -EINVAL;
    error = find(t, a0, &fd);
    if (error == 0 && a3 != 0) error = left(&fd, &old);
    if (error < 0) return error;
    uint64_t deadline = KPIO_TIME_NEVER;
    if (value != 0 && (uint32_t)a1 & TFD_TIMER_ABSTIME)
        deadline = lx_deadline_at(value, lx_object_flags(fd.handle, 0, 0) & LX_TIMER_REAL);
    else if (value != 0) deadline = lx_now() + value;
    error = kpio_timer_set(fd.handle, deadline, interval);
    if (error == 0 && a3 != 0) error = lx_copy_out(a3, &old, sizeof old);
    return error;
}
