#include "user/liblinux/time.h"

#include "abi/gen/errors.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/lock.h"

bool lx_timespec_ns(const struct lx_timespec *ts, uint64_t *ns) {
    if (ts->seconds < 0 || (uint64_t)ts->nanoseconds >= LX_SECOND) return false;
    bool fits = (uint64_t)ts->seconds < INT64_MAX / LX_SECOND;
    *ns = fits ? (uint64_t)ts->seconds * LX_SECOND + (uint64_t)ts->nanoseconds : INT64_MAX;
    return true;
}

int64_t lx_timespec_in(uint64_t at, uint64_t *ns) {
    struct lx_timespec ts;
    int64_t error = lx_copy_in(&ts, at, sizeof ts);
    if (error < 0) return error;
    return lx_timespec_ns(&ts, ns) ? 0 : -EINVAL;
}

int64_t lx_deadline_after(struct lx_thread *t, uint64_t at, uint64_t *deadline) {
    uint64_t ns;
    int64_t error = lx_timespec_in(at, &ns);
    if (error < 0) return error;
    if (!t->restarting) t->restart_deadline = ns == 0 ? 0 : lx_now() + ns;  // 0: the kernel only looks
    t->restarting = false;
    *deadline = t->restart_deadline;
    return 0;
}

uint64_t lx_deadline_at(uint64_t ns, bool real) {
    if (!real) return ns;
    uint64_t offset = lx_realtime_offset();
    return ns > offset ? ns - offset : 0;
}

int64_t lx_sleep(struct lx_thread *t, uint64_t deadline) {
    int64_t result;
    // Nobody wakes this word: in_use stays 1 while the thread runs.
    do result = lx_block(t, SYS_futex_wait, (uint64_t)&t->in_use, 1, UINT32_MAX, deadline, 0, 0);
    while (result != -ETIMEDOUT && result != -EINTR);
    return result;
}

// ---- clocks -------------------------------------------------------------------------------------------------------------

uint64_t lx_process_cpu(void) { return (uint64_t)kpio_clock_get(2); }

uint64_t lx_thread_cpu(const struct lx_thread *t) {
    struct kpio_thread_info info;
    return kpio_thread_info(t->handle, &info) < 0 ? 0 : info.cpu_ns;
}

// Clocks of a process or thread by number: ~id << 3, then 4 for a thread, then what is counted (2: all time of the CPU).
static int64_t read_dynamic(struct lx_thread *t, int32_t clock, uint64_t *ns) {
    struct lx_process *p = lx_process(t);
    const uint32_t id = ~(uint32_t)(clock >> 3);
    int64_t result = -EINVAL;
    if ((clock & 3) == 3) return -EINVAL;
    if (!(clock & 4)) {
        if (id != 0 && id != p->pid) return -EINVAL;
        *ns = lx_process_cpu();
        return 0;
    }
    lx_lock(&p->signal_lock);
    list_for_each(node, &p->threads) {
        const struct lx_thread *other = container_of(node, struct lx_thread, node);
        if (id == 0 ? other != t : other->tid != id) continue;
        *ns = lx_thread_cpu(other);
        result = 0;
        break;
    }
    lx_unlock(&p->signal_lock);
    return result;
}

int64_t lx_clock_read(struct lx_thread *t, int32_t clock, uint64_t *ns) {
    switch (clock) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_REALTIME_COARSE:
    case LX_CLOCK_REALTIME_ALARM:
    case LX_CLOCK_TAI: *ns = (uint64_t)kpio_clock_get(1); return 0;
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_MONOTONIC_COARSE:
    case LX_CLOCK_BOOTTIME:
    case LX_CLOCK_BOOTTIME_ALARM: *ns = lx_now(); return 0;
    case LX_CLOCK_PROCESS_CPUTIME: *ns = lx_process_cpu(); return 0;
    case LX_CLOCK_THREAD_CPUTIME: *ns = (uint64_t)kpio_clock_get(3); return 0;
    default: return clock < 0 ? read_dynamic(t, clock, ns) : -EINVAL;
    }
}
