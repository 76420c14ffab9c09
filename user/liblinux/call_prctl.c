// prctl: what concerns the thread and the process themselves.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/unserved.h"

enum {
    PR_SET_PDEATHSIG = 1,
    PR_GET_PDEATHSIG,
    PR_GET_DUMPABLE,
    PR_SET_DUMPABLE,
    PR_GET_KEEPCAPS = 7,
    PR_SET_KEEPCAPS,
    PR_GET_TIMING = 13,
    PR_SET_TIMING,
    PR_SET_NAME = 15,
    PR_GET_NAME,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_CAPBSET_DROP,
    PR_GET_TSC,
    PR_SET_TSC,
    PR_GET_SECUREBITS = 27,
    PR_SET_SECUREBITS,
    PR_SET_TIMERSLACK,
    PR_GET_TIMERSLACK,
    PR_TASK_PERF_EVENTS_DISABLE = 31,
    PR_TASK_PERF_EVENTS_ENABLE,
    PR_SET_CHILD_SUBREAPER = 36,
    PR_GET_CHILD_SUBREAPER,
    PR_SET_NO_NEW_PRIVS,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_TID_ADDRESS,
    PR_SET_THP_DISABLE,
    PR_GET_THP_DISABLE,
    PR_CAP_AMBIENT = 47
};
#define CAPABILITIES 41u
#define SLACK 50000
#define TSC_ENABLE 1

static int64_t set_name(struct lx_thread *t, uint64_t at) {
    char name[16] = {0};
    int64_t length = lx_copy_string(name, at, sizeof name - 1);
    if (length < 0) return length;
    memset(name + length, 0, sizeof name - (size_t)length);
    memcpy(t->name, name, sizeof name);
    if (t->tid != lx_process(t)->pid) return 0;
    memcpy(lx_process(t)->name, name, sizeof name);
    lx_posix_attach(t, lx_process(t)->mail_thread);
    return 0;
}

enum { AMBIENT_IS_SET = 1, AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR };
static int64_t ambient(uint64_t what, uint64_t capability) {
    if (what == AMBIENT_CLEAR) return capability != 0 ? -EINVAL : 0;
    if (what < AMBIENT_IS_SET || what > AMBIENT_LOWER || capability >= CAPABILITIES) return -EINVAL;
    return what == AMBIENT_RAISE ? -EPERM : 0;
}

static int64_t give_int(uint64_t at, int32_t value) { return lx_copy_out(at, &value, sizeof value); }

// ABI prctl: of dumpable and slack the value only; the death signal comes with the parent process's end; capabilities are forgotten
LX_CALL(prctl) {
    struct lx_process *p = lx_process(t);
    switch ((uint32_t)a0) {
    case PR_SET_NAME: return set_name(t, a1);
    case PR_GET_NAME: return lx_copy_out(a1, t->name, sizeof t->name);
    case PR_SET_PDEATHSIG:
        if (a1 > LX_SIGNALS) return -EINVAL;
        p->death_signal = (uint8_t)a1;
        return lx_posix_care(t);
    case PR_GET_PDEATHSIG: return give_int(a1, p->death_signal);
    case PR_GET_DUMPABLE: return !p->undumpable;
    case PR_SET_DUMPABLE:
        if (a1 > 1) return -EINVAL;
        p->undumpable = a1 == 0;
        return 0;
    case PR_GET_SECCOMP:
    case PR_GET_SECUREBITS:
    case PR_GET_TIMING:
    case PR_TASK_PERF_EVENTS_DISABLE:
    case PR_TASK_PERF_EVENTS_ENABLE: return 0;
    case PR_SET_TIMING: return a1 != 0 ? -EINVAL : 0;
    case PR_GET_TSC: return give_int(a1, TSC_ENABLE);
    case PR_SET_TSC: return a1 == TSC_ENABLE ? 0 : -EINVAL;
    case PR_SET_CHILD_SUBREAPER: p->reaper = a1 != 0; return lx_posix_care(t);
    case PR_GET_CHILD_SUBREAPER: return give_int(a1, p->reaper);
    case PR_GET_KEEPCAPS: return p->keep_capabilities;
    case PR_SET_KEEPCAPS:
        if (a1 > 1) return -EINVAL;
        p->keep_capabilities = a1 != 0;
        return 0;
    case PR_GET_THP_DISABLE: return a1 != 0 || a2 != 0 || a3 != 0 || a4 != 0 ? -EINVAL : p->no_huge_pages;
    case PR_SET_THP_DISABLE:
        if (a2 != 0 || a3 != 0 || a4 != 0) return -EINVAL;
        p->no_huge_pages = a1 != 0;
        return 0;
    case PR_CAPBSET_READ: return a1 < CAPABILITIES ? 1 : -EINVAL;
    case PR_CAPBSET_DROP: return p->euid != 0 ? -EPERM : a1 < CAPABILITIES ? 0 : -EINVAL;
    case PR_SET_SECUREBITS: return p->euid != 0 ? -EPERM : 0;
    case PR_CAP_AMBIENT: return ambient(a1, a2);
    case PR_SET_TIMERSLACK: t->slack = (int64_t)a1 <= 0 ? 0 : a1; return 0;
    case PR_GET_TIMERSLACK: return t->slack != 0 ? (int64_t)t->slack : SLACK;
    case PR_SET_NO_NEW_PRIVS:
        if (a1 != 1 || a2 != 0 || a3 != 0 || a4 != 0) return -EINVAL;
        p->no_new_privileges = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS: return a1 != 0 || a2 != 0 || a3 != 0 || a4 != 0 ? -EINVAL : p->no_new_privileges;
    case PR_GET_TID_ADDRESS: return lx_copy_out(a1, &t->clear_tid, sizeof t->clear_tid);
    default: return lx_unserved_use(t, -EINVAL);
    }
}
