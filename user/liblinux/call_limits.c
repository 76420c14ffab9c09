// getrlimit, setrlimit, prlimit64, and what follows from limits.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/timer.h"

#define NOFILE_DEFAULT 1024u
#define PROCESSES 32768u

void lx_limits_default(struct lx_process *p) {
    static const struct lx_limit defaults[LX_LIMITS] = {
        {LX_UNLIMITED, LX_UNLIMITED},   // CPU time
        {LX_UNLIMITED, LX_UNLIMITED},   // size of files
        {LX_UNLIMITED, LX_UNLIMITED},   // data
        {8ull << 20, LX_UNLIMITED}, // stack
        {0, LX_UNLIMITED},          // core files
        {LX_UNLIMITED, LX_UNLIMITED},   // resident memory
        {PROCESSES, PROCESSES},
        {NOFILE_DEFAULT, LX_FD_LIMIT},
        {8ull << 20, 8ull << 20}, // locked memory
        {LX_UNLIMITED, LX_UNLIMITED},     // address space
        {LX_UNLIMITED, LX_UNLIMITED},     // file locks
        {LX_SIGNALS_QUEUED, LX_SIGNALS_QUEUED},
        {819200, 819200},         // message queues
        {0, 0},                   // nice
        {0, 0},                   // real-time priority
        {LX_UNLIMITED, LX_UNLIMITED},     // real-time CPU time
    };
    for (unsigned i = 0; i < LX_LIMITS; i++) p->limits[i] = defaults[i];
}

void lx_limit_lower(struct lx_process *p, unsigned which, uint64_t most) {
    struct lx_limit *limit = &p->limits[which];
    limit->most = MIN(limit->most, most);
    limit->current = MIN(limit->current, most);
}

struct lx_limit lx_limit_get(const struct lx_process *p, unsigned which) {
    struct lx_limit limit = p->limits[which];
    if (which == LX_RLIMIT_NOFILE) limit.current = p->files->limit;
    return limit;
}

// Anybody raises the most, as authority does not come from ids: but not for descriptors beyond what a table can have.
static int64_t set(struct lx_thread *t, uint64_t which, uint64_t at) {
    struct lx_process *p = lx_process(t);
    struct lx_limit limit;
    int64_t error = lx_copy_in(&limit, at, sizeof limit);
    if (error != 0) return error;
    if (limit.current > limit.most) return -EINVAL;
    if (which == LX_RLIMIT_NOFILE && limit.most > LX_FD_LIMIT) return -EPERM;
    if (p->euid != 0 && limit.most > p->limits[which].most) return -EPERM;
    p->limits[which] = limit;
    if (which == LX_RLIMIT_CPU) return lx_timers_limit(p);
    if (which == LX_RLIMIT_NPROC) p->processes_limited = true;
    if (which == LX_RLIMIT_SIGPENDING) {
        lx_lock(&p->signal_lock);
        lx_signals_look_for_room_locked(p);
        lx_unlock(&p->signal_lock);
    }
    if (which != LX_RLIMIT_NOFILE) return 0;
    lx_lock(&p->files_lock);
    p->files->limit = (uint32_t)limit.current;
    lx_unlock(&p->files_lock);
    return 0;
}

static int64_t give(const struct lx_process *p, uint64_t which, uint64_t at) {
    const struct lx_limit limit = lx_limit_get(p, (unsigned)which);
    return lx_copy_out(at, &limit, sizeof limit);
}

// ---- memory -------------------------------------------------------------------------------------------------------------------

struct range {
    uint64_t start, size, flags;
};

// What is mapped: all of it, or what is the process's own to write. Of the break as far as it has come.
static uint64_t mapped(const struct lx_space *space, bool data) {
    const uint32_t kind = KPIO_MAP_WRITE | KPIO_MAP_LOCAL_SHARE;
    struct range r;
    uint64_t bytes = 0;
    for (uint64_t at = 0; kpio_aspace_query(space->aspace, at, (uint64_t *)&r, sizeof r / 8) >= 0; at = r.start + r.size) {
        const bool counts = !data || (r.flags & kind) == KPIO_MAP_WRITE;
        const bool is_break = r.start >= space->brk_start && r.start < space->brk_end;
        if (counts) bytes += is_break ? space->brk > r.start ? MIN(space->brk - r.start, r.size) : 0 : r.size;
    }
    return bytes;
}

