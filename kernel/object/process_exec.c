// Exec: the running thread leaves its process's other threads and its address space behind.
//
//   1. Everything that can fail: a thread block in the new address space, and the claim (p->exec) under the process's lock,
//      which one thread gets. From the claim on no thread joins the process, and nothing fails.
//   2. The other threads are told to end, like those of a process that is killed, and the last one to leave wakes the caller.
//      A kill of the caller itself waits until it is on its way to user mode.
//   3. Alone, it moves over, and gives up the old address space.
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/context.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace.h"
#include "kernel/object/process.h"
#include "kernel/object/restart.h"
#include "kernel/object/thread_memory.h"
#include "lib/string.h"

static int claim(struct process *p, struct thread_object *t, struct aspace *space) {
    int error = -ECANCELED;
    spin_lock(&p->lock);
    if (p->state <= KPIO_PROCESS_RUNNING && !t->killed && p->exec == NULL) {
        error = aspace_use(space);
        if (error == 0) p->exec = t;
    }
    spin_unlock(&p->lock);
    return error;
}

#define STEP 32

// Tells up to STEP of the others to end. Who was told goes to the end of the list, behind `self`, where process_kill looks for
// those that were not.
static bool end_step(struct process *p, struct thread_object *self) {
    struct thread_object *fresh[STEP];
    unsigned fresh_count = 0;
    bool more = true;
    spin_lock(&p->lock);
    list_remove(&self->process_node);
    for (unsigned i = 0; i < STEP && more; i++) {
        struct thread_object *t = list_first_entry(&p->threads, struct thread_object, process_node);
        more = t != NULL && !t->swept;
        if (!more) break;
        t->swept = true;
        list_remove(&t->process_node);
        list_push_back(&p->threads, &t->process_node);
        if (!thread_kill_locked(t)) continue;
        object_get(&t->object);
        fresh[fresh_count++] = t;
    }
    if (self->swept) list_push_back(&p->threads, &self->process_node);
    else list_push_front(&p->threads, &self->process_node);
    spin_unlock(&p->lock);
    for (unsigned i = 0; i < fresh_count; i++) {
        thread_discard(fresh[i]);
        object_put(&fresh[i]->object);
    }
    return more;
}

void process_exec_tell(struct process *p) {
    spin_lock(&p->exec_wait.lock);
    (void)wait_queue_wake_locked(&p->exec_wait, UINT32_MAX, 0);
    spin_unlock(&p->exec_wait.lock);
}

static void wait_alone(struct process *p) {
    for (;;) {
        spin_lock(&p->exec_wait.lock);
        if (__atomic_load_n(&p->live_threads, __ATOMIC_ACQUIRE) == 1) break;
        wait_queue_join_always_unlock(&p->exec_wait);
        wait_block_always();
    }
    spin_unlock(&p->exec_wait.lock);
}

// What the thread had from the old program. The state in the registers of this CPU is the thread's.
static void thread_reset(struct thread_object *t, const char *name) {
    const struct segment_bases none = {0};
    memset(t->thread.name, 0, sizeof(t->thread.name));
    memcpy(t->thread.name, name, strnlen(name, KPIO_NAME_MAX));
    t->exception_entry = t->exception_stack = t->exception_stack_size = 0;
    t->in_exception = t->interrupt_waits = t->restart_waits = false;
    restart_forget(&t->thread);
    t->thread.fault_reason = 0;
    fpu_state_init(t->thread.fpu);
    fpu_restore(t->thread.fpu);
    segment_bases_load(&none);
}

// Takes over the reference on space and the use of it.
static void move(struct process *p, struct thread_object *t, struct aspace *space, struct thread_pages *pages,
                 const char *name) {
    struct thread_pages old_pages = t->pages;
    struct aspace *old = p->aspace;
    spin_lock(&p->lock);
    struct thread_pages spare = p->spare;
    p->spare = (struct thread_pages){0};
    p->aspace = space;
    p->exec = NULL;
    p->first_thread = t->object.id;
    memset(p->name, 0, sizeof(p->name));
    memcpy(p->name, name, strnlen(name, KPIO_NAME_MAX));
    spin_unlock(&p->lock);
    __atomic_store_n(&p->foreign_entry, 0, __ATOMIC_RELAXED);
    t->thread.aspace = space;
    aspace_switch(space);
    thread_pages_give(t, pages);
    thread_reset(t, name);
    thread_pages_drop(old, &old_pages);
    thread_pages_drop(old, &spare);
    aspace_unuse(old);
    aspace_put(old);
}

int process_exec(struct aspace *space, const char *name) {
    struct thread_object *t = thread_object(current_thread());
    struct process *p = t->thread.process;
    if (space->jit && !p->jit) return -EPERM;
    struct thread_pages pages;
    int error = thread_pages_make(p->job, space, &pages);
    if (error != 0) return error;
    error = claim(p, t, space);
    if (error != 0) {
        thread_pages_drop(space, &pages);
        return error;
    }
    aspace_get(space);
    while (end_step(p, t)) (void)sched_preempt_point();
    wait_alone(p);
    ipc_thread_restart(&t->thread);
    move(p, t, space, &pages, name);
    return 0;
}
