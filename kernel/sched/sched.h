// The scheduler. Everything here runs with interrupts off.
#pragma once
#include "kernel/arch/x86_64/stack.h"
#include "kernel/core/assert.h"
#include "kernel/sched/thread.h"

void sched_init(void);      // boot CPU; makes the running context the boot CPU's first kernel thread
void sched_init_ap(void);   // every other CPU: the running context becomes its idle thread
[[gnu::noreturn]] void sched_idle_loop(void);  // the end of kernel_ap_main

// Work for idle CPUs, in bounded pieces; returns whether there is more. `hook` is static; registered during boot.
struct sched_idle_hook {
    bool (*step)(void);
    struct sched_idle_hook *next;
};
void sched_idle_hook_register(struct sched_idle_hook *hook);

// Prepares scheduling fields of a zeroed thread (entity fair, weight 1024, all CPUs, state NEW). The caller has set
// stack_top, aspace, fpu, name, id and prepared saved_rsp with context_prepare.
void sched_thread_init(struct thread *t);
// The first thing that a thread's entry function calls, on its own stack.
void sched_thread_begin(void);
// Makes a NEW thread READY on the best allowed CPU.
void sched_thread_start(struct thread *t);
// The running thread never runs again. Its memory may be freed (through RCU) once t->on_cpu is false; then
// sched_thread_gone(t) was called on its CPU.
[[gnu::noreturn]] void sched_thread_exit(void);
void sched_thread_gone(struct thread *t);  // provided by object/thread.c; from the next thread's context

// What a thread with pending bits or a restart area does before it returns to user mode with *frame: it ends (then this does
// not return), leaves a restartable section, or enters its exception entry. Provided by object/thread.c.
void thread_serve_pending(struct trap_frame *frame);

// Switches CR3 and cpu->aspace; called when cpu->aspace is another. Provided by mm.
void aspace_switch(struct aspace *next);
// Loads the kernel's own page tables: an idle CPU is then no target of TLB shoot-downs. Provided by mm.
void aspace_leave(void);

// A kernel thread, READY; ends with sched_thread_exit or by returning from entry. NULL when out of memory.
struct thread *sched_kthread_create(const char *name, void (*entry)(void *arg), void *arg);

// Gives the CPU away: picks the best entity. The running thread stays READY (yield, preemption) or is BLOCKED.
void sched_schedule(void);
void sched_yield(void);
// At the end of a system call that may have woken somebody more urgent: lets it run now, which spares the slow way out of
// the kernel. No lock held, no pointer from a handle lookup used afterwards.
static inline void sched_let_run(void) {
    if (unlikely(this_cpu()->need_resched)) sched_schedule();
}
// Opens interrupts for a moment, reschedules if due, marks a quiescent point. In loops of user-controlled length; no
// spin lock held, no handle-table pointer kept across it. Returns true when the thread has been killed: give up.
bool sched_preempt_point(void);
// Makes t runnable: t is BLOCKED and the caller owns waking it (cleared wait.lock). Any CPU.
void sched_wake(struct thread *t);
// Whether t, which the caller owns waking, may take this CPU by a direct switch.
bool sched_can_take(struct thread *t);  // from another CPU
static inline bool sched_can_switch(struct thread *t) { return likely(t->cpu == cpu_id()) || sched_can_take(t); }
// t goes to another CPU, before it runs there: its restart area is told.
static inline void sched_note_move(struct thread *t) {
    if (unlikely(t->restart_area != 0)) __atomic_fetch_or(&t->pending, PENDING_RESTART, __ATOMIC_RELAXED);
}
// The running thread, on its way back to where it was in user mode, may have been away from its CPU other than in
// sched_exit_work: a restartable section has ended.
static inline void sched_note_pause(void) {
    if (unlikely(current_thread()->restart_area != 0)) this_cpu()->need_resched = true;
}
// The running thread is BLOCKED; hands the CPU to `next`. If both run on one entity (a reply to the lender) it goes back
// to `next`, and the running thread's own entity is at rest; else next's entity takes the CPU as after sched_wake.
void sched_switch_return(struct thread *next);
// The running thread gets a caller's entity (the caller is BLOCKED, on this CPU, at the end of its chain) or gives the one
// that it has back without blocking (its own): makes `entity` what it runs on. The other one is at rest.
void sched_adopt(struct sched_entity *entity);
static inline bool sched_can_adopt(const struct thread *caller) { return caller->cpu == cpu_id() && !caller->on_cpu; }

