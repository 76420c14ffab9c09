// Choosing who runs, waking, and the points where a CPU is given away.
#include "kernel/sched/sched.h"

#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/sched/runqueue_ops.h"
#include "kernel/sched/switch.h"

#define RCU_BATCH 96  // deferred frees that a thread does on its way out: more than come between two such ways (LONG_LIST in rcu.c)

void sched_thread_init(struct thread *t) {
    struct sched_entity *e = &t->own_entity;
    e->thread = e->owner = t;
    e->class_ = KPIO_SCHED_FAIR;
    e->weight = FAIR_WEIGHT;
    e->rank = RANK_FAIR;
    t->entity = e;
    t->state = THREAD_NEW;
    t->affinity = ~0ull;
    t->fpu_cpu = UINT32_MAX;
    list_init(&t->pi_waiters);
    spin_init(&t->bind_lock, "bind");
    spin_init(&t->many_lock, "wait many");
    wait_init(t);
}

static void init_cpu(struct thread *t) {
    struct cpu *c = this_cpu();
    struct runqueue *rq = &runqueues[c->id];
    runqueue_init(rq);
    sched_thread_init(t);
    t->cpu = c->id;
    t->affinity = 1ull << c->id;
    t->on_cpu = true;
    t->state = THREAD_RUNNING;
    t->stack_top = c->kernel_stack;
    c->current = t;
}

void sched_init(void) {
    struct runqueue *rq = this_runqueue();
    struct thread *t = &rq->idle_thread;
    *t = (struct thread){.name = "main"};
    init_cpu(t);
    runqueue_start(rq, t->entity, arch_now());
    rq->idle = sched_idle_create();
}

void sched_init_ap(void) {
    struct runqueue *rq = this_runqueue();
    rq->idle_thread = (struct thread){.name = "idle"};
    init_cpu(&rq->idle_thread);
    rq->idle = &rq->idle_thread;
    __atomic_fetch_or(&sched_idle_cpus, 1ull << cpu_id(), __ATOMIC_RELAXED);
}

// ---- waking ------------------------------------------------------------------------------------------------------------

static bool is_allowed(const struct thread *t, uint32_t cpu) { return t->affinity >> cpu & 1; }

// Sends t to a CPU that it is allowed on or that has nothing else to do. False: it stays here.
static coldpath bool wake_elsewhere(struct cpu *c, struct runqueue *rq, struct thread *t) {
    if (!sched_is_movable(t) || t == c->current) return false;
    uint32_t target = UINT32_MAX;
    if (!is_allowed(t, c->id)) target = sched_choose_cpu(t);
    else if (rq->running != NULL) target = sched_idle_cpu_for(t);
    if (target >= CONFIG_MAX_CPUS || target == c->id) return false;
    sched_push(t, target);
    return true;
}

// e competes and is not queued: it is to start next, or waits in the queue.
static inline void decide_preemption(struct cpu *c, struct runqueue *rq, struct sched_entity *e) {
    bool preempts = e->rank > rq->running->rank, slice_over = false;
    nanos_t now = 0;
    if (!preempts) {
        now = arch_now();
        slice_over = runqueue_charge(rq, now);
        preempts = runqueue_preempts(rq, e);
    }
    if (preempts && !c->need_resched) {
        rq->incoming = e;
        c->need_resched = true;
        return;
    }
    runqueue_insert(rq, e, false);
    if (preempts || slice_over) {
        c->need_resched = true;
    } else if (rq->slice_end == TIME_NEVER) {
        runqueue_set_slice(rq, now);
    }
}

// t is off this CPU or (found on the wake list) about to leave it, and belongs to this CPU.
static inline __attribute__((always_inline)) void wake_here(struct runqueue *rq, struct thread *t) {
    struct cpu *c = this_cpu();
    sched_timer_cancel(&t->deadline_timer);
    if (unlikely(!is_allowed(t, c->id) || __atomic_load_n(&sched_idle_cpus, __ATOMIC_RELAXED) != 0) && wake_elsewhere(c, rq, t))
        return;
    struct sched_entity *e = t->entity;
    if (unlikely(e->thread != t)) sched_take_back(rq, t);
    t->state = THREAD_READY;
    runqueue_join(rq, e);
    if (unlikely(rq->running == NULL)) {
        runqueue_insert(rq, e, false);
        // From sched_schedule, which looks at the queue next; or from the idle thread.
        if (c->current->state == THREAD_RUNNING) c->need_resched = true;
        return;
    }
    decide_preemption(c, rq, e);
}

