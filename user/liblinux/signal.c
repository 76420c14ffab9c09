#include "user/liblinux/signal.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/signalfd.h"
#include "user/liblinux/timer.h"

#define BIT(number) LX_SIGNAL_BIT(LX_SIG##number)
#define STOPS (BIT(STOP) | BIT(TSTP) | BIT(TTIN) | BIT(TTOU))

bool lx_signal_ignored_by_default(uint32_t number) {
    return LX_SIGNAL_BIT(number) & (BIT(CHLD) | BIT(CONT) | BIT(URG) | BIT(WINCH));
}
bool lx_signal_stops(uint32_t number) { return LX_SIGNAL_BIT(number) & STOPS; }

// ---- queues -------------------------------------------------------------------------------------------------------------

static uint64_t most_queued(const struct lx_process *p) {
    return MIN(p->limits[LX_RLIMIT_SIGPENDING].current, (uint64_t)LX_SIGNALS_QUEUED);
}

bool lx_signals_full(struct lx_process *p) {
    lx_lock(&p->signal_lock);
    p->mail_held |= p->queued_signals >= most_queued(p);
    const bool full = p->mail_held;
    lx_unlock(&p->signal_lock);
    return full;
}

void lx_signals_look_for_room_locked(struct lx_process *p) {
    if (likely(!p->mail_held) || p->queued_signals > most_queued(p) / 2) return;
    p->mail_held = false;
    __atomic_store_n(&p->mail, 1, __ATOMIC_SEQ_CST);
    lx_signal_tell_all_locked(p);
}

static void release(struct lx_process *p, struct lx_signal *s) {
    if (s->of_timer) lx_timer_taken_locked(p, &s->info);
    list_remove(&s->node);
    p->queued_signals--;
    lx_free(p->space, s, sizeof *s);
    lx_signals_look_for_room_locked(p);
}

static void drop(struct lx_process *p, struct lx_pending *pending, uint64_t which) {
    pending->set &= ~which;
    struct list_node *next;
    for (struct list_node *node = list_first(&pending->queue); node != NULL; node = next) {
        struct lx_signal *s = container_of(node, struct lx_signal, node);
        next = list_next(&pending->queue, node);
        if (!(LX_SIGNAL_BIT((uint32_t)s->info.number) & which)) continue;
        release(p, s);
    }
}

static void drop_everywhere(struct lx_process *p, uint64_t which) {
    drop(p, &p->pending_signals, which);
    list_for_each(node, &p->threads) drop(p, &container_of(node, struct lx_thread, node)->pending_signals, which);
}

// An ordinary signal that is pending already is not queued again, but for a timer's, which counts what was lost; and it counts without
// an entry when there is no room. What was fetched from posixd is not refused: there was room when that was asked for.
static int64_t enqueue(struct lx_process *p, struct lx_pending *pending, const struct lx_siginfo *info) {
    const uint64_t bit = LX_SIGNAL_BIT((uint32_t)info->number);
    const bool real_time = (uint32_t)info->number >= LX_SIGRTMIN, of_timer = info->pad == LX_INFO_OF_TIMER;
    const bool fetched = info->pad == LX_INFO_FETCHED, room = !real_time || of_timer || fetched || p->queued_signals < most_queued(p);
    if (!real_time && pending->set & bit && !of_timer) return LX_SIGNAL_DROPPED;
    struct lx_signal *s = room ? lx_alloc(p->space, sizeof *s) : NULL;
    if (s == NULL && real_time && info->code != LX_SI_USER && !fetched) return -EAGAIN;
    if (s != NULL) {
        s->info = *info;
        s->info.pad = 0;
        s->of_timer = of_timer;
        list_push_back(&pending->queue, &s->node);
        p->queued_signals++;
    }
    pending->set |= bit;
    if (unlikely(p->signalfds != NULL)) lx_signalfd_tell_locked(p, bit);
    return s != NULL ? LX_SIGNAL_QUEUED : LX_SIGNAL_DROPPED;
}

// The first entry of the number; one without is told as sent by nobody.
static void dequeue(struct lx_process *p, struct lx_pending *pending, uint32_t number, struct lx_siginfo *info) {
    struct lx_signal *found = NULL;
    bool more = false;
    list_for_each(node, &pending->queue) {
        struct lx_signal *s = container_of(node, struct lx_signal, node);
        if ((uint32_t)s->info.number != number) continue;
        if (found != NULL) {
            more = true;
            break;
        }
        found = s;
    }
    if (!more) pending->set &= ~LX_SIGNAL_BIT(number);
    *info = (struct lx_siginfo){.number = (int32_t)number, .code = LX_SI_USER};
    if (found == NULL) return;
    if (found->of_timer) lx_timer_taken_locked(p, &found->info);
    found->of_timer = false;
    *info = found->info;
    release(p, found);
}