static bool fits(uint64_t bytes, uint64_t more, uint64_t limit) { return bytes <= limit && more <= limit - bytes; }

bool lx_limit_memory(struct lx_thread *t, uint64_t more, bool data) {
    const struct lx_limit *limits = lx_process(t)->limits;
    const uint64_t all = limits[LX_RLIMIT_AS].current, own = limits[LX_RLIMIT_DATA].current;
    if (all != LX_UNLIMITED && !fits(mapped(lx_space(t), false), more, all)) return false;
    return !data || own == LX_UNLIMITED || fits(mapped(lx_space(t), true), more, own);
}

// ---- files --------------------------------------------------------------------------------------------------------------------

int64_t lx_limit_size(struct lx_thread *t, uint64_t size) {
    const uint64_t limit = lx_process(t)->limits[LX_RLIMIT_FSIZE].current;
    if (limit == LX_UNLIMITED || size <= limit) return 0;
    lx_signal_raise(t, LX_SIGXFSZ);
    return -EFBIG;
}

int64_t lx_limit_write(struct lx_thread *t, kpio_handle file, int64_t offset, bool append, uint64_t *size) {
    const uint64_t limit = lx_process(t)->limits[LX_RLIMIT_FSIZE].current;
    struct kpio_stat stat;
    if (limit == LX_UNLIMITED || *size == 0) return 0;
    const int64_t flags = append ? KPIO_OPEN_APPEND : kpio_file_flags(file, 0, 0);
    int64_t at = offset != KPIO_OFFSET_CURRENT ? offset : kpio_file_seek(file, 0, KPIO_SEEK_CURRENT);
    if (flags > 0 && flags & KPIO_OPEN_APPEND && (at = kpio_path_stat(file, NULL, 0, &stat)) == 0) at = (int64_t)stat.size;
    if (at < 0) return at;
    if ((uint64_t)at >= limit) return lx_limit_size(t, LX_UNLIMITED);
    *size = MIN(*size, limit - (uint64_t)at);
    return 0;
}

// ---- processes ----------------------------------------------------------------------------------------------------------------

int64_t lx_limit_process(struct lx_thread *t) {
    const struct lx_process *p = lx_process(t);
    const uint64_t limit = p->limits[LX_RLIMIT_NPROC].current;
    if (likely(!p->processes_limited) || p->uid == 0 || p->euid == 0 || limit == LX_UNLIMITED) return 0;
    const int64_t threads = lx_posix_count(t);
    return (threads < 0 ? p->thread_count : (uint64_t)threads) < limit ? 0 : -EAGAIN;
}

// ---- calls --------------------------------------------------------------------------------------------------------------------

LX_CALL(getrlimit) { return (uint32_t)a0 >= LX_LIMITS ? -EINVAL : give(lx_process(t), (uint32_t)a0, a1); }
// ABI setrlimit: enforced are AS, CPU, DATA, FSIZE, NOFILE, NPROC, SIGPENDING, STACK; memory is bounded by the job
LX_CALL(setrlimit) { return (uint32_t)a0 >= LX_LIMITS ? -EINVAL : set(t, (uint32_t)a0, a1); }
// ABI prlimit64: of the calling process only; see setrlimit
LX_CALL(prlimit64) {
    struct lx_process *p = lx_process(t);
    const uint32_t pid = (uint32_t)a0, which = (uint32_t)a1;
    if (which >= LX_LIMITS) return -EINVAL;
    if (pid != 0 && pid != p->pid) return -ESRCH;
    const struct lx_limit old = lx_limit_get(p, which);
    int64_t error = a2 != 0 ? set(t, which, a2) : 0;
    return error == 0 && a3 != 0 ? lx_copy_out(a3, &old, sizeof old) : error;
}