// Sets bits in t->pending and makes sure that t notices: a wait is cancelled with -EINTR (-ECANCELED for kill), a CPU in
// user mode is interrupted. Any CPU; may wait for another CPU, so no lock that another takes without cpu_relax.
void thread_set_pending(struct thread *t, uint8_t bits);
// class_ KPIO_SCHED_*, priority 1..99 for real-time, weight 1..10000 for fair; affinity is not empty.
void sched_set_schedule(struct thread *t, uint8_t class_, uint8_t priority, uint32_t weight, uint64_t affinity);
// Rank of what t runs on; for comparing urgency.
static inline uint8_t sched_rank(const struct thread *t) {
    uint8_t rank = t->entity->rank;
    return t->boost > rank ? t->boost : rank;
}
// Priority inheritance: t runs at least as urgently as `waiter`, until sched_restore_priority(t). Spin locks may be held.
void sched_inherit(struct thread *t, const struct thread *waiter);
// Sets what t inherits: RANK_NONE, or the rank of the most urgent waiter left.
void sched_set_boost(struct thread *t, uint8_t rank);
static inline void sched_restore_priority(struct thread *t) {
    if (t->boost != t->pi_boost) sched_set_boost(t, t->pi_boost);
}

// ---- waiting -----------------------------------------------------------------------------------------------------------
// 1. spin_lock(lock); decide to wait; link current->wait.node; wait_prepare(lock, unlink, via, object); spin_unlock(lock)
// 2. result = wait_block(deadline)
// A waker holds the lock, unlinks the thread, and calls wait_wake_locked.
//
// Who ends a wait from outside (a kill, a time-out) reads wait.lock and then takes that lock, when the wait may be long over:
// the lock is static, or an object's, or its memory is freed through rcu_call. It is never on a stack. Waits that only a
// waker ends show no lock, so theirs may be anywhere (wait_prepare_always).

// Marks the running thread as waiting. *lock is held.
static inline void wait_prepare_self(struct thread *t, struct spinlock *lock, void (*unlink)(struct thread *t),
                                     struct handle *via, void *object) {
    assert(unlink != NULL && (uint64_t)lock - (t->stack_top - KERNEL_STACK_SIZE) >= KERNEL_STACK_SIZE);
    t->wait.unlink = unlink;
    t->wait.via = via;
    t->wait.object = object;
    t->state = THREAD_BLOCKED;
    __atomic_store_n(&t->wait.lock, lock, __ATOMIC_RELEASE);
}
static inline void wait_prepare(struct spinlock *lock, void (*unlink)(struct thread *t), struct handle *via, void *object) {
    wait_prepare_self(current_thread(), lock, unlink, via, object);
}
// Sleeps until woken; arms a timer unless deadline is TIME_NEVER. Returns wait.result: the waker's, or -ETIMEDOUT,
// -EINTR, -ECANCELED. Never returns with the thread still linked.
int64_t wait_block_slowly(nanos_t deadline);
static inline int64_t wait_block(nanos_t deadline) {
    struct thread *t = current_thread();
    if (unlikely(deadline != TIME_NEVER || __atomic_load_n(&t->pending, __ATOMIC_RELAXED) != 0))
        return wait_block_slowly(deadline);
    sched_schedule();
    return t->wait.result;
}
// The same for a wait that thread_interrupt does not end, but a kill does: the waker's result, -ETIMEDOUT or -ECANCELED; or, for
// one that came just before it began, -EINTR: then wait again.
int64_t wait_block_killable(nanos_t deadline);
void wait_queue_unlink(struct thread *t);  // wait.unlink of waiters in a queue, and of a thread that does not wait yet
// For waits that nothing but a waker ends, no kill either (kernel/sched/mutex.h). The lock of the queue is held.
static inline void wait_prepare_always(void) {
    struct thread *t = current_thread();
    t->wait.unlink = NULL;
    t->state = THREAD_BLOCKED;
}
static inline void wait_block_always(void) {
    sched_schedule();
    current_thread()->wait.unlink = wait_queue_unlink;
}
// wait_block for a thread that hands its CPU to `next` by switch_lend (kernel/sched/switch.h) or sched_switch_return.
int64_t wait_block_lend(nanos_t deadline, struct thread *next);
int64_t wait_block_lend_killable(nanos_t deadline, struct thread *next);  // as wait_block_killable
int64_t wait_block_return(nanos_t deadline, struct thread *next);
// As wait_wake_locked, but leaves making it runnable to the caller (direct switch).
static inline void wait_claim_locked(struct thread *t, int64_t result) {
    t->wait.result = result;
    __atomic_store_n(&t->wait.lock, NULL, __ATOMIC_RELEASE);
}
// t->wait.lock is held and t was unlinked by the caller: wakes it with this result.
static inline void wait_wake_locked(struct thread *t, int64_t result) {
    wait_claim_locked(t, result);
    sched_wake(t);
}
// Whether a blocked thread still waits for something. Of one in a wait that nothing but a waker ends also when it was woken.
static inline bool wait_is_on(const struct thread *t) {
    return __atomic_load_n(&t->wait.lock, __ATOMIC_ACQUIRE) != NULL || __atomic_load_n(&t->wait.unlink, __ATOMIC_RELAXED) == NULL;
}
// Ends whatever t waits for. Returns false when it was not waiting. Any CPU, no lock held.
bool wait_cancel(struct thread *t, int64_t result);