static uint32_t lowest(uint64_t set) {
    const uint64_t synchronous = set & (BIT(SEGV) | BIT(BUS) | BIT(ILL) | BIT(TRAP) | BIT(FPE) | BIT(SYS));
    return (uint32_t)__builtin_ctzll(synchronous != 0 ? synchronous : set) + 1;
}

uint32_t lx_signal_take_locked(struct lx_thread *t, uint64_t wanted, struct lx_siginfo *info) {
    struct lx_process *p = lx_process(t);
    struct lx_pending *from = &t->pending_signals;
    if ((from->set & wanted) == 0) from = &p->pending_signals;
    if ((from->set & wanted) == 0) return 0;
    uint32_t number = lowest(from->set & wanted);
    dequeue(p, from, number, info);
    return number;
}

// ---- telling threads ----------------------------------------------------------------------------------------------------

// The running thread looks when its call ends, and needs no interrupt; that it is the one its stack tells.
static bool is_running(const struct lx_thread *t) { return (uint64_t)__builtin_frame_address(0) - t->area < t->area_size; }

static void tell(struct lx_thread *t) {
    if (__atomic_exchange_n(&t->pending, 1, __ATOMIC_SEQ_CST) == 0 && !is_running(t)) (void)kpio_thread_interrupt(t->handle, 0);
}

void lx_signal_tell_all_locked(struct lx_process *p) {
    list_for_each(node, &p->threads) tell(container_of(node, struct lx_thread, node));
}

static bool wants(const struct lx_thread *t, uint64_t bit) { return (~t->blocked | t->waiting) & bit; }

// Somebody who takes signals that were sent to the process; the main thread if it may.
static void tell_any(struct lx_process *p, uint64_t bit, const struct lx_thread *except) {
    list_for_each(node, &p->threads) {
        struct lx_thread *t = container_of(node, struct lx_thread, node);
        if (t == except || !wants(t, bit)) continue;
        tell(t);
        return;
    }
}

// Those that t does not take any more.
static void hand_on(struct lx_thread *t, uint64_t set) {
    for (; set != 0; set &= set - 1) tell_any(lx_process(t), set & -set, t);
}

// ---- sending ------------------------------------------------------------------------------------------------------------

void lx_signal_kill(struct lx_process *p, uint32_t number) {
    const uint64_t core =
        BIT(QUIT) | BIT(ILL) | BIT(TRAP) | BIT(ABRT) | BIT(BUS) | BIT(FPE) | BIT(SEGV) | BIT(XCPU) | BIT(XFSZ) | BIT(SYS);
    const uint64_t status = number | (LX_SIGNAL_BIT(number) & core ? 0x80u : 0);
    for (;;) (void)kpio_process_exit(status);
}

static bool blocked_by_any(struct lx_process *p, const struct lx_thread *only, uint64_t bit) {
    if (only != NULL) return (only->blocked | only->waiting) & bit;
    list_for_each(node, &p->threads) {
        const struct lx_thread *t = container_of(node, struct lx_thread, node);
        if ((t->blocked | t->waiting) & bit) return true;
    }
    return false;
}

// Nobody will ever see it: it is not even queued.
static bool is_ignored(struct lx_process *p, const struct lx_thread *only, uint32_t number) {
    const uint64_t handler = p->signals->actions[number].handler;
    if (handler != LX_SIG_IGN && !(handler == LX_SIG_DFL && lx_signal_ignored_by_default(number))) return false;
    return !blocked_by_any(p, only, LX_SIGNAL_BIT(number));
}

static void go_on(struct lx_process *p) {
    drop_everywhere(p, STOPS);
    if (__atomic_exchange_n(&p->stopped, 0, __ATOMIC_SEQ_CST) != 0)
        (void)kpio_futex_wake((uint64_t)&p->stopped, UINT32_MAX, UINT32_MAX, 0);
}

void lx_signal_continue(struct lx_process *p) {
    lx_lock(&p->signal_lock);
    go_on(p);
    lx_unlock(&p->signal_lock);
}

int64_t lx_signal_send_locked(struct lx_process *p, struct lx_thread *to, const struct lx_siginfo *info) {
    const uint32_t number = (uint32_t)info->number;
    const uint64_t bit = LX_SIGNAL_BIT(number);
    if (number == LX_SIGKILL) lx_signal_kill(p, number);
    if (number == LX_SIGCONT) go_on(p);
    if (bit & STOPS) drop_everywhere(p, BIT(CONT));
    if (is_ignored(p, to, number)) return LX_SIGNAL_DROPPED;
    int64_t result = enqueue(p, to != NULL ? &to->pending_signals : &p->pending_signals, info);
    if (result < 0) return result;
    if (to == NULL) tell_any(p, bit, NULL);
    else if (wants(to, bit)) tell(to);
    return result;
}

int64_t lx_signal_send_process(struct lx_process *p, const struct lx_siginfo *info) {
    lx_lock(&p->signal_lock);
    int64_t result = lx_signal_send_locked(p, NULL, info);
    lx_unlock(&p->signal_lock);
    return result < 0 ? result : 0;
}