static void wake_local(struct runqueue *rq, struct thread *t) { wake_here(rq, t); }

// Takes over what other CPUs put on the wake list, the longest waiting first.
static coldpath void take_woken(struct runqueue *rq) {
    struct thread *list = __atomic_exchange_n(&rq->woken, NULL, __ATOMIC_ACQUIRE), *in_order = NULL;
    while (list != NULL) {
        struct thread *t = list;
        list = t->wake_next;
        t->wake_next = in_order;
        in_order = t;
    }
    while (in_order != NULL) {
        struct thread *t = in_order;
        in_order = t->wake_next;
        wake_local(rq, t);
    }
}

// A thread that still is on its CPU, lends or borrows goes back to its CPU. Others may wake where a CPU has nothing to do.
static coldpath void wake_remote(struct thread *t) {
    uint32_t target = t->cpu;
    bool off_cpu = !__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE);
    if (off_cpu && sched_is_movable(t) && t->deadline_timer.where == TIMER_OFF &&
        !(__atomic_load_n(&sched_idle_cpus, __ATOMIC_RELAXED) >> target & 1)) {
        uint32_t idle = sched_idle_cpu_for(t);
        if (idle < CONFIG_MAX_CPUS) target = idle;
    }
    if (target == cpu_id()) {
        t->cpu = target;
        sched_note_move(t);
        wake_local(this_runqueue(), t);
        return;
    }
    sched_push(t, target);
}

void sched_wake(struct thread *t) {
    assert(t->state == THREAD_BLOCKED);
    if (likely(t->cpu == cpu_id())) {
        wake_here(this_runqueue(), t);
    } else {
        wake_remote(t);
    }
}

void sched_thread_start(struct thread *t) {
    assert(t->state == THREAD_NEW);
    t->state = THREAD_BLOCKED;
    uint32_t target = sched_choose_cpu(t);
    if (target == cpu_id()) {
        t->cpu = target;
        wake_local(this_runqueue(), t);
    } else {
        sched_push(t, target);
    }
}

coldpath bool sched_can_take(struct thread *t) {
    if (__atomic_load_n(&t->on_cpu, __ATOMIC_ACQUIRE) || !is_allowed(t, cpu_id())) return false;
    sched_note_move(t);
    return true;
}

// ---- giving the CPU away -----------------------------------------------------------------------------------------------

// Who runs next. The incoming one if nothing real-time waits: it goes before the one that ran, who was the best.
static inline struct sched_entity *start_best(struct runqueue *rq, nanos_t now) {
    struct sched_entity *e = rq->incoming;
    if (e != NULL && likely((rq->realtime_set[0] | rq->realtime_set[1]) == 0)) {
        rq->incoming = NULL;
        e->exec_start = now;
        rq->running = e;
        return e;
    }
    if (unlikely(e != NULL)) runqueue_flush_incoming(rq);
    return runqueue_start_next(rq, now);
}

void sched_schedule(void) {
    struct cpu *c = this_cpu();
    struct runqueue *rq = &runqueues[c->id];
    struct thread *prev = c->current;
    assert(!c->in_interrupt && lockdep_held() == 0);
    nanos_t now = arch_now();
    // Cleared before the wake list is looked at: who adds to it afterwards sets it again. The exchange is the barrier
    // between the two.
    (void)__atomic_exchange_n(&c->need_resched, false, __ATOMIC_SEQ_CST);
    if (rq->running != NULL) {
        bool slice_over = runqueue_charge(rq, now);
        bool stays = prev->state == THREAD_RUNNING && !c->switch_work;
        if (stays) prev->state = THREAD_READY;
        runqueue_stop(rq, stays, slice_over);
    } else if (prev == rq->idle) {
        prev->state = THREAD_READY;
    }
    if (unlikely(__atomic_load_n(&rq->woken, __ATOMIC_RELAXED) != NULL)) take_woken(rq);
    if (unlikely(__atomic_load_n(&rq->pull_requests, __ATOMIC_RELAXED) != 0)) sched_serve_pull(rq);
    struct sched_entity *e = start_best(rq, now);
    struct thread *next = e != NULL ? e->thread : rq->idle;
    runqueue_set_slice(rq, now);
    rcu_quiescent();
    if (next == prev) {
        prev->state = THREAD_RUNNING;
        // What is pending still waits for the way out to user mode.
        if (unlikely(__atomic_load_n(&prev->pending, __ATOMIC_RELAXED) != 0)) c->need_resched = true;
        return;
    }
    rq->switches++;
    switch_threads(c, prev, next);
}

