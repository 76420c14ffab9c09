// Deferred freeing. A pointer that a lock-free lookup returned stays valid until its CPU passes a quiescent point: user
// mode, idle, a context switch or a preemption point. What such a reader may still see is freed through here.
#pragma once
#include "kernel/core/cpu.h"

struct rcu_head {
    struct rcu_head *next;
    void (*free)(struct rcu_head *head);
};

// Calls head->free(head) once every online CPU has passed a quiescent point. Kernel context with interrupts off; `free`
// runs the same way and must not block.
void rcu_call(struct rcu_head *head, void (*free)(struct rcu_head *head));

// Marks a quiescent point of this CPU. Called by the scheduler and by the exit to user mode's slow path.
static inline void rcu_quiescent(void) {
    struct cpu *c = this_cpu();
    __atomic_store_n(&c->quiescent, c->quiescent + 1, __ATOMIC_RELEASE);
}

// Runs what is due on this CPU, at most `limit` items; returns whether more is pending. To be called at quiescent points
// only: from idle, the tick, and sched_exit_work (rcu_call sets need_resched when this CPU's list gets long). While it
// returns true a tickless CPU calls it again within a millisecond or so.
bool rcu_process(unsigned limit);

// Waits until everything given to rcu_call before has run, on all CPUs. Blocks (preemption points, sleeps); no lock held.
void rcu_barrier(void);

// Provided by sched.
bool sched_preempt_point(void);
void sched_sleep_until(uint64_t deadline);
// Provided by arch: makes the CPUs in `mask` pass a quiescent point soon (a reschedule interrupt). Any context.
void arch_send_reschedule(uint64_t mask);