// Sleeps for kernel code, of a killed thread too: gives the CPU away and comes back at the deadline, not earlier. No lock
// held but mutexes.
void sched_sleep_until(nanos_t deadline);
// Sleeps until the thread is killed or interrupted.
void sched_wait_for_kill(void);

// A queue of waiters with its lock, for simple objects.
struct wait_queue {
    struct spinlock lock;
    struct list waiters;  // by wait.node
};
void wait_queue_init(struct wait_queue *q, const char *name);
// q->lock is held: links the running thread at the end, prepares its wait, and releases the lock. Then wait_block.
static inline void wait_queue_join_unlock(struct wait_queue *q, struct handle *via, void *object) {
    list_push_back(&q->waiters, &current_thread()->wait.node);
    wait_prepare(&q->lock, wait_queue_unlink, via, object);
    spin_unlock(&q->lock);
}
// The same for wait_block_always.
static inline void wait_queue_join_always_unlock(struct wait_queue *q) {
    list_push_back(&q->waiters, &current_thread()->wait.node);
    wait_prepare_always();
    spin_unlock(&q->lock);
}
// Wakes up to `count` waiters, the longest first. q->lock is held. Returns how many.
uint32_t wait_queue_wake_locked(struct wait_queue *q, uint32_t count, int64_t result);
// Wakes all who wait through `via` (NULL: all); `_locked` with q->lock held.
void wait_queue_cancel_locked(struct wait_queue *q, const struct handle *via, int64_t result);
void wait_queue_cancel(struct wait_queue *q, const struct handle *via, int64_t result);

// ---- timers ------------------------------------------------------------------------------------------------------------
void ktimer_init(struct ktimer *timer, void (*fire)(struct ktimer *timer));
// Arms on this CPU (moves an armed one). Cheap: a list insert; the hardware is touched only for a deadline earlier than
// the one it is set to.
void ktimer_arm(struct ktimer *timer, nanos_t deadline);
// Returns false when it was not armed (it fired or fires now). On another CPU's timer: asks that CPU and waits.
bool ktimer_cancel(struct ktimer *timer);

// CPU time of t up to now, what it lent to those it called included. No quiescent point meanwhile.
nanos_t sched_cpu_time(const struct thread *t);

struct sched_stats {
    uint64_t idle_ns, switches, interrupts;
};
void sched_stats(struct sched_stats *out);
