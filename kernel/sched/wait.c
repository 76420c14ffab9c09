// Waiting. wait.lock is the claim: whoever clears it, under that lock, owns waking the thread.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue.h"
#include "kernel/sched/switch.h"
#include "kernel/sched/wait_walk.h"

// The lock of what t waits for, held; or NULL, also when only a waker ends that wait. t may be woken and wait for something
// else at any moment, so the pointer is read again under the lock. RCU keeps the lock's memory: no quiescent point between.
static struct spinlock *lock_wait(struct thread *t) {
    for (;;) {
        struct spinlock *lock = __atomic_load_n(&t->wait.lock, __ATOMIC_ACQUIRE);
        if (lock == NULL) return NULL;
        spin_lock(lock);
        if (likely(__atomic_load_n(&t->wait.lock, __ATOMIC_RELAXED) == lock)) return lock;
        spin_unlock(lock);
    }
}

// Takes t off what it waits for; the caller owns waking it.
static bool claim_wait(struct thread *t, int64_t result) {
    struct spinlock *lock = lock_wait(t);
    if (lock == NULL) return false;
    bool ends = !(result == -EINTR && t->kill_only);
    if (ends) {
        t->wait.unlink(t);
        wait_claim_locked(t, result);
    }
    spin_unlock(lock);
    return ends;
}

bool wait_cancel(struct thread *t, int64_t result) {
    if (!claim_wait(t, result)) return false;
    sched_wake(t);
    return true;
}

// The deadline is compared under the lock: a timer that fired late, on another CPU, must not end the next wait.
static void wait_expired(struct ktimer *timer) {
    struct thread *t = container_of(timer, struct thread, deadline_timer);
    struct spinlock *lock = lock_wait(t);
    if (lock == NULL) return;
    if (timer->deadline > arch_now()) {
        spin_unlock(lock);
        return;
    }
    t->wait.unlink(t);
    wait_claim_locked(t, -ETIMEDOUT);
    spin_unlock(lock);
    sched_wake(t);
}

void wait_init(struct thread *t) {
    t->wait.unlink = wait_queue_unlink;
    ktimer_init(&t->deadline_timer, wait_expired);
    t->deadline_timer.deadline = TIME_NEVER;
}

// Something happened before the running thread went to sleep. Ends its wait if nobody else did; who did puts it on this
// CPU's wake list, so that it comes back from sched_schedule.
static coldpath bool end_own_wait(struct thread *t, int64_t result) {
    if (!claim_wait(t, result)) return false;
    t->state = THREAD_RUNNING;
    return true;
}

// Returns true when the wait is over already.
static inline bool begin_wait(struct thread *t, nanos_t deadline) {
    uint8_t pending = __atomic_load_n(&t->pending, __ATOMIC_RELAXED);
    if (unlikely(pending & (PENDING_KILL | PENDING_INTERRUPT)) &&
        end_own_wait(t, pending & PENDING_KILL ? -ECANCELED : -EINTR))
        return true;
    if (deadline == TIME_NEVER) return false;
    // 0 asks not to wait. Another past deadline is found by the timer's interrupt, at once.
    if (deadline == 0 && end_own_wait(t, -ETIMEDOUT)) return true;
    sched_timer_arm(this_runqueue(), &t->deadline_timer, deadline);
    return false;
}

static inline int64_t end_wait(struct thread *t, nanos_t deadline) {
    if (deadline != TIME_NEVER) {
        sched_timer_cancel(&t->deadline_timer);
        t->deadline_timer.deadline = TIME_NEVER;
    }
    return t->wait.result;
}

int64_t wait_block_slowly(nanos_t deadline) {
    struct thread *t = current_thread();
    if (!begin_wait(t, deadline)) sched_schedule();
    return end_wait(t, deadline);
}

// An interrupt that comes before the flag is set ends the wait all the same; the caller then waits again.
int64_t wait_block_killable(nanos_t deadline) {
    struct thread *t = current_thread();
    t->kill_only = true;
    int64_t result = wait_block_slowly(deadline);
    t->kill_only = false;
    return result;
}

// When the wait is over before it began, `next` gets no CPU from here and is woken the ordinary way.
int64_t wait_block_lend(nanos_t deadline, struct thread *next) {
    struct thread *t = current_thread();
    if (unlikely(begin_wait(t, deadline))) {
        sched_wake(next);
    } else {
        switch_lend(t, next);
    }
    return end_wait(t, deadline);
}

int64_t wait_block_lend_killable(nanos_t deadline, struct thread *next) {
    struct thread *t = current_thread();
    t->kill_only = true;
    int64_t result = wait_block_lend(deadline, next);
    t->kill_only = false;
    return result;
}

int64_t wait_block_return(nanos_t deadline, struct thread *next) {
    struct thread *t = current_thread();
    if (unlikely(begin_wait(t, deadline))) {
        if (t->lender == next) sched_adopt(&t->own_entity);
        sched_wake(next);
    } else {
        sched_switch_return(next);
    }
    return end_wait(t, deadline);
}

// Whoever cancels only after the bits are set cannot miss a wait that began before it looked at them. A wait that begins
// right now may not be visible yet, and its thread may have looked at the bits too early: asking its CPU makes both
// settle (that CPU answers between two instructions of user mode, idle or a spin, so its stores are out), then look again.
static void settle(void *unused) {
    (void)unused;
    this_cpu()->need_resched = true;
}

void thread_set_pending(struct thread *t, uint8_t bits) {
    __atomic_fetch_or(&t->pending, bits, __ATOMIC_SEQ_CST);
    int64_t result = bits & PENDING_KILL ? -ECANCELED : -EINTR;
    bool ends_wait = bits & (PENDING_KILL | PENDING_INTERRUPT);
    if (ends_wait && wait_cancel(t, result)) return;
    uint32_t cpu = __atomic_load_n(&t->cpu, __ATOMIC_RELAXED);
    if (cpu == cpu_id()) {
        if (t == current_thread()) this_cpu()->need_resched = true;
        return;
    }
    arch_call_cpus(1ull << cpu, settle, NULL);
    if (ends_wait) (void)wait_cancel(t, result);
}

// ---- simple queues -----------------------------------------------------------------------------------------------------

void wait_queue_init(struct wait_queue *q, const char *name) {
    spin_init(&q->lock, name);
    list_init(&q->waiters);
}

void wait_queue_unlink(struct thread *t) { list_remove(&t->wait.node); }

uint32_t wait_queue_wake_locked(struct wait_queue *q, uint32_t count, int64_t result) {
    uint32_t woken = 0;
    for (; woken < count; woken++) {
        struct thread *t = list_pop_front_entry(&q->waiters, struct thread, wait.node);
        if (t == NULL) break;
        wait_wake_locked(t, result);
    }
    return woken;
}

void wait_queue_cancel_locked(struct wait_queue *q, const struct handle *via, int64_t result) {
    list_for_each_entry_safe(wait, &q->waiters, struct wait_state, node) {
        if (wait_is_marker(wait) || (via != NULL && wait->via != via)) continue;
        list_remove(&wait->node);
        wait_wake_locked(container_of(wait, struct thread, wait), result);
    }
}

void wait_queue_cancel(struct wait_queue *q, const struct handle *via, int64_t result) {
    spin_lock(&q->lock);
    wait_queue_cancel_locked(q, via, result);
    spin_unlock(&q->lock);
}
