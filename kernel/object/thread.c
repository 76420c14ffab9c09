#include "kernel/object/audit.h"
#include "kernel/object/exception.h"
#include "kernel/object/id.h"
#include "kernel/object/process.h"
#include "kernel/object/restart.h"
#include "kernel/object/system.h"
#include "kernel/object/thread_memory.h"
#include "kernel/sched/sched.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/asm.h"
#include "kernel/core/assert.h"
#include "kernel/core/cpu.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

// ---- the object -----------------------------------------------------------------------------------------------------

static uint32_t thread_signals(struct object *o, uint64_t *value) {
    struct thread_object *t = thread_of(o);
    *value = t->thread.id;
    return t->gone ? KPIO_SIGNAL_TERMINATED : 0;
}

// Nobody can start a thread that nobody can name.
static void thread_unreachable(struct object *o) {
    struct thread_object *t = thread_of(o);
    if (!t->started) thread_kill(t);
}

static void thread_destroy(struct object *o) {
    struct thread_object *t = thread_of(o);
    verify(t->gone);
    ipc_thread_gone(&t->thread);
    if (o->id < ID_LIMIT) id_free(o);
    object_put(&t->thread.process->object);
}

static const struct object_ops thread_ops = {
    .name = "thread",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_MANAGE | KPIO_RIGHT_KILL |
              KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = thread_unreachable,
    .destroy = thread_destroy,
    .signals = thread_signals,
};

void thread_init(void) {
    thread_memory_init();
}

// ---- birth ----------------------------------------------------------------------------------------------------------

// Puts the thread on its process's list, unless that is ending or moves to another address space.
static int thread_join_process(struct process *p, struct thread_object *t) {
    int error = -EDESTROYED;
    spin_lock(&p->lock);
    if (p->state <= KPIO_PROCESS_RUNNING && (p->exec != NULL || p->aspace != t->thread.aspace)) {
        error = -EBUSY;
    } else if (p->state <= KPIO_PROCESS_RUNNING) {
        list_push_back(&p->threads, &t->process_node);
        p->live_threads++;
        __atomic_add_fetch(&p->unfinished, 1, __ATOMIC_RELAXED);
        if (p->first_thread == 0) p->first_thread = t->object.id;
        error = 0;
    }
    spin_unlock(&p->lock);
    return error;
}

// `space`: the process's, kept by the caller.
static int thread_make(struct process *p, struct aspace *space, const char *name, struct thread_object **out) {
    struct thread_object *t = thread_memory_object();
    if (t == NULL) return -ENOMEM;
    int error = object_init(&t->object, KPIO_KIND_THREAD, &thread_ops, p->job, thread_memory_bytes());
    if (error != 0) {
        kfree(t);
        return error;
    }
    // From here on object_put is the way back: thread_destroy expects these three.
    t->gone = true;
    object_get(&p->object);
    t->thread.process = p;
    t->thread.aspace = space;
    t->thread.object = t;
    sched_thread_init(&t->thread);  // before anybody can find it
    error = id_alloc(&t->object);
    if (error != 0) goto fail;
    t->thread.id = t->object.id;
    error = job_charge(p->job, JOB_THREADS, 1);
    if (error != 0) goto fail_found;
    error = thread_memory_alloc(t);
    if (error != 0) goto fail_charge;
    memcpy(t->thread.name, name, strnlen(name, KPIO_NAME_MAX));
    t->gone = false;
    error = thread_join_process(p, t);
    if (error != 0) goto fail_memory;
    *out = t;
    return 0;
fail_memory:
    t->gone = true;
    thread_memory_unmap(t);
    thread_memory_free(t);
fail_charge:
    job_uncharge(p->job, JOB_THREADS, 1);
fail_found:
    ipc_thread_exit(&t->thread);  // a futex may have named it as its owner
fail:
    object_put(&t->object);
    return error;
}

int thread_create(struct process *p, const char *name, struct thread_object **out) {
    struct aspace *space = process_aspace_get(p);
    int error = thread_make(p, space, name, out);
    aspace_put(space);  // while the thread is on its list the process keeps it
    return error;
}

// The first thing that a thread runs, on its own kernel stack.
static void thread_enter(void *arg) {
    struct thread_object *t = arg;
    sched_thread_begin();
    struct trap_frame *frame = context_user_frame(t->thread.stack_top);
    if (unlikely(system_boot_ticks == 0)) system_note_boot();
    if (unlikely(__atomic_load_n(&t->thread.pending, __ATOMIC_RELAXED) != 0)) thread_serve_pending(frame);
    context_enter_user(frame);
}

