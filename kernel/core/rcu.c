// Callbacks wait on lists of their CPU. A batch: the fresh ones become `waiting`, with a note of every CPU's count of
// quiescent points; when each of those CPUs has passed another point, or was seen idle, they are `done` and run.
//
//   rcu_call -> fresh -> (batch starts) waiting -> (all CPUs passed) done -> run
//
// A list is touched only by its CPU, interrupts off: no locks. CPUs that just run user code are asked by interrupt, once
// a batch has waited for a while.
#include "kernel/core/rcu.h"

#include "kernel/core/log.h"

#define LONG_LIST 64          // then this CPU shall come by soon
#define PATIENCE_NS 500000u  // before busy CPUs are interrupted
#define BARRIER_LIMIT 64
#define BARRIER_LOOKS 64u    // at what the others have done, before a barrier sleeps
#define BARRIER_NS 100000u   // between its looks from then on

// Each list is a stack: within a batch the order does not matter.
struct rcu_cpu {
    struct rcu_head *fresh, *waiting, *done;
    uint64_t queued;                 // callbacks ever given to this CPU
    uint64_t waiting_end, done_end;  // of those, the last one in the batch `waiting`, in the batch `done`
    uint64_t ran;                    // all up to this one have run; changes when a batch is through
    uint64_t missing;                // CPUs that must still pass a quiescent point for `waiting`
    uint64_t waiting_since;          // ns
    uint64_t seen[CONFIG_MAX_CPUS];
} cacheline_aligned;
static struct rcu_cpu rcu_cpus[CONFIG_MAX_CPUS];

void rcu_call(struct rcu_head *head, void (*free)(struct rcu_head *head)) {
    struct rcu_cpu *r = &rcu_cpus[cpu_id()];
    head->free = free;
    head->next = r->fresh;
    r->fresh = head;
    uint64_t queued = r->queued + 1;
    __atomic_store_n(&r->queued, queued, __ATOMIC_RELAXED);
    if (queued % LONG_LIST == 0) this_cpu()->need_resched = true;
}

static void batch_start(struct rcu_cpu *r) {
    r->waiting = r->fresh;
    r->waiting_end = r->queued;
    r->fresh = NULL;
    r->waiting_since = log_time();
    r->missing = 0;
    // What was unlinked before is seen as unlinked by whoever passes a quiescent point after the reads below.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < cpu_count; i++) {
        if (i == cpu_id()) continue;  // the caller stands at a quiescent point
        r->seen[i] = __atomic_load_n(&cpus[i].quiescent, __ATOMIC_ACQUIRE);
        r->missing |= 1ull << i;
    }
}

static void batch_check(struct rcu_cpu *r) {
    for (uint64_t rest = r->missing; rest != 0; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctzll(rest);
        if (__atomic_load_n(&cpus[i].in_idle, __ATOMIC_SEQ_CST) ||
            __atomic_load_n(&cpus[i].quiescent, __ATOMIC_ACQUIRE) != r->seen[i])
            r->missing &= ~(1ull << i);
    }
    if (r->missing == 0) {
        if (r->done != NULL) return;  // one batch after the other
        r->done = r->waiting;
        r->done_end = r->waiting_end;
        r->waiting = NULL;
    } else if (log_time() - r->waiting_since > PATIENCE_NS) {
        arch_send_reschedule(r->missing);
        r->waiting_since = log_time();
    }
}

bool rcu_process(unsigned limit) {
    struct rcu_cpu *r = &rcu_cpus[cpu_id()];
    if (r->waiting != NULL) batch_check(r);
    if (r->waiting == NULL && r->fresh != NULL) {
        batch_start(r);
        batch_check(r);
    }
    struct rcu_head *head;
    if (r->done != NULL) {
        while ((head = r->done) != NULL && limit-- > 0) {
            r->done = head->next;
            head->free(head);
        }
        if (r->done == NULL) __atomic_store_n(&r->ran, r->done_end, __ATOMIC_RELEASE);
    }
    return r->done != NULL || r->waiting != NULL || r->fresh != NULL;
}

static uint64_t cpus_behind(const uint64_t *wanted, uint32_t count) {
    uint64_t behind = 0;
    for (uint32_t i = 0; i < count; i++)
        if (__atomic_load_n(&rcu_cpus[i].ran, __ATOMIC_ACQUIRE) < wanted[i]) behind |= 1ull << i;
    return behind;
}

// The others are asked now and then, not at each look: an interrupt costs a busy CPU far more than what it is asked for.
void rcu_barrier(void) {
    uint64_t wanted[CONFIG_MAX_CPUS];
    uint32_t count = cpu_count;
    for (uint32_t i = 0; i < count; i++) wanted[i] = __atomic_load_n(&rcu_cpus[i].queued, __ATOMIC_ACQUIRE);
    for (unsigned look = 0;; look++) {
        rcu_quiescent();
        rcu_process(BARRIER_LIMIT);
        uint64_t behind = cpus_behind(wanted, count);
        if (behind == 0) return;
        if (look == 0 || look >= BARRIER_LOOKS) arch_send_reschedule(behind & ~(1ull << cpu_id()));
        if (look >= BARRIER_LOOKS) {
            sched_sleep_until(log_time() + BARRIER_NS);
        } else {
            cpu_relax();
            sched_preempt_point();
        }
    }
}
