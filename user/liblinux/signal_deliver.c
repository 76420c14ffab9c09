// What a thread does when something is pending, before its program goes on.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/posix.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/start.h"

// ---- calls that were ended ----------------------------------------------------------------------------------------------

static bool is_ended(const struct lx_thread *t, const struct lx_registers *registers) {
    const int64_t result = (int64_t)registers->rax;
    return t->call != LX_NO_CALL && result <= -LX_RESTART && result >= -LX_RESTART_BLOCK;
}

static void make_again(struct lx_thread *t, struct lx_registers *registers) {
    registers->rax = t->call;
    registers->rip -= 2;  // the instruction
    registers->rcx = registers->rip;
}

// No handler is entered.
static void settle_call(struct lx_thread *t, struct lx_registers *registers) {
    if (!is_ended(t, registers)) return;
    t->restarting = (int64_t)registers->rax == -LX_RESTART_BLOCK;
    make_again(t, registers);
}

static void settle_call_handled(struct lx_thread *t, struct lx_registers *registers, const struct lx_signal_action *action) {
    t->restarting = false;
    if (!is_ended(t, registers)) return;
    const int64_t result = (int64_t)registers->rax;
    if (result == -LX_RESTART_ALWAYS || (result == -LX_RESTART && action->flags & (uint32_t)LX_SA_RESTART))
        make_again(t, registers);
    else registers->rax = (uint64_t)-EINTR;
}

void lx_process_stop(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    while (__atomic_load_n(&p->stopped, __ATOMIC_SEQ_CST) != 0) {
        __atomic_store_n(&t->pending, 0, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&p->mail, __ATOMIC_SEQ_CST) != 0) lx_posix_fetch(t);
        else (void)lx_block(t, SYS_futex_wait, (uint64_t)&p->stopped, 1, UINT32_MAX, KPIO_TIME_NEVER, 0, 0);
    }
}

// ---- one signal ---------------------------------------------------------------------------------------------------------

// The next signal that has a handler. Those without are dealt with here.
static uint32_t take(struct lx_thread *t, struct lx_siginfo *info, struct lx_signal_action *action) {
    struct lx_process *p = lx_process(t);
    for (;;) {
        lx_lock(&p->signal_lock);
        uint32_t number = lx_signal_take_locked(t, ~t->blocked, info);
        if (number != 0) {
            struct lx_signal_action *a = &p->signals->actions[number];
            *action = *a;
            if (a->handler > LX_SIG_IGN && a->flags & (uint32_t)LX_SA_RESETHAND) a->handler = LX_SIG_DFL;
            if (a->handler == LX_SIG_DFL && lx_signal_stops(number)) {
                __atomic_store_n(&p->stopped, 1, __ATOMIC_SEQ_CST);
                lx_signal_tell_all_locked(p);
            }
        }
        lx_unlock(&p->signal_lock);
        if (number == 0 || action->handler > LX_SIG_IGN) return number;
        if (action->handler == LX_SIG_IGN || lx_signal_ignored_by_default(number)) continue;
        if (!lx_signal_stops(number)) lx_signal_kill(p, number);
        if (p->posixd > 0 && !lx_posix_may_stop(t, number)) lx_signal_continue(p);
        lx_process_stop(t);
    }
}

static void enter_handler(struct lx_thread *t, struct lx_registers *registers, const struct lx_siginfo *info,
                          const struct lx_signal_action *action) {
    const uint32_t number = (uint32_t)info->number;
    settle_call_handled(t, registers, action);
    if (lx_frame_push(t, registers, info, action, t->restore_mask ? t->saved_mask : t->blocked) < 0) {
        if (number == LX_SIGSEGV) lx_signal_kill(lx_process(t), number);
        lx_signal_force(t, &(struct lx_siginfo){.number = LX_SIGSEGV, .code = LX_SI_KERNEL});
        return;
    }
    t->restore_mask = false;
    uint64_t mask = t->blocked | action->mask;
    if (!(action->flags & LX_SA_NODEFER)) mask |= LX_SIGNAL_BIT(number);
    lx_signal_set_mask(t, mask);
}

// ---- going on -----------------------------------------------------------------------------------------------------------

// With every register. Returns when something is pending.
static void resume(struct lx_thread *t, const struct lx_registers *registers) {
    struct kpio_exception_frame frame = {0};
    memcpy(&frame.r15, registers, sizeof *registers);
    __asm__ volatile("rdfsbase %0" : "=r"(frame.fs_base));
    __asm__ volatile("rdgsbase %0" : "=r"(frame.gs_base));
    t->whole = false;
    int64_t result = lx_resume(t, &frame);
    t->whole = true;
    if (result == 1) return;
    // A place that a program cannot be at, which only a changed sigframe leads to.
    lx_signal_force(t, &(struct lx_siginfo){.number = LX_SIGSEGV, .code = LX_SI_KERNEL});
    lx_registers(t)->rip = 0;
}

static void deliver(struct lx_thread *t, struct lx_registers *registers) {
    struct lx_siginfo info;
    struct lx_signal_action action;
    bool handled = false;
    __atomic_store_n(&t->pending, 0, __ATOMIC_SEQ_CST);
    if (t->faulted) lx_signal_fault(t, registers);
    if (__atomic_load_n(&lx_process(t)->mail, __ATOMIC_RELAXED) != 0) lx_posix_fetch(t);
    if (__atomic_load_n(&lx_process(t)->stopped, __ATOMIC_RELAXED) != 0) lx_process_stop(t);
    while (take(t, &info, &action) != 0) {
        enter_handler(t, registers, &info, &action);
        handled = true;
    }
    if (handled) return;
    settle_call(t, registers);
    if (!t->restore_mask) return;
    t->restore_mask = false;
    lx_signal_set_mask(t, t->saved_mask);
}

void lx_leave_pending(struct lx_thread *t, struct lx_registers *registers) {
    do {
        deliver(t, registers);
        if (t->whole) resume(t, registers);
    } while (t->whole);
    registers->r11 = (uint64_t)t;
}
