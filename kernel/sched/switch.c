// Changing the thread that runs on this CPU: what is not in switch.h because it is rare, and lending.
#include "kernel/sched/switch.h"

#include "kernel/core/assert.h"
#include "kernel/sched/runqueue_ops.h"

// What is left to do for the thread that was switched away from: it ended or moves to another CPU.
static void switch_work(struct cpu *c, struct thread *prev) {
    c->switch_work = false;
    if (prev->state == THREAD_DEAD) {
        if (prev->process == NULL) {
            sched_kthread_gone(prev);
        } else {
            sched_thread_gone(prev);
        }
    } else {
        sched_push(prev, runqueues[c->id].push_cpu);
    }
}

void sched_switch_work(struct cpu *c, struct thread *prev) { switch_work(c, prev); }

void sched_thread_begin(void) { switch_finish(); }


void sched_switch_return(struct thread *next) { switch_return(current_thread(), next); }

// It goes to sleep for whoever lends next, and that one must find it on its own entity.
void sched_switch_return_slowly(struct thread *next) {
    struct thread *self = current_thread();
    if (self->entity != &self->own_entity) sched_adopt(&self->own_entity);
    sched_wake(next);
    sched_schedule();
}

void sched_adopt(struct sched_entity *entity) {
    struct thread *t = current_thread();
    struct runqueue *rq = this_runqueue();
    struct sched_entity *old = t->entity;
    if (entity == old) return;
    nanos_t now = arch_now();
    struct thread *lender = t->lender;
    t->lender = NULL;
    runqueue_charge(rq, now);
    runqueue_stop(rq, false, false);
    if (entity != &t->own_entity) {
        t->lender = entity->thread;
        entity->thread = t;
    }
    t->entity = entity;
    runqueue_start(rq, entity, now);
    runqueue_set_slice(rq, now);
    // Last: the lender now lends nothing, and whoever wakes it may take it to another CPU.
    if (old != &t->own_entity) __atomic_store_n(&old->thread, lender, __ATOMIC_RELEASE);
}

// t's own entity runs, waits or rests with `end`, the last of the chain t <- s1 <- ... <- end. s1's own entity takes its
// place for s1 and all behind it.
void sched_take_back(struct runqueue *rq, struct thread *t) {
    runqueue_flush_incoming(rq);  // it may be the one that runs on t's entity
    struct sched_entity *e = t->entity;
    struct thread *end = e->thread, *s = end;
    while (s->lender != t) s = s->lender;
    struct sched_entity *fallback = &s->own_entity;
    fallback->thread = end;
    e->thread = t;
    for (struct thread *on = end; on != s; on = on->lender) on->entity = fallback;
    s->lender = NULL;
    if (e == rq->running) {
        nanos_t now = arch_now();
        runqueue_charge(rq, now);
        runqueue_stop(rq, false, false);
        runqueue_start(rq, fallback, now);
    } else if (e->queued) {
        runqueue_dequeue(rq, e);
        runqueue_enqueue(rq, fallback);
    }
    // Last: if s is the end, it borrows nothing now, and whoever wakes it may take it to another CPU.
    __atomic_store_n(&s->entity, fallback, __ATOMIC_RELEASE);
}