void sched_yield(void) {
    struct runqueue *rq = this_runqueue();
    struct sched_entity *e = rq->running;
    if (e != NULL && rq->queued != 0) {
        // Gives up the rest of the slice: its deadline moves behind those that wait.
        if (e->rank == RANK_FAIR) {
            e->deadline += fair_virtual_slice(e);
        } else {
            e->slice_left = 0;
        }
    }
    sched_schedule();
}

void sched_thread_exit(void) {
    struct cpu *c = this_cpu();
    struct thread *t = c->current;
    if (t->entity != &t->own_entity) sched_adopt(&t->own_entity);
    assert(t->own_entity.thread == t);
    if (t->deadline_timer.where != TIMER_OFF) ktimer_cancel(&t->deadline_timer);
    t->state = THREAD_DEAD;
    c->switch_work = true;
    sched_schedule();
    __builtin_unreachable();
}

// The running thread must not stay on this CPU: switches away and lets the next thread hand it over.
static coldpath void migrate_away(struct cpu *c, struct thread *t) {
    __atomic_and_fetch(&t->pending, (uint8_t)~PENDING_MIGRATE, __ATOMIC_RELAXED);
    // On a lent entity it stays with its chain; it moves when it wakes next.
    if (is_allowed(t, c->id) || !sched_is_movable(t)) return;
    uint32_t target = sched_choose_cpu(t);
    if (target == c->id) return;
    runqueues[c->id].push_cpu = target;
    c->switch_work = true;
    t->state = THREAD_BLOCKED;
    sched_schedule();
}

void sched_exit_work(void) {
    sched_schedule();
    struct thread *t = current_thread();
    if (unlikely(__atomic_load_n(&t->pending, __ATOMIC_RELAXED) & PENDING_MIGRATE)) migrate_away(this_cpu(), t);
    rcu_process(RCU_BATCH);
    bool pending = __atomic_load_n(&t->pending, __ATOMIC_RELAXED) & (PENDING_KILL | PENDING_INTERRUPT);
    if (unlikely(pending || t->restart_area != 0)) thread_serve_pending(context_user_frame(t->stack_top));
}

bool sched_preempt_point(void) {
    assert(lockdep_held() == 0);
    rcu_quiescent();
    arch_irq_window();
    if (this_cpu()->need_resched) sched_schedule();
    return (__atomic_load_n(&current_thread()->pending, __ATOMIC_RELAXED) & PENDING_KILL) != 0;
}

void sched_stats(struct sched_stats *out) {
    *out = (struct sched_stats){0};
    for (uint32_t i = 0; i < cpu_count; i++) {
        out->idle_ns += runqueues[i].idle_ns;
        out->switches += runqueues[i].switches;
        out->interrupts += runqueues[i].interrupts;
    }
}

// Read while another CPU may charge it: exec_start changes whenever runtime does.
nanos_t sched_cpu_time(const struct thread *t) {
    const struct sched_entity *e = &t->own_entity;
    for (;;) {
        uint64_t start = __atomic_load_n(&e->exec_start, __ATOMIC_ACQUIRE);
        uint64_t runtime = __atomic_load_n(&e->runtime, __ATOMIC_ACQUIRE);
        const struct thread *on = __atomic_load_n(&e->thread, __ATOMIC_ACQUIRE);
        bool running = on->entity == e && __atomic_load_n(&on->on_cpu, __ATOMIC_ACQUIRE);
        nanos_t now = arch_now();
        if (__atomic_load_n(&e->exec_start, __ATOMIC_ACQUIRE) != start) continue;
        return runtime + (running && now > start ? now - start : 0);
    }
}
