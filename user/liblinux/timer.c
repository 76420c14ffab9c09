#include "user/liblinux/timer.h"

#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/thread.h"
#include "user/liblinux/time.h"

enum { SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID = 4 };
enum { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
#define TIMERS_MAX 1024u
#define CPU_STEP 1000000ull  // ns between looks at a clock of CPU time that is nearly there

struct timer {
    int32_t clock;    // of lx_clock_read
    uint32_t thread;  // whose CPU time LX_CLOCK_THREAD_CPUTIME is
    int32_t notify;   // SIGEV_*
    uint32_t number;  // signal
    uint32_t target;  // thread that gets it, with SIGEV_THREAD_ID
    int32_t id;       // -1: one of setitimer
    uint64_t value;
    uint64_t deadline;  // on its clock; KPIO_TIME_NEVER: not armed
    uint64_t interval;  // 0: once
    bool queued;        // its signal has not been taken yet
    uint64_t overrun;   // how often it fired since
    int32_t last_overrun;
};

struct lx_timers {
    uint32_t sequence;  // of changes: the helper waits for it
    bool helper;
    struct timer itimers[LX_ITIMERS];
    struct timer limit;  // of CPU time: SIGXCPU, each second from the limit on, up to the most: SIGKILL
    struct timer *posix[TIMERS_MAX];
};
_Static_assert(sizeof(struct lx_timers) <= LX_HEAP_MAX, "one block");

// ---- clocks --------------------------------------------------------------------------------------------------------------------

static const struct lx_thread *find_thread(struct lx_process *p, uint32_t tid) {
    list_for_each(node, &p->threads) {
        const struct lx_thread *t = container_of(node, struct lx_thread, node);
        if (t->tid == tid) return t;
    }
    return NULL;
}

static bool is_cpu(const struct timer *timer) {
    return timer->clock == LX_CLOCK_PROCESS_CPUTIME || timer->clock == LX_CLOCK_THREAD_CPUTIME;
}

static uint64_t now_of(struct lx_process *p, const struct timer *timer) {
    const struct lx_thread *t;
    switch (timer->clock) {
    case LX_CLOCK_REALTIME: return (uint64_t)kpio_clock_get(1);
    case LX_CLOCK_PROCESS_CPUTIME: return lx_process_cpu();
    case LX_CLOCK_THREAD_CPUTIME: t = find_thread(p, timer->thread); return t != NULL ? lx_thread_cpu(t) : 0;
    default: return lx_now();
    }
}

// When the helper is to look at it, on the monotonic clock. CPU time passes at most as fast as all CPUs together.
static uint64_t look_at(const struct timer *timer, uint64_t now) {
    const uint64_t left = timer->deadline > now ? timer->deadline - now : 0;
    if (!is_cpu(timer)) return lx_now() + left;
    return lx_now() + MAX(timer->clock == LX_CLOCK_PROCESS_CPUTIME ? left / 64 : left, CPU_STEP);
}

// ---- firing ----------------------------------------------------------------------------------------------------------------------

static struct lx_thread *target_of(struct lx_process *p, const struct timer *timer) {
    return timer->notify & SIGEV_THREAD_ID ? (struct lx_thread *)find_thread(p, timer->target) : NULL;
}

static void send(struct lx_process *p, struct timer *timer) {
    struct lx_siginfo info = {.number = (int32_t)timer->number, .code = LX_SI_KERNEL};
    if (timer->notify == SIGEV_NONE) return;
    if (timer->queued) {
        timer->overrun++;
        return;
    }
    if (timer->id >= 0) {
        info.code = LX_SI_TIMER;
        info.pad = LX_INFO_OF_TIMER;
        info.timer.id = timer->id;
        info.timer.value = timer->value;
    }
    struct lx_thread *target = target_of(p, timer);
    if (timer->notify & SIGEV_THREAD_ID && target == NULL) return;  // that thread has ended
    timer->queued = lx_signal_send_locked(p, target, &info) == LX_SIGNAL_QUEUED && timer->id >= 0;
}

// How often it fired by now, when it is due.
static uint64_t take_due(struct timer *timer, uint64_t now) {
    const uint64_t times = timer->interval != 0 ? (now - timer->deadline) / timer->interval + 1 : 1;
    timer->deadline = timer->interval != 0 ? timer->deadline + times * timer->interval : KPIO_TIME_NEVER;
    return times;
}

static void fire(struct lx_process *p, struct timer *timer, uint64_t now) {
    const uint64_t times = take_due(timer, now);
    send(p, timer);
    timer->overrun += times - 1;
}

// Fires what is due; returns when to look again.
static uint64_t run(struct lx_process *p, struct timer *timer) {
    if (timer->deadline == KPIO_TIME_NEVER) return KPIO_TIME_NEVER;
    uint64_t now = now_of(p, timer);
    if (timer->deadline <= now) fire(p, timer, now);
    return timer->deadline == KPIO_TIME_NEVER ? KPIO_TIME_NEVER : look_at(timer, now);
}

static void check_most(struct lx_process *p) {
    const uint64_t most = p->limits[LX_RLIMIT_CPU].most;
    if (most < UINT64_MAX / LX_SECOND && lx_process_cpu() >= most * LX_SECOND) lx_signal_kill(p, LX_SIGKILL);
}

static void serve(struct lx_thread *self) {
    struct lx_process *p = lx_process(self);
    struct lx_timers *timers = p->timers;
    for (;;) {
        uint64_t next = KPIO_TIME_NEVER;
        lx_lock(&p->signal_lock);
        const uint32_t sequence = __atomic_load_n(&timers->sequence, __ATOMIC_RELAXED);
        for (unsigned i = 0; i < LX_ITIMERS; i++) next = MIN(next, run(p, &timers->itimers[i]));
        next = MIN(next, run(p, &timers->limit));
        for (unsigned i = 0; i < TIMERS_MAX; i++)
            if (timers->posix[i] != NULL) next = MIN(next, run(p, timers->posix[i]));
        if (timers->limit.deadline != KPIO_TIME_NEVER) check_most(p);
        lx_unlock(&p->signal_lock);
        (void)kpio_futex_wait((uint64_t)&timers->sequence, sequence, UINT32_MAX, next, 0);
    }
}

// The helper may be late with what is due.
void lx_timer_taken_locked(struct lx_process *p, struct lx_siginfo *info) {
    const uint32_t id = (uint32_t)info->timer.id;
    struct timer *timer = p->timers != NULL && id < TIMERS_MAX ? p->timers->posix[id] : NULL;
    if (timer == NULL) return;
    const uint64_t now = now_of(p, timer);
    if (timer->interval != 0 && timer->deadline <= now) timer->overrun += take_due(timer, now);
    timer->queued = false;
    timer->last_overrun = (int32_t)MIN(timer->overrun, (uint64_t)INT32_MAX);
    timer->overrun = 0;
    info->timer.overrun = timer->last_overrun;
}

static void drop(struct lx_process *p) {
    struct lx_timers *timers = p->timers;
    p->timers = NULL;
    if (timers == NULL) return;
    for (unsigned i = 0; i < TIMERS_MAX; i++) lx_free(p->space, timers->posix[i], sizeof(struct timer));
    lx_free(p->space, timers, sizeof *timers);
}

// ---- setting -----------------------------------------------------------------------------------------------------------------------

static struct lx_timers *make(struct lx_process *p) {
    struct lx_timers *timers = lx_alloc(p->space, sizeof *timers);
    if (timers == NULL) return NULL;
    const struct timer none = {.id = -1, .deadline = KPIO_TIME_NEVER, .notify = SIGEV_SIGNAL};
    for (unsigned i = 0; i < LX_ITIMERS; i++) timers->itimers[i] = none;
    timers->limit = none;
    timers->limit.clock = LX_CLOCK_PROCESS_CPUTIME;
    timers->limit.number = LX_SIGXCPU;
    timers->itimers[ITIMER_REAL].clock = LX_CLOCK_MONOTONIC;
    timers->itimers[ITIMER_REAL].number = LX_SIGALRM;
    timers->itimers[ITIMER_VIRTUAL].clock = timers->itimers[ITIMER_PROF].clock = LX_CLOCK_PROCESS_CPUTIME;
    timers->itimers[ITIMER_VIRTUAL].number = LX_SIGVTALRM;
    timers->itimers[ITIMER_PROF].number = LX_SIGPROF;
    return timers;
}

// The process's timers, made when there are none; NULL: no memory.
static struct lx_timers *timers_of(struct lx_process *p) {
    lx_lock(&p->signal_lock);
    if (p->timers == NULL) p->timers = make(p);
    lx_unlock(&p->signal_lock);
    return p->timers;
}

// Starts the helper, or tells it that a timer changed.
static int64_t changed(struct lx_process *p, struct lx_timers *timers) {
    lx_lock(&p->signal_lock);
    const bool first = !timers->helper;
    timers->helper = true;
    lx_unlock(&p->signal_lock);
    __atomic_fetch_add(&timers->sequence, 1, __ATOMIC_RELEASE);
    if (!first) {
        (void)kpio_futex_wake((uint64_t)&timers->sequence, 1, UINT32_MAX, 0);
        return 0;
    }
    if (lx_thread_spawn(p, serve) != NULL) return 0;
    timers->helper = false;
    return -EAGAIN;
}

// ---- the limit of CPU time -----------------------------------------------------------------------------------------------------------

int64_t lx_timers_limit(struct lx_process *p) {
    const uint64_t seconds = MAX(p->limits[LX_RLIMIT_CPU].current, 1ull);
    const bool limited = seconds < UINT64_MAX / LX_SECOND;
    if (!limited && p->timers == NULL) return 0;
    struct lx_timers *timers = timers_of(p);
    if (timers == NULL) return -ENOMEM;
    lx_lock(&p->signal_lock);
    timers->limit.deadline = limited ? seconds * LX_SECOND : KPIO_TIME_NEVER;
    timers->limit.interval = LX_SECOND;
    lx_unlock(&p->signal_lock);
    return limited ? changed(p, timers) : 0;
}

void lx_timers_forked(struct lx_process *p) {
    drop(p);
    (void)lx_timers_limit(p);  // without memory for it a child goes on without the limit
}

// ---- execve --------------------------------------------------------------------------------------------------------------------------

void lx_timers_stop_locked(struct lx_process *p, uint64_t kept[LX_ITIMERS][2]) {
    for (unsigned i = 0; i < LX_ITIMERS; i++) {
        struct timer *timer = p->timers != NULL ? &p->timers->itimers[i] : NULL;
        const bool armed = timer != NULL && timer->deadline != KPIO_TIME_NEVER;
        kept[i][0] = armed ? timer->deadline : 0;
        kept[i][1] = armed ? timer->interval : 0;
        if (armed) timer->deadline = KPIO_TIME_NEVER;
    }
}

int64_t lx_timers_go_on(struct lx_process *p, const uint64_t kept[LX_ITIMERS][2]) {
    if (kept[ITIMER_REAL][0] == 0 && kept[ITIMER_VIRTUAL][0] == 0 && kept[ITIMER_PROF][0] == 0) return lx_timers_limit(p);
    struct lx_timers *timers = timers_of(p);
    if (timers == NULL) return -ENOMEM;
    lx_lock(&p->signal_lock);
    for (unsigned i = 0; i < LX_ITIMERS; i++) {
        if (kept[i][0] == 0) continue;
        timers->itimers[i].deadline = kept[i][0];
        timers->itimers[i].interval = kept[i][1];
    }
    lx_unlock(&p->signal_lock);
    int64_t error = changed(p, timers);
    return error < 0 ? error : lx_timers_limit(p);
}

// ---- what the program asks of each ---------------------------------------------------------------------------------------------------

struct setting {
    uint64_t interval, value;  // ns; value 0: not armed
};

static struct setting setting_of(struct lx_process *p, const struct timer *timer) {
    if (timer->deadline == KPIO_TIME_NEVER) return (struct setting){.interval = timer->interval};
    const uint64_t now = now_of(p, timer);
    return (struct setting){.interval = timer->interval, .value = timer->deadline > now ? timer->deadline - now : 1};
}

static int64_t arm(struct lx_process *p, struct lx_timers *timers, struct timer *timer, const struct setting *set, bool absolute,
                   struct setting *old) {
    lx_lock(&p->signal_lock);
    if (old != NULL) *old = setting_of(p, timer);
    timer->interval = set->interval;
    timer->overrun = 0;
    timer->deadline = set->value == 0 ? KPIO_TIME_NEVER : absolute ? set->value : now_of(p, timer) + set->value;
    lx_unlock(&p->signal_lock);
    return set->value != 0 ? changed(p, timers) : 0;
}

// ---- setitimer -----------------------------------------------------------------------------------------------------------------------

struct timeval {
    int64_t seconds, microseconds;
};

static bool take_timeval(const struct timeval *tv, uint64_t *ns) {
    if (tv->microseconds < 0 || tv->microseconds >= 1000000) return false;
    return lx_timespec_ns(&(struct lx_timespec){.seconds = tv->seconds, .nanoseconds = tv->microseconds * 1000}, ns);
}

static int64_t give_itimer(uint64_t to, const struct setting *s) {
    struct timeval tv[2];
    const uint64_t ns[2] = {s->interval, s->value == 0 ? 0 : MAX(s->value, 1000ull)};  // armed must not read as 0
    for (unsigned i = 0; i < 2; i++)
        tv[i] = (struct timeval){.seconds = (int64_t)(ns[i] / LX_SECOND), .microseconds = (int64_t)(ns[i] % LX_SECOND / 1000)};
    return lx_copy_out(to, tv, sizeof tv);
}

LX_CALL(setitimer) {
    struct lx_process *p = lx_process(t);
    struct timeval tv[2] = {{0}};
    struct setting set, old;
    if (a1 != 0 && lx_copy_in(tv, a1, sizeof tv) < 0) return -EFAULT;
    if (!take_timeval(&tv[0], &set.interval) || !take_timeval(&tv[1], &set.value) || (uint32_t)a0 >= LX_ITIMERS) return -EINVAL;
    struct lx_timers *timers = timers_of(p);
    if (timers == NULL) return -ENOMEM;
    int64_t error = arm(p, timers, &timers->itimers[(uint32_t)a0], &set, false, &old);
    return error == 0 && a2 != 0 ? give_itimer(a2, &old) : error;
}

LX_CALL(getitimer) {
    struct lx_process *p = lx_process(t);
    struct setting now = {0};
    if ((uint32_t)a0 >= LX_ITIMERS) return -EINVAL;
    lx_lock(&p->signal_lock);
    if (p->timers != NULL) now = setting_of(p, &p->timers->itimers[(uint32_t)a0]);
    lx_unlock(&p->signal_lock);
    return give_itimer(a1, &now);
}

// Whole seconds, rounded to the next, but never to none.
LX_CALL(alarm) {
    struct lx_process *p = lx_process(t);
    struct lx_timers *timers = timers_of(p);
    struct setting old;
    if (timers == NULL) return -ENOMEM;
    const struct setting set = {.value = (uint64_t)(uint32_t)a0 * LX_SECOND};
    int64_t error = arm(p, timers, &timers->itimers[ITIMER_REAL], &set, false, &old);
    if (error < 0 || old.value == 0) return error;
    const uint64_t seconds = (old.value + LX_SECOND / 2) / LX_SECOND;
    return (int64_t)MAX(seconds, 1ull);
}

// ---- timer_create ------------------------------------------------------------------------------------------------------------------

struct sigevent {
    uint64_t value;
    uint32_t number;
    int32_t notify;
    uint32_t thread, pad[11];
};
_Static_assert(sizeof(struct sigevent) == 64, "ABI");

static bool take_clock(struct lx_thread *t, int32_t clock, struct timer *timer) {
    uint64_t ns;
    timer->thread = t->tid;
    timer->clock = clock;
    switch (clock) {
    case LX_CLOCK_REALTIME:
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_PROCESS_CPUTIME:
    case LX_CLOCK_THREAD_CPUTIME: return true;
    case LX_CLOCK_BOOTTIME: timer->clock = LX_CLOCK_MONOTONIC; return true;
    case LX_CLOCK_TAI: timer->clock = LX_CLOCK_REALTIME; return true;
    default: break;
    }
    if (clock >= 0 || lx_clock_read(t, clock, &ns) < 0) return false;
    timer->clock = clock & 4 ? LX_CLOCK_THREAD_CPUTIME : LX_CLOCK_PROCESS_CPUTIME;
    if (clock & 4 && ~(uint32_t)(clock >> 3) != 0) timer->thread = ~(uint32_t)(clock >> 3);
    return true;
}

static bool take_event(struct lx_process *p, const struct sigevent *event, struct timer *timer) {
    timer->notify = event->notify;
    timer->number = event->number;
    timer->value = event->value;
    timer->target = event->thread;
    switch (event->notify) {
    case SIGEV_NONE: return true;
    case SIGEV_SIGNAL | SIGEV_THREAD_ID:
        lx_lock(&p->signal_lock);
        const bool found = find_thread(p, event->thread) != NULL;
        lx_unlock(&p->signal_lock);
        if (!found) return false;
        [[fallthrough]];
    case SIGEV_SIGNAL:
    case SIGEV_THREAD: return event->number >= 1 && event->number <= LX_SIGNALS;
    default: return false;
    }
}

static int64_t install(struct lx_process *p, struct lx_timers *timers, struct timer *timer) {
    int64_t id = -EAGAIN;
    lx_lock(&p->signal_lock);
    for (unsigned i = 0; i < TIMERS_MAX && id < 0; i++) {
        if (timers->posix[i] != NULL) continue;
        timers->posix[i] = timer;
        id = timer->id = (int32_t)i;
    }
    lx_unlock(&p->signal_lock);
    return id;
}

// Takes it out and frees it: whether it was there.
static bool remove(struct lx_process *p, uint32_t id) {
    lx_lock(&p->signal_lock);
    struct timer *timer = p->timers != NULL && id < TIMERS_MAX ? p->timers->posix[id] : NULL;
    if (timer != NULL) p->timers->posix[id] = NULL;
    lx_unlock(&p->signal_lock);
    lx_free(p->space, timer, sizeof *timer);
    return timer != NULL;
}

// ABI timer_create: at most 1,024 of a process; the alarm clocks are EINVAL
LX_CALL(timer_create) {
    struct lx_process *p = lx_process(t);
    struct sigevent event = {.notify = SIGEV_SIGNAL, .number = LX_SIGALRM};
    struct timer made = {.deadline = KPIO_TIME_NEVER};
    if (a1 != 0 && lx_copy_in(&event, a1, sizeof event) < 0) return -EFAULT;
    if (!take_clock(t, (int32_t)a0, &made) || !take_event(p, &event, &made)) return -EINVAL;
    struct lx_timers *timers = timers_of(p);
    struct timer *timer = timers != NULL ? lx_alloc(p->space, sizeof *timer) : NULL;
    if (timer == NULL) return -EAGAIN;
    *timer = made;
    const int64_t id = install(p, timers, timer);
    if (id < 0) {
        lx_free(p->space, timer, sizeof *timer);
        return id;
    }
    if (a1 == 0) timer->value = (uint64_t)id;
    const int32_t number = (int32_t)id;
    if (lx_copy_out(a2, &number, sizeof number) == 0) return 0;
    (void)remove(p, (uint32_t)id);
    return -EFAULT;
}

LX_CALL(timer_delete) { return remove(lx_process(t), (uint32_t)a0) ? 0 : -EINVAL; }

static struct timer *find_locked(struct lx_process *p, uint64_t id) {
    return p->timers != NULL && (uint32_t)id < TIMERS_MAX ? p->timers->posix[(uint32_t)id] : NULL;
}

static int64_t give_setting(uint64_t to, const struct setting *s) {
    const struct lx_timespec ts[2] = {lx_timespec(s->interval), lx_timespec(s->value)};
    return lx_copy_out(to, ts, sizeof ts);
}

#define TIMER_ABSTIME 1u
LX_CALL(timer_settime) {
    struct lx_process *p = lx_process(t);
    struct lx_timespec ts[2];
    struct setting set, old;
    if (a2 == 0) return -EINVAL;
    if (lx_copy_in(ts, a2, sizeof ts) < 0) return -EFAULT;
    if (!lx_timespec_ns(&ts[0], &set.interval) || !lx_timespec_ns(&ts[1], &set.value)) return -EINVAL;
    lx_lock(&p->signal_lock);
    struct timer *timer = find_locked(p, a0);
    lx_unlock(&p->signal_lock);
    if (timer == NULL) return -EINVAL;
    int64_t error = arm(p, p->timers, timer, &set, a1 & TIMER_ABSTIME, &old);
    return error == 0 && a3 != 0 ? give_setting(a3, &old) : error;
}

LX_CALL(timer_gettime) {
    struct lx_process *p = lx_process(t);
    struct setting now = {0};
    lx_lock(&p->signal_lock);
    const struct timer *timer = find_locked(p, a0);
    if (timer != NULL) now = setting_of(p, timer);
    lx_unlock(&p->signal_lock);
    return timer == NULL ? -EINVAL : give_setting(a1, &now);
}

LX_CALL(timer_getoverrun) {
    struct lx_process *p = lx_process(t);
    lx_lock(&p->signal_lock);
    const struct timer *timer = find_locked(p, a0);
    const int64_t overrun = timer != NULL ? timer->last_overrun : -EINVAL;
    lx_unlock(&p->signal_lock);
    return overrun;
}
