// The switch from thread to thread, inline: it is a third of an IPC round trip, and inlined into the call its registers
// are saved once. The direct switches move the entity along, so neither queue, nor timer, nor accounting is touched.
// For kernel/ipc/call.c and the scheduler.
//
// What a switch must touch: the CPU block; of each thread the first cache line (stack pointer, stack, address space,
// extended state, bases, entity), its state byte and its extended state; the TSS; CR3 if the address space changes.
#pragma once
#include "kernel/core/assert.h"
#include "kernel/sched/sched.h"

// prev ended or moves to another CPU: sees to it. Rare.
coldpath void sched_switch_work(struct cpu *c, struct thread *prev);
// The running thread, which does not run on next's entity, wakes next and gives the CPU away.
coldpath void sched_switch_return_slowly(struct thread *next);

// On the new thread's stack. Once on_cpu is false another CPU may run prev, so that is last but for the rare work, which
// owns prev.
static inline __attribute__((always_inline)) void switch_finish(void) {
    struct cpu *c = this_cpu();
    struct thread *prev = c->previous;
    __atomic_store_n(&prev->on_cpu, false, __ATOMIC_RELEASE);
    if (unlikely(c->switch_work)) sched_switch_work(c, prev);
}

static inline __attribute__((always_inline)) void switch_threads(struct cpu *c, struct thread *prev,
                                                                 struct thread *next) {
    c->current = next;
    c->previous = prev;
    next->on_cpu = true;
    next->state = THREAD_RUNNING;
    if (likely(prev->aspace != NULL)) {
        fpu_save(prev->fpu);
        segment_bases_save(&prev->bases);
    }
    if (likely(next->aspace != NULL)) {
        if (next->aspace != c->aspace) aspace_switch(next->aspace);
        if (c->fpu_owner != next || next->fpu_cpu != c->id) {
            fpu_restore(next->fpu);
            c->fpu_owner = next;
            next->fpu_cpu = c->id;
        }
        segment_bases_load(&next->bases);
    }
    if (unlikely(__atomic_load_n(&next->pending, __ATOMIC_RELAXED) != 0)) c->need_resched = true;
    context_set_kernel_stack(next->stack_top);
    context_switch(&prev->saved_rsp, next->saved_rsp);
    switch_finish();
}

// The same from one user thread straight to another, both blocked until now in IPC: what switch_threads asks is known.
static inline __attribute__((always_inline)) void switch_user_threads(struct cpu *c, struct thread *prev,
                                                                      struct thread *next) {
    c->current = next;
    c->previous = prev;
    next->on_cpu = true;
    next->state = THREAD_RUNNING;
    if (next->aspace != c->aspace) aspace_switch(next->aspace);
    context_state_switch(prev->fpu, &prev->bases, next->fpu, &next->bases);
    c->fpu_owner = next;
    next->fpu_cpu = c->id;
    if (unlikely(__atomic_load_n(&next->pending, __ATOMIC_RELAXED) != 0)) c->need_resched = true;
    context_set_kernel_stack_of(c, next->stack_top);
    context_switch(&prev->saved_rsp, next->saved_rsp);
    switch_finish();
}

// The running thread prev is BLOCKED (its wait is set up and its lock released); runs `next`, which the caller owns waking,
// on the current entity: no queue, no timer. `next` becomes a server of this CPU (next->cpu is set). next->on_cpu must be
// false. For a call: lends. Returns when prev is woken.
static inline __attribute__((always_inline)) void switch_lend(struct thread *prev, struct thread *next) {
    struct cpu *c = this_cpu();
    struct sched_entity *e = prev->entity;
    assert(prev->state == THREAD_BLOCKED && next->state == THREAD_BLOCKED);
    e->thread = next;
    next->entity = e;
    next->lender = prev;
    next->cpu = c->id;
    switch_user_threads(c, prev, next);
}

// As sched_switch_return, from the running thread prev.
static inline __attribute__((always_inline)) void switch_return(struct thread *prev, struct thread *next) {
    struct cpu *c = this_cpu();
    assert(prev->state == THREAD_BLOCKED && next->state == THREAD_BLOCKED);
    if (unlikely(prev->lender != next)) {
        sched_switch_return_slowly(next);
        return;
    }
    prev->entity->thread = next;
    prev->entity = &prev->own_entity;
    prev->lender = NULL;
    switch_user_threads(c, prev, next);
}