int thread_start(struct thread_object *t, uint64_t entry, uint64_t stack, uint64_t arg) {
    struct process *p = t->thread.process;
    if (entry < USER_MIN || entry >= USER_MAX || stack > USER_MAX) return -EINVAL;
    int error = 0;
    spin_lock(&p->lock);
    if (t->started) error = -EALREADY;
    else if (t->killed || p->state > KPIO_PROCESS_RUNNING) error = -EDESTROYED;
    else {
        t->started = true;
        p->state = KPIO_PROCESS_RUNNING;
        object_get(&t->object);  // its own, until it is gone
    }
    spin_unlock(&p->lock);
    if (error != 0) return error;
    struct trap_frame *frame = context_user_frame(t->thread.stack_top);
    memset(frame, 0, sizeof(*frame));
    frame->rip = entry;
    frame->cs = SELECTOR_USER_CODE;
    frame->ss = SELECTOR_USER_DATA;
    frame->rflags = RFLAGS_FIXED | RFLAGS_IF;
    frame->rsp = stack;
    frame->rdi = arg;
    frame->rsi = t->pages.user;
    t->thread.saved_rsp = context_prepare((uint64_t)frame, thread_enter, t);
    sched_thread_start(&t->thread);
    return 0;
}

// ---- death ----------------------------------------------------------------------------------------------------------

// Takes the thread off its process's list. Returns whether the caller has to end the process: no thread is left.
static bool thread_leave_process(struct thread_object *t) {
    struct process *p = t->thread.process;
    spin_lock(&p->lock);
    list_remove(&t->process_node);
    p->live_threads--;
    p->cpu_ns += t->thread.own_entity.runtime;
    bool last = p->live_threads == 0 && p->state != KPIO_PROCESS_NEW && !p->ending;
    if (last) {
        p->ending = true;
        process_set_dying_locked(p);
    }
    bool tell = p->exec != NULL;
    spin_unlock(&p->lock);
    if (tell) process_exec_tell(p);
    return last;
}

// The thread is off its CPU and out of its process: gives back what only a running thread needs.
static void thread_finish(struct thread_object *t) {
    struct process *p = t->thread.process;
    thread_memory_free(t);
    job_uncharge(p->job, JOB_THREADS, 1);
    __atomic_store_n(&t->gone, true, __ATOMIC_RELEASE);
    object_signal(&t->object);
    process_finish(p);
}

void thread_exit(void) {
    struct thread_object *t = thread_object(current_thread());
    struct process *p = t->thread.process;
    spin_lock(&p->lock);
    t->killed = true;  // no kill is sent any more
    spin_unlock(&p->lock);
    __atomic_store_n(&t->thread.pending, 0, __ATOMIC_RELAXED);  // what follows must not be cut short
    ipc_thread_exit(&t->thread);
    thread_memory_unmap(t);
    t->ends_process = thread_leave_process(t);
    if (t->ends_process) process_end(p);
    sched_thread_exit();
}

void sched_thread_gone(struct thread *thread) {
    struct thread_object *t = thread_object(thread);
    struct process *p = thread->process;
    thread_finish(t);
    if (t->ends_process) process_finish(p);
    object_put(&t->object);
}

void thread_discard(struct thread_object *t) {
    ipc_thread_exit(&t->thread);  // somebody may have bound it to an endpoint
    thread_memory_unmap(t);
    bool last = thread_leave_process(t);
    thread_finish(t);
    if (last) process_reap_later(t->thread.process);
}

bool thread_kill_locked(struct thread_object *t) {
    if (t->killed) return false;
    t->killed = true;
    if (!t->started) return true;
    thread_set_pending(&t->thread, PENDING_KILL);
    return false;
}

void thread_kill(struct thread_object *t) {
    struct process *p = t->thread.process;
    spin_lock(&p->lock);
    bool discard = thread_kill_locked(t);
    spin_unlock(&p->lock);
    if (discard) thread_discard(t);
}

// ---- on the way to user mode ----------------------------------------------------------------------------------------

void thread_serve_pending(struct trap_frame *frame) {
    struct thread *thread = current_thread();
    uint8_t pending = __atomic_load_n(&thread->pending, __ATOMIC_ACQUIRE);
    if (pending & PENDING_KILL) thread_exit();
    if (thread->restart_area != 0) restart_serve(frame);
    if (pending & PENDING_INTERRUPT) {
        __atomic_fetch_and(&thread->pending, (uint8_t)~PENDING_INTERRUPT, __ATOMIC_ACQ_REL);
        exception_deliver_interrupt(frame);
    }
}

// ---- information ----------------------------------------------------------------------------------------------------

// One that was woken, or moves, is on its way to a CPU, which may take its time: it waits for nothing any more.
static uint32_t shown_state(const struct thread *t) {
    uint32_t state = __atomic_load_n(&t->state, __ATOMIC_RELAXED);
    return state == THREAD_BLOCKED && !wait_is_on(t) ? KPIO_THREAD_READY : state;
}

void thread_get_info(struct thread_object *t, struct kpio_thread_info *info) {
    const struct thread *thread = &t->thread;
    const struct sched_entity *e = &thread->own_entity;
    const uint64_t online = cpu_count == 64 ? UINT64_MAX : (1ull << cpu_count) - 1;
    *info = (struct kpio_thread_info){
        .id = thread->id,
        .process_id = thread->process->id,
        .state = t->gone ? KPIO_THREAD_DEAD : shown_state(thread),
        .cpu = thread->cpu,
        .class_ = e->class_,
        .priority = e->class_ == KPIO_SCHED_REALTIME ? e->priority : e->weight,
        .affinity = thread->affinity & online,
        .online = online,
        .cpu_ns = sched_cpu_time(thread),
    };
    memcpy(info->name, thread->name, sizeof(info->name));
}
