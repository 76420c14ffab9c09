// Priorities of input and output: kept and told. No disk orders its requests by them.
#include "protocols/gen/posix.h"
#include "user/liblinux/call.h"
#include "user/liblinux/posix.h"

enum { WHO_PROCESS = 1, WHO_GROUP, WHO_USER };
enum { CLASS_NONE, CLASS_REAL_TIME, CLASS_BEST_EFFORT, CLASS_IDLE };
#define CLASS_SHIFT 13u
#define LEVELS      8u

// Whether `who` names the caller, among others; -ESRCH: it names nobody.
static int64_t find(struct lx_thread *t, uint32_t which, uint32_t who, bool *own) {
    const struct lx_process *p = lx_process(t);
    struct lx_ids ids, caller;
    *own = who == 0;
    if (which != WHO_PROCESS && which != WHO_GROUP && which != WHO_USER) return -EINVAL;
    if (who == 0) return 0;
    if (which == WHO_USER) {
        *own = who == p->uid;
        return *own ? 0 : -ESRCH;
    }
    if (which == WHO_PROCESS) {
        *own = who == p->pid || who == t->tid;
        return *own || lx_posix_look(t, who) != NULL ? 0 : -ESRCH;
    }
    int64_t error = lx_posix_ids(t, 0, &caller);
    *own = error == 0 && caller.group == who;
    return *own ? 0 : lx_posix_ids(t, who, &ids) != 0 || ids.group != who ? -ESRCH : 0;
}

static int64_t check(const struct lx_process *p, uint32_t priority) {
    const uint32_t class_ = priority >> CLASS_SHIFT, level = priority & ((1u << CLASS_SHIFT) - 1);
    switch (class_) {
    case CLASS_REAL_TIME:
        if (p->euid != 0) return -EPERM;
        [[fallthrough]];
    case CLASS_BEST_EFFORT: return level < LEVELS ? 0 : -EINVAL;
    case CLASS_IDLE: return 0;
    case CLASS_NONE: return level == 0 ? 0 : -EINVAL;
    default: return -EINVAL;
    }
}

// ABI ioprio_set: kept and told, nothing follows from it; of the caller only, another's is checked and forgotten
LX_CALL(ioprio_set) {
    bool own;
    int64_t error = check(lx_process(t), (uint32_t)a2);
    if (error == 0) error = find(t, (uint32_t)a0, (uint32_t)a1, &own);
    if (error == 0 && own) lx_process(t)->io_priority = (uint16_t)a2;
    return error;
}

// ABI ioprio_get: of others the usual one
LX_CALL(ioprio_get) {
    bool own;
    int64_t error = find(t, (uint32_t)a0, (uint32_t)a1, &own);
    return error < 0 ? error : own ? lx_process(t)->io_priority : 0;
}