int64_t lx_signal_send_tid(struct lx_process *p, uint32_t tid, const struct lx_siginfo *info) {
    int64_t result = -ESRCH;
    lx_lock(&p->signal_lock);
    list_for_each(node, &p->threads) {
        struct lx_thread *t = container_of(node, struct lx_thread, node);
        if (t->tid != tid) continue;
        result = info->number == 0 ? 0 : lx_signal_send_locked(p, t, info);
        break;
    }
    lx_unlock(&p->signal_lock);
    return result > 0 ? 0 : result;
}

void lx_signal_force(struct lx_thread *t, const struct lx_siginfo *info) {
    struct lx_process *p = lx_process(t);
    const uint32_t number = (uint32_t)info->number;
    const uint64_t bit = LX_SIGNAL_BIT(number);
    lx_lock(&p->signal_lock);
    struct lx_signal_action *action = &p->signals->actions[number];
    if (t->blocked & bit || action->handler == LX_SIG_IGN) {
        action->handler = LX_SIG_DFL;
        t->blocked &= ~bit;
    }
    if (enqueue(p, &t->pending_signals, info) < 0) lx_signal_kill(p, number);
    tell(t);
    lx_unlock(&p->signal_lock);
}

void lx_signal_raise(struct lx_thread *t, uint32_t number) {
    const struct lx_siginfo info = {
        .number = (int32_t)number, .code = LX_SI_USER, .sent = {.pid = (int32_t)lx_process(t)->pid, .uid = lx_process(t)->uid}};
    lx_lock(&lx_process(t)->signal_lock);
    (void)lx_signal_send_locked(lx_process(t), t,
                      &info);  // an ordinary signal always has room
    lx_unlock(&lx_process(t)->signal_lock);
}

// ---- masks, actions, threads --------------------------------------------------------------------------------------------

void lx_signal_set_mask(struct lx_thread *t, uint64_t mask) {
    struct lx_process *p = lx_process(t);
    mask &= ~LX_UNBLOCKABLE;
    lx_lock(&p->signal_lock);
    const uint64_t fresh = mask & ~t->blocked;
    t->blocked = mask;
    if (unlikely((p->pending_signals.set & fresh) != 0)) hand_on(t, p->pending_signals.set & fresh);
    if (unlikely(((p->pending_signals.set | t->pending_signals.set) & ~mask) != 0)) tell(t);
    lx_unlock(&p->signal_lock);
}

void lx_signal_action_changed_locked(struct lx_process *p, uint32_t number) {
    const uint64_t handler = p->signals->actions[number].handler;
    if (handler == LX_SIG_IGN || (handler == LX_SIG_DFL && lx_signal_ignored_by_default(number)))
        drop_everywhere(p, LX_SIGNAL_BIT(number));
}

int lx_signals_create(struct lx_process *p, uint64_t ignored) {
    list_init(&p->pending_signals.queue);
    p->signals = lx_alloc(p->space, sizeof *p->signals);
    if (p->signals == NULL) return -ENOMEM;
    for (unsigned i = 1; i <= LX_SIGNALS; i++)
        if (ignored & LX_SIGNAL_BIT(i)) p->signals->actions[i].handler = LX_SIG_IGN;
    return 0;
}

// Without room for an entry a signal is pending as one that nobody sent.
void lx_signals_adopt(struct lx_thread *t, const uint64_t sets[2], const struct lx_launch_signal *signals, uint32_t count) {
    struct lx_process *p = lx_process(t);
    struct lx_pending *const queues[] = {&p->pending_signals, &t->pending_signals};
    for (uint32_t i = 0; i < count; i++) {
        struct lx_siginfo info;
        memcpy(&info, signals[i].info, sizeof info);
        (void)enqueue(p, queues[signals[i].of_thread & 1], &info);
    }
    for (unsigned i = 0; i < 2; i++) queues[i]->set |= sets[i];
    if ((sets[0] | sets[1]) == 0) return;
    if (p->signalfds != NULL) lx_signalfd_tell_locked(p, sets[0] | sets[1]);
    __atomic_store_n(&t->pending, 1, __ATOMIC_RELAXED);
}

void lx_signal_thread_init(struct lx_thread *t) {
    list_init(&t->pending_signals.queue);
    t->pending_signals.set = 0;
    t->altstack_flags = LX_SS_DISABLE;
}

void lx_signal_keep_mask(struct lx_thread *t) {
    list_init(&t->pending_signals.queue);
    t->pending_signals.set = 0;
    __atomic_store_n(&t->pending, 0, __ATOMIC_RELEASE);
}

void lx_signal_thread_gone(struct lx_thread *t) {
    struct lx_process *p = lx_process(t);
    drop(p, &t->pending_signals, UINT64_MAX);
    hand_on(t, p->pending_signals.set & ~t->blocked);
}
