// kill and its like: inside the process, and through posixd to others.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"

static struct lx_siginfo made_by(const struct lx_process *p, uint32_t number, int32_t code) {
    return (struct lx_siginfo){.number = (int32_t)number, .code = code, .sent = {.pid = (int32_t)p->pid, .uid = p->uid}};
}

static int64_t send_own(struct lx_thread *t, uint32_t tid, uint32_t number) {
    const struct lx_siginfo info = made_by(lx_process(t), number, LX_SI_TKILL);
    return number > LX_SIGNALS ? -EINVAL : lx_signal_send_tid(lx_process(t), tid, &info);
}

static int64_t send_other(struct lx_thread *t, uint32_t pid, uint32_t tid, uint32_t number) {
    const struct lx_siginfo info = made_by(lx_process(t), number, LX_SI_TKILL);
    return number > LX_SIGNALS ? -EINVAL : lx_posix_kill(t, pid, tid, &info);
}

// ABI tkill: a thread of another process only by its process's id
LX_CALL(tkill) {
    if ((int32_t)a0 <= 0) return -EINVAL;
    int64_t result = send_own(t, (uint32_t)a0, (uint32_t)a1);
    return result == -ESRCH ? send_other(t, (uint32_t)a0, (uint32_t)a0, (uint32_t)a1) : result;
}

// ABI tgkill: a thread that another process does not have is not told
LX_CALL(tgkill) {
    if ((int32_t)a0 <= 0 || (int32_t)a1 <= 0) return -EINVAL;
    if ((uint32_t)a0 == lx_process(t)->pid) return send_own(t, (uint32_t)a1, (uint32_t)a2);
    return send_other(t, (uint32_t)a0, (uint32_t)a1, (uint32_t)a2);
}

// Without posixd a process knows of no others: its group has nobody else.
LX_CALL(kill) {
    struct lx_process *p = lx_process(t);
    const int32_t pid = (int32_t)a0;
    if ((uint32_t)a1 > LX_SIGNALS) return -EINVAL;
    const struct lx_siginfo info = made_by(p, (uint32_t)a1, LX_SI_USER);
    if (pid != (int32_t)p->pid && !(pid == 0 && p->posixd <= 0)) return pid == INT32_MIN ? -ESRCH : lx_posix_kill(t, pid, 0, &info);
    return a1 == 0 ? 0 : lx_signal_send_process(p, &info);
}

// ---- with a siginfo of the caller's -------------------------------------------------------------------------------------

// Of a code that nobody knows, what lies behind the bytes that any sender fills must be 0.
#define KNOWN_FROM (-7)
#define SIGIO_CODE (-60)
#define FILLED 48u
static bool is_too_long(const struct lx_siginfo *info) {
    if (info->code >= KNOWN_FROM || info->code == SIGIO_CODE) return false;
    for (unsigned i = FILLED; i < sizeof *info; i++)
        if (((const uint8_t *)info)[i] != 0) return true;
    return false;
}

static int64_t take_info(struct lx_thread *t, uint64_t at, uint64_t number, uint32_t tid, struct lx_siginfo *info) {
    int64_t error = lx_copy_in(info, at, sizeof *info);
    if (error < 0) return error;
    info->number = (int32_t)number;
    info->pad = 0;
    if (is_too_long(info)) return -E2BIG;
    memset((uint8_t *)info + FILLED, 0, sizeof *info - FILLED);
    // Only to oneself may a signal look as if the kernel or kill had sent it.
    if ((info->code >= 0 || info->code == LX_SI_TKILL) && tid != lx_process(t)->pid && tid != t->tid) return -EPERM;
    return (uint32_t)number > LX_SIGNALS ? -EINVAL : 0;
}

LX_CALL(rt_sigqueueinfo) {
    struct lx_siginfo info;
    int64_t error = take_info(t, a2, a1, (uint32_t)a0, &info);
    if (error < 0) return error;
    if ((uint32_t)a0 != lx_process(t)->pid) return (int32_t)a0 <= 0 ? -ESRCH : lx_posix_kill(t, (int32_t)a0, 0, &info);
    return a1 == 0 ? 0 : lx_signal_send_process(lx_process(t), &info);
}

LX_CALL(rt_tgsigqueueinfo) {
    struct lx_siginfo info;
    if ((int32_t)a0 <= 0 || (int32_t)a1 <= 0) return -EINVAL;
    int64_t error = take_info(t, a3, a2, (uint32_t)a1, &info);
    if (error < 0) return error;
    if ((uint32_t)a0 != lx_process(t)->pid) return lx_posix_kill(t, (int32_t)a0, (uint32_t)a1, &info);
    return lx_signal_send_tid(lx_process(t), (uint32_t)a1, &info);
}
