// What a CPU does when no thread is runnable: deferred frees, work registered for idle CPUs, asking busy CPUs for threads,
// and sleep without a tick.
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue.h"

#define RCU_BATCH 64
#define RCU_POLL_NS 1000000  // while deferred frees wait for other CPUs

static struct sched_idle_hook *idle_hooks;

void sched_idle_hook_register(struct sched_idle_hook *hook) {
    hook->next = idle_hooks;
    __atomic_store_n(&idle_hooks, hook, __ATOMIC_RELEASE);
}

static bool run_hooks(void) {
    bool more = false;
    for (struct sched_idle_hook *hook = __atomic_load_n(&idle_hooks, __ATOMIC_ACQUIRE); hook != NULL; hook = hook->next)
        more |= hook->step();
    return more;
}

static void sleep_until_interrupt(struct runqueue *rq) {
    nanos_t began = arch_now();
    aspace_leave();
    arch_idle();
    rq->idle_ns += arch_now() - began;
}

// Nothing is runnable as far as this CPU knows; returns when that may have changed.
static void idle_until_resched(struct cpu *c, struct runqueue *rq) {
    sched_ask_for_work(rq);
    while (!c->need_resched) {
        rcu_quiescent();
        bool frees_wait = rcu_process(RCU_BATCH);
        if (run_hooks()) {
            arch_irq_window();
            continue;
        }
        if (frees_wait) sched_timer_request(rq, arch_now() + RCU_POLL_NS);
        sleep_until_interrupt(rq);
    }
}

void sched_idle_loop(void) {
    struct cpu *c = this_cpu();  // an idle thread never moves
    struct runqueue *rq = &runqueues[c->id];
    uint64_t bit = 1ull << c->id;
    for (;;) {
        __atomic_fetch_or(&sched_idle_cpus, bit, __ATOMIC_SEQ_CST);
        idle_until_resched(c, rq);
        __atomic_fetch_and(&sched_idle_cpus, ~bit, __ATOMIC_SEQ_CST);
        sched_schedule();
    }
}
