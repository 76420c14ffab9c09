// Spreading threads over CPUs. A CPU only ever gives away threads of its own queue: an idle one asks, a busy one looks
// around when a slice ends. Loads of other CPUs are read without order; they are hints.
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue_ops.h"

#define BALANCE_INTERVAL_NS 20000000

static uint64_t online_mask(void) { return cpu_count == 64 ? ~0ull : (1ull << cpu_count) - 1; }

static uint32_t load_of(uint32_t cpu) {
    const struct runqueue *rq = &runqueues[cpu];
    return __atomic_load_n(&rq->queued, __ATOMIC_RELAXED) + (__atomic_load_n(&rq->running, __ATOMIC_RELAXED) != NULL);
}

uint32_t sched_idle_cpu_for(const struct thread *t) {
    uint64_t set = __atomic_load_n(&sched_idle_cpus, __ATOMIC_RELAXED) & t->affinity & online_mask();
    if (set == 0) return UINT32_MAX;
    if (set >> t->cpu & 1) return t->cpu;
    return (uint32_t)__builtin_ctzll(set);
}

uint32_t sched_choose_cpu(const struct thread *t) {
    uint32_t best = sched_idle_cpu_for(t), least = UINT32_MAX;
    if (best != UINT32_MAX) return best;
    best = cpu_id();
    for (uint64_t set = t->affinity & online_mask(); set != 0; set &= set - 1) {
        uint32_t cpu = (uint32_t)__builtin_ctzll(set), load = load_of(cpu) * 2 + (cpu != t->cpu);
        if (load >= least) continue;
        least = load;
        best = cpu;
    }
    return best;
}

void sched_push(struct thread *t, uint32_t cpu) {
    struct runqueue *rq = &runqueues[cpu];
    t->cpu = cpu;
    sched_note_move(t);
    struct thread *head = __atomic_load_n(&rq->woken, __ATOMIC_RELAXED);
    do {
        t->wake_next = head;
    } while (!__atomic_compare_exchange_n(&rq->woken, &head, t, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    // Who found the list not empty knows that the interrupt is on its way.
    if (head != NULL) return;
    cpus[cpu].need_resched = true;
    if (cpu != cpu_id()) arch_send_reschedule(1ull << cpu);
}

static bool give_one(struct runqueue *rq, uint32_t cpu) {
    struct sched_entity *e = runqueue_find_movable(rq, cpu);
    if (e == NULL) return false;
    runqueue_dequeue(rq, e);
    e->thread->state = THREAD_BLOCKED;  // owned by this CPU alone, as one that is being woken
    sched_push(e->thread, cpu);
    return true;
}

void sched_serve_pull(struct runqueue *rq) {
    uint64_t set = __atomic_exchange_n(&rq->pull_requests, 0, __ATOMIC_RELAXED);
    uint64_t idle = __atomic_load_n(&sched_idle_cpus, __ATOMIC_RELAXED);
    for (set &= idle; set != 0; set &= set - 1) {
        if (!give_one(rq, (uint32_t)__builtin_ctzll(set))) return;
    }
}

// Called when a slice ends while others wait.
void sched_balance(struct runqueue *rq, nanos_t now) {
    if (now < rq->balance_at || cpu_count == 1) return;
    rq->balance_at = now + BALANCE_INTERVAL_NS;
    uint32_t me = cpu_id(), best = me, least = load_of(me);
    if (least < 2) return;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        uint32_t load = load_of(cpu);
        if (load >= least) continue;
        least = load;
        best = cpu;
    }
    if (best != me && least + 2 <= load_of(me)) (void)give_one(rq, best);
}

// This CPU has nothing to do: asks the one with the longest queue.
void sched_ask_for_work(struct runqueue *rq) {
    uint32_t me = cpu_id(), best = me, most = 0;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++) {
        uint32_t queued = __atomic_load_n(&runqueues[cpu].queued, __ATOMIC_RELAXED);
        if (queued <= most || cpu == me) continue;
        most = queued;
        best = cpu;
    }
    if (best == me) return;
    struct runqueue *busy = &runqueues[best];
    if (__atomic_fetch_or(&busy->pull_requests, 1ull << me, __ATOMIC_SEQ_CST) != 0) return;
    cpus[best].need_resched = true;
    arch_send_reschedule(1ull << best);
}
