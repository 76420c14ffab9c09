// prctl: what concerns the thread and the process themselves.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"

enum {
    PR_SET_PDEATHSIG = 1,
    PR_GET_PDEATHSIG,
    PR_GET_DUMPABLE,
    PR_SET_DUMPABLE,
    PR_SET_NAME = 15,
    PR_GET_NAME,
    PR_GET_SECCOMP = 21,
    PR_CAPBSET_READ = 23,
    PR_SET_TIMERSLACK = 29,
    PR_GET_TIMERSLACK,
    PR_SET_NO_NEW_PRIVS = 38,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_TID_ADDRESS
};
#define CAPABILITIES 41u
#define SLACK 50000

static int64_t set_name(struct lx_thread *t, uint64_t at) {
    char name[16] = {0};
    int64_t length = lx_copy_string(name, at, sizeof name - 1);
    if (length < 0) return length;
    memset(name + length, 0, sizeof name - (size_t)length);
    memcpy(t->name, name, sizeof name);
    if (t->tid == lx_process(t)->pid) memcpy(lx_process(t)->name, name, sizeof name);
    return 0;
}

static int64_t give_int(uint64_t at, int32_t value) { return lx_copy_out(at, &value, sizeof value); }

// ABI prctl: names, no_new_privs, dumpable, the parent's death signal (kept, not sent), timer slack (told); all else EINVAL
LX_CALL(prctl) {
    struct lx_process *p = lx_process(t);
    switch ((uint32_t)a0) {
    case PR_SET_NAME: return set_name(t, a1);
    case PR_GET_NAME: return lx_copy_out(a1, t->name, sizeof t->name);
    case PR_SET_PDEATHSIG:
        if (a1 > LX_SIGNALS) return -EINVAL;
        p->death_signal = (uint8_t)a1;
        return 0;
    case PR_GET_PDEATHSIG: return give_int(a1, p->death_signal);
    case PR_GET_DUMPABLE: return !p->undumpable;
    case PR_SET_DUMPABLE:
        if (a1 > 1) return -EINVAL;
        p->undumpable = a1 == 0;
        return 0;
    case PR_GET_SECCOMP: return 0;
    case PR_CAPBSET_READ: return a1 < CAPABILITIES ? 1 : -EINVAL;
    case PR_SET_TIMERSLACK: return 0;
    case PR_GET_TIMERSLACK: return SLACK;
    case PR_SET_NO_NEW_PRIVS:
        if (a1 != 1 || a2 != 0 || a3 != 0 || a4 != 0) return -EINVAL;
        p->no_new_privileges = true;
        return 0;
    case PR_GET_NO_NEW_PRIVS: return a1 != 0 || a2 != 0 || a3 != 0 || a4 != 0 ? -EINVAL : p->no_new_privileges;
    case PR_GET_TID_ADDRESS: return lx_copy_out(a1, &t->clear_tid, sizeof t->clear_tid);
    default: return -EINVAL;
    }
}
