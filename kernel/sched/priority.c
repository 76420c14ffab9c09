// Class, priority and affinity of a thread, and what it inherits. The queues belong to the thread's CPU, so another CPU
// asks that one.
#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue_ops.h"

struct change {
    struct thread *thread;
    bool boost_only, done;
    uint8_t boost, class_, priority;
    uint32_t weight;
    uint64_t affinity;
};

// Changes what the queueing of e depends on, while e is out of its queue.
static void apply(struct runqueue *rq, const struct change *change, struct sched_entity *e) {
    struct thread *t = change->thread;
    bool queued = e->queued, running = e == rq->running;
    nanos_t now = arch_now();
    if (queued) runqueue_dequeue(rq, e);
    if (running) {
        runqueue_charge(rq, now);
        runqueue_stop(rq, false, false);
    }
    if (change->boost_only) {
        t->boost = change->boost;
    } else {
        e->class_ = change->class_;
        e->priority = change->priority;
        e->weight = change->weight;
    }
    if (running) {
        runqueue_start(rq, e, now);
        this_cpu()->need_resched = true;
    }
    if (!queued && !running) e->rank = runqueue_rank_of(e);  // at rest: others may compare with it
    if (!queued) return;
    runqueue_enqueue(rq, e);
    if (rq->running == NULL || (runqueue_charge(rq, now), runqueue_preempts(rq, e))) this_cpu()->need_resched = true;
}

static void change_here(void *arg) {
    struct change *change = arg;
    struct thread *t = change->thread;
    if (t->cpu != cpu_id()) return;  // it moved meanwhile: the caller tries again
    struct runqueue *rq = this_runqueue();
    runqueue_flush_incoming(rq);
    if (change->boost_only) {
        apply(rq, change, t->entity);
    } else {
        apply(rq, change, &t->own_entity);
        t->affinity = change->affinity;
        if (!(t->affinity >> cpu_id() & 1)) {
            __atomic_fetch_or(&t->pending, PENDING_MIGRATE, __ATOMIC_RELAXED);
            this_cpu()->need_resched = true;
        }
    }
    change->done = true;
}

static void change_thread(struct change *change) {
    while (!change->done) {
        uint32_t cpu = __atomic_load_n(&change->thread->cpu, __ATOMIC_RELAXED);
        if (cpu == cpu_id()) {
            change_here(change);
        } else {
            arch_call_cpus(1ull << cpu, change_here, change);
        }
    }
}

void sched_set_schedule(struct thread *t, uint8_t class_, uint8_t priority, uint32_t weight, uint64_t affinity) {
    assert(affinity != 0 && weight != 0);
    struct change change = {
        .thread = t, .class_ = class_, .priority = priority, .weight = weight, .affinity = affinity};
    change_thread(&change);
}

void sched_set_boost(struct thread *t, uint8_t rank) {
    if (t->boost == rank) return;
    struct change change = {.thread = t, .boost_only = true, .boost = rank};
    change_thread(&change);
}

void sched_inherit(struct thread *t, const struct thread *waiter) {
    uint8_t rank = sched_rank(waiter);
    if (rank > sched_rank(t)) sched_set_boost(t, rank);
}
