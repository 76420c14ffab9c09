// The calls that set, look at and wait for signals.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/fork.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/time.h"

#define SET_SIZE 8u

LX_CALL(rt_sigaction) {
    struct lx_process *p = lx_process(t);
    struct lx_signal_action fresh, old;
    if (a3 != SET_SIZE) return -EINVAL;
    int64_t error = a1 != 0 ? lx_copy_in(&fresh, a1, sizeof fresh) : 0;
    if (error < 0) return error;
    const uint32_t number = (uint32_t)a0;
    if (number < 1 || number > LX_SIGNALS || (a1 != 0 && LX_SIGNAL_BIT(number) & LX_UNBLOCKABLE)) return -EINVAL;
    if (number == LX_SIGCHLD && a1 != 0) lx_children_settle(t);
    lx_lock(&p->signal_lock);
    old = p->signals->actions[number];
    if (a1 != 0) {
        fresh.mask &= ~LX_UNBLOCKABLE;
        p->signals->actions[number] = fresh;
        lx_signal_action_changed_locked(p, number);
    }
    lx_unlock(&p->signal_lock);
    if (number == LX_SIGCHLD && a1 != 0 && fresh.handler > LX_SIG_IGN) lx_children_watch(p);
    return a2 != 0 ? lx_copy_out(a2, &old, sizeof old) : 0;
}

enum { SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK };
LX_CALL(rt_sigprocmask) {
    const uint64_t old = t->blocked;
    uint64_t set = 0;
    if (a3 != SET_SIZE) return -EINVAL;
    if (a1 != 0) {
        int64_t error = lx_copy_in(&set, a1, sizeof set);
        if (error < 0) return error;
        switch ((uint32_t)a0) {
        case SIG_BLOCK: set = old | set; break;
        case SIG_UNBLOCK: set = old & ~set; break;
        case SIG_SETMASK: break;
        default: return -EINVAL;
        }
        lx_signal_set_mask(t, set);
    }
    return a2 != 0 ? lx_copy_out(a2, &old, sizeof old) : 0;
}

LX_CALL(rt_sigpending) {
    struct lx_process *p = lx_process(t);
    if (a1 > SET_SIZE) return -EINVAL;
    lx_lock(&p->signal_lock);
    const uint64_t set = (p->pending_signals.set | t->pending_signals.set) & t->blocked;
    lx_unlock(&p->signal_lock);
    return lx_copy_out(a0, &set, a1);
}

LX_CALL(rt_sigsuspend) {
    uint64_t set;
    if (a1 != SET_SIZE) return -EINVAL;
    int64_t error = lx_copy_in(&set, a0, sizeof set);
    if (error < 0) return error;
    t->saved_mask = t->blocked;
    t->restore_mask = true;
    lx_signal_set_mask(t, set);
    (void)lx_sleep(t, KPIO_TIME_NEVER);
    return -LX_RESTART_NOHAND;
}

LX_CALL(pause) {
    (void)lx_sleep(t, KPIO_TIME_NEVER);
    return -LX_RESTART_NOHAND;
}

LX_CALL(rt_sigtimedwait) {
    struct lx_process *p = lx_process(t);
    struct lx_siginfo info;
    uint64_t set, deadline = KPIO_TIME_NEVER;
    if (a3 != SET_SIZE) return -EINVAL;
    int64_t error = lx_copy_in(&set, a0, sizeof set);
    if (error == 0 && a2 != 0) error = lx_deadline_after(t, a2, &deadline);
    if (error < 0) return error;
    set &= ~LX_UNBLOCKABLE;
    for (;;) {
        if (__atomic_load_n(&p->mail, __ATOMIC_SEQ_CST) != 0) lx_posix_fetch(t);
        lx_lock(&p->signal_lock);
        uint32_t number = lx_signal_take_locked(t, set, &info);
        bool others = ((p->pending_signals.set | t->pending_signals.set) & ~t->blocked) != 0 || p->stopped != 0;
        t->waiting = number == 0 && error == 0 ? set : 0;
        if (number == 0 && error == 0) __atomic_store_n(&t->pending, others, __ATOMIC_SEQ_CST);
        else if (others) __atomic_store_n(&t->pending, 1, __ATOMIC_SEQ_CST);
        lx_unlock(&p->signal_lock);
        if (__atomic_load_n(&p->mail, __ATOMIC_SEQ_CST) != 0) __atomic_store_n(&t->pending, 1, __ATOMIC_SEQ_CST);
        if (number != 0) {
            error = a1 != 0 ? lx_copy_out(a1, &info, sizeof info) : 0;
            return error < 0 ? error : (int64_t)number;
        }
        if (error != 0 || others) return error == -ETIMEDOUT ? -EAGAIN : -EINTR;
        int64_t result = lx_sleep(t, deadline);
        if (result == -ETIMEDOUT) error = result;
    }
}

// ---- the alternate stack ------------------------------------------------------------------------------------------------

#define STACK_MIN 2048u
LX_CALL(sigaltstack) {
    struct {
        uint64_t at;
        uint32_t flags, pad;
        uint64_t size;
    } fresh, old = {.at = t->altstack, .size = t->altstack_size};
    const uint64_t rsp = lx_registers(t)->rsp;
    bool used = !(t->altstack_flags & (LX_SS_DISABLE | (uint32_t)LX_SS_AUTODISARM)) && rsp > t->altstack &&
                rsp - t->altstack <= t->altstack_size;
    old.flags = t->altstack_flags | (used ? LX_SS_ONSTACK : 0);
    if (a0 != 0) {
        int64_t error = lx_copy_in(&fresh, a0, sizeof fresh);
        if (error < 0) return error;
        const uint32_t mode = fresh.flags & ~(uint32_t)LX_SS_AUTODISARM;
        if (used) return -EPERM;
        if (mode != LX_SS_DISABLE && mode != LX_SS_ONSTACK && mode != 0) return -EINVAL;
        if (mode == LX_SS_DISABLE) fresh.at = fresh.size = 0;
        else if (fresh.size < STACK_MIN) return -ENOMEM;
        t->altstack = fresh.at;
        t->altstack_size = fresh.size;
        t->altstack_flags = fresh.flags & (LX_SS_DISABLE | (uint32_t)LX_SS_AUTODISARM);
    }
    return a1 != 0 ? lx_copy_out(a1, &old, sizeof old) : 0;
}

// Does not come back but where another signal's handler is to run first: then the result is what rax is there.
LX_CALL(rt_sigreturn) {
    struct lx_registers *registers = lx_registers(t);
    if (lx_frame_pop(t, registers) == 0) lx_leave_pending(t, registers);
    else lx_signal_force(t, &(struct lx_siginfo){.number = LX_SIGSEGV, .code = LX_SI_KERNEL});
    return (int64_t)registers->rax;
}
