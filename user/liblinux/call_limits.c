// getrlimit, setrlimit, prlimit64.
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"

#define INFINITE UINT64_MAX
#define NOFILE_DEFAULT 1024u
#define PROCESSES 32768u

void lx_limits_default(struct lx_process *p) {
    static const struct lx_limit defaults[LX_LIMITS] = {
        {INFINITE, INFINITE},   // CPU time
        {INFINITE, INFINITE},   // size of files
        {INFINITE, INFINITE},   // data
        {8ull << 20, INFINITE}, // stack
        {0, INFINITE},          // core files
        {INFINITE, INFINITE},   // resident memory
        {PROCESSES, PROCESSES},
        {NOFILE_DEFAULT, LX_FD_LIMIT},
        {8ull << 20, 8ull << 20}, // locked memory
        {INFINITE, INFINITE},     // address space
        {INFINITE, INFINITE},     // file locks
        {PROCESSES, PROCESSES},   // signals that wait
        {819200, 819200},         // message queues
        {0, 0},                   // nice
        {0, 0},                   // real-time priority
        {INFINITE, INFINITE},     // real-time CPU time
    };
    for (unsigned i = 0; i < LX_LIMITS; i++) p->limits[i] = defaults[i];
}

struct lx_limit lx_limit_get(const struct lx_process *p, unsigned which) {
    struct lx_limit limit = p->limits[which];
    if (which == LX_RLIMIT_NOFILE) limit.current = p->files->limit;
    return limit;
}

// Anybody raises the most, as authority does not come from ids: but not for descriptors beyond what a table can have.
static int64_t set(struct lx_process *p, uint64_t which, uint64_t at) {
    struct lx_limit limit;
    int64_t error = lx_copy_in(&limit, at, sizeof limit);
    if (error != 0) return error;
    if (limit.current > limit.most) return -EINVAL;
    if (which == LX_RLIMIT_NOFILE && limit.most > LX_FD_LIMIT) return -EPERM;
    if (p->euid != 0 && limit.most > p->limits[which].most) return -EPERM;
    p->limits[which] = limit;
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

LX_CALL(getrlimit) { return (uint32_t)a0 >= LX_LIMITS ? -EINVAL : give(lx_process(t), (uint32_t)a0, a1); }
// ABI setrlimit: only the number of descriptors is enforced
LX_CALL(setrlimit) { return (uint32_t)a0 >= LX_LIMITS ? -EINVAL : set(lx_process(t), (uint32_t)a0, a1); }
// ABI prlimit64: of the calling process only; see setrlimit
LX_CALL(prlimit64) {
    struct lx_process *p = lx_process(t);
    const uint32_t pid = (uint32_t)a0, which = (uint32_t)a1;
    if (which >= LX_LIMITS) return -EINVAL;
    if (pid != 0 && pid != p->pid) return -ESRCH;
    const struct lx_limit old = lx_limit_get(p, which);
    int64_t error = a2 != 0 ? set(p, which, a2) : 0;
    return error == 0 && a3 != 0 ? lx_copy_out(a3, &old, sizeof old) : error;
}
