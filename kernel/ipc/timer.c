#include "kernel/ipc/timer.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/mm/slub.h"

static struct kmem_cache timer_cache;

// The lock is held. Arms for the next firing, or leaves it off.
static void arm_locked(struct timer *timer, nanos_t now) {
    if (timer->next == TIME_NEVER || timer->closed) return;
    nanos_t soonest = now + TIMER_PERIOD_MIN_NS;
    ktimer_arm(&timer->ktimer, timer->period != 0 && timer->next < soonest ? soonest : timer->next);
}

// Somebody may have set the timer anew while this firing waited for the lock: only `next` counts.
static void timer_fire(struct ktimer *ktimer) {
    struct timer *timer = container_of(ktimer, struct timer, ktimer);
    nanos_t now = arch_now();
    spin_lock(&timer->waiters.lock);
    uint64_t times = timer->closed ? 0 : timer_advance(&timer->next, timer->period, now);
    timer->fired += times;
    if (times != 0) {
        arm_locked(timer, now);
        if (wait_queue_wake_locked(&timer->waiters, 1, (int64_t)timer->fired) != 0) timer->fired = 0;
    }
    spin_unlock(&timer->waiters.lock);
    if (times != 0) object_signal(&timer->object);
}

void timer_set(struct timer *timer, nanos_t deadline, uint64_t period) {
    spin_lock(&timer->waiters.lock);
    ktimer_cancel(&timer->ktimer);
    timer->next = deadline;
    timer->period = period;
    timer->fired = 0;
    if (deadline != TIME_NEVER && !timer->closed) ktimer_arm(&timer->ktimer, deadline);
    spin_unlock(&timer->waiters.lock);
}

void timer_describe(struct timer *timer, struct kpio_timer_info *info) {
    spin_lock(&timer->waiters.lock);
    *info = (struct kpio_timer_info){.deadline = timer->next, .period = timer->period};
    spin_unlock(&timer->waiters.lock);
}

// The CPU that it is armed on may be late with what is due: counts it for who asks now. Who waits already is told by that CPU.
static void count_due_locked(struct timer *timer) {
    if (timer->next == TIME_NEVER || !list_is_empty(&timer->waiters.waiters)) return;
    nanos_t now = arch_now();
    uint64_t times = timer_advance(&timer->next, timer->period, now);
    if (times == 0) return;
    timer->fired += times;
    ktimer_cancel(&timer->ktimer);
    arm_locked(timer, now);
}

int64_t timer_read(struct handle *via, bool nowait, nanos_t deadline) {
    struct timer *timer = timer_of(via->object);
    spin_lock(&timer->waiters.lock);
    int64_t error = 0;
    object_expect_waits(&timer->object);
    count_due_locked(timer);
    if (timer->fired != 0) {
        uint64_t fired = timer->fired;
        timer->fired = 0;
        spin_unlock(&timer->waiters.lock);
        return (int64_t)fired;
    }
    if (nowait || object_nonblock(&timer->object)) error = -EAGAIN;
    else if (deadline == 0) error = -ETIMEDOUT;
    else if (via->value == KPIO_HANDLE_NONE) error = -ECANCELED;
    if (error != 0) {
        spin_unlock(&timer->waiters.lock);
        return error;
    }
    wait_queue_join_unlock(&timer->waiters, via, timer);
    return wait_block(deadline);
}

static void timer_handle_gone(struct object *o, struct handle *h) {
    object_cancel_waits(o, &timer_of(o)->waiters, h);
}

static void timer_unreachable(struct object *o) {
    struct timer *timer = timer_of(o);
    spin_lock(&timer->waiters.lock);
    timer->closed = true;
    timer->next = TIME_NEVER;
    ktimer_cancel(&timer->ktimer);
    spin_unlock(&timer->waiters.lock);
    wait_queue_cancel(&timer->waiters, NULL, -EDESTROYED);
}

// A timer that never had a handle may be armed by nobody; one that had is off since it became unreachable.
static uint32_t timer_signals(struct object *o, uint64_t *value) {
    struct timer *timer = timer_of(o);
    spin_lock(&timer->waiters.lock);
    *value = timer->fired;
    spin_unlock(&timer->waiters.lock);
    return *value != 0 ? KPIO_SIGNAL_FIRED : 0;
}

static const struct object_ops timer_ops = {
    .name = "timer",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT |
              KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = timer_unreachable,
    .handle_gone = timer_handle_gone,
    .signals = timer_signals,
};

int timer_create(struct job *job, struct timer **out) {
    struct timer *timer = slub_alloc_zeroed(&timer_cache);
    if (timer == NULL) return -ENOMEM;
    int error = object_init(&timer->object, KPIO_KIND_TIMER, &timer_ops, job, sizeof *timer);
    if (error != 0) {
        slub_free(&timer_cache, timer);
        return error;
    }
    wait_queue_init(&timer->waiters, "timer");
    ktimer_init(&timer->ktimer, timer_fire);
    timer->next = TIME_NEVER;
    *out = timer;
    return 0;
}

void timer_init(void) { slub_cache_init(&timer_cache, "timer", sizeof(struct timer), 0); }
