// Fork. The new process is put together where nobody can find it: so nobody can put handles into its table, kill it or
// start it half-made, and when something fails it goes without a trace. Then it gets its id; from there on it is like any
// other process that has a thread which was not started.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/context.h"
#include "kernel/core/assert.h"
#include "kernel/object/aspace_object.h"
#include "kernel/object/process.h"
#include "kernel/object/restart.h"

struct fork {
    struct handle_clone rule;
    struct process *from, *to;
    struct thread_object *thread;
    struct object *space;  // the child's address space as an object, made when a handle asks for it
};

static int choose_space(struct fork *f, struct object *o, struct object **as) {
    if (aspace_of(o) != f->from->aspace || f->to->aspace == f->from->aspace) return 0;
    int error = f->space == NULL ? aspace_object_create(f->to->job, f->to->aspace, &f->space) : 0;
    *as = f->space;
    return error;
}

// What names the caller itself names the child in the child. Threads of the caller are not there, and a reply is owed once.
static int choose(struct handle_clone *c, struct object *o, struct object **as) {
    struct fork *f = container_of(c, struct fork, rule);
    switch (o->kind) {
    case KPIO_KIND_PROCESS:
        if (process_of(o) == f->from) *as = &f->to->object;
        return 0;
    case KPIO_KIND_THREAD:
        if (thread_of(o) == thread_object(current_thread())) *as = &f->thread->object;
        else if (thread_of(o)->thread.process == f->from) *as = NULL;
        return 0;
    case KPIO_KIND_ASPACE: return choose_space(f, o, as);
    default: *as = NULL; return 0;
    }
}

static int clone_handles(struct process *from, struct process *to, struct thread_object *thread) {
    struct fork f = {
        .rule = {.kinds = 1ull << KPIO_KIND_PROCESS | 1ull << KPIO_KIND_THREAD | 1ull << KPIO_KIND_ASPACE |
                          1ull << KPIO_KIND_REPLY,
                 .choose = choose},
        .from = from,
        .to = to,
        .thread = thread,
    };
    int error = handle_table_clone(&to->handles, &from->handles, &f.rule);
    if (f.space != NULL) object_put(f.space);
    return error;
}

// The running thread's state that user mode sees, and how it is scheduled. An exception that it is in the copy is in too: it
// can return from a frame, as the caller can. What was sent to the caller alone (an interrupt) does not come along.
static void thread_inherit(struct thread_object *t) {
    struct thread *self = current_thread();
    const struct thread_object *from = thread_object(self);
    t->exception_entry = from->exception_entry;
    t->exception_stack = from->exception_stack;
    t->exception_stack_size = from->exception_stack_size;
    t->in_exception = from->in_exception;
    if (t->thread.aspace != self->aspace) restart_inherit(&t->thread, self);
    fpu_save(t->thread.fpu);
    segment_bases_save(&t->thread.bases);
    const struct sched_entity *e = &self->own_entity;
    if (e->class_ != KPIO_SCHED_FAIR || e->weight != t->thread.own_entity.weight || self->affinity != t->thread.affinity)
        sched_set_schedule(&t->thread, e->class_, e->priority, e->weight, self->affinity);
}

static int fill(struct process *from, struct process *to, struct thread_object **first) {
    to->foreign_entry = __atomic_load_n(&from->foreign_entry, __ATOMIC_RELAXED);
    int error = to->aspace == from->aspace ? 0 : aspace_clone(from->aspace, to->aspace);
    if (error != 0) return error;
    struct thread_object *t;
    error = thread_create(to, current_thread()->name, &t);
    if (error != 0) return error;
    error = clone_handles(from, to, t);
    if (error == 0) {
        thread_inherit(t);
        *first = t;
        return 0;
    }
    thread_kill(t);
    object_put(&t->object);
    return error;
}

static int process_make_like(struct process *p, bool share, struct process **out) {
    if (share) return process_make(p->job, p->name, p->jit, p->aspace, out);
    struct aspace *space;
    int error = aspace_create(p->job, p->aspace->jit, &space);
    if (error != 0) return error;
    error = process_make(p->job, p->name, p->jit, space, out);
    aspace_put(space);
    return error;
}

int process_fork(bool share, struct process **out, struct thread_object **first) {
    struct process *p;
    int error = process_make_like(current_process(), share, &p);
    if (error != 0) return error;
    struct thread_object *t = NULL;
    error = fill(current_process(), p, &t);
    if (error == 0) {
        error = process_publish(p);
        t->thread.block->process_id = p->id;
    }
    if (error == 0) {
        *out = p;
        *first = t;
        return 0;
    }
    if (t != NULL) {
        thread_kill(t);
        object_put(&t->object);
    }
    process_abandon(p);
    return error;
}
