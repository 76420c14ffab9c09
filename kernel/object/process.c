#include "kernel/object/process.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/slub.h"
#include "kernel/object/id.h"
#include "kernel/object/thread_memory.h"
#include "kernel/sched/sched.h"
#include "lib/string.h"

static struct kmem_cache process_cache;

// ---- the object -----------------------------------------------------------------------------------------------------

static uint32_t process_signals(struct object *o, uint64_t *value) {
    struct process *p = process_of(o);
    *value = (uint64_t)(int64_t)p->status;
    return __atomic_load_n(&p->state, __ATOMIC_ACQUIRE) == KPIO_PROCESS_DEAD ? KPIO_SIGNAL_TERMINATED : 0;
}

// Nobody can start a process that nobody can name.
static void process_unreachable(struct object *o) {
    struct process *p = process_of(o);
    spin_lock(&p->lock);
    bool end = p->state == KPIO_PROCESS_NEW && !p->ending;
    if (end) {
        process_set_dying_locked(p);
        p->ending = true;
    }
    spin_unlock(&p->lock);
    if (end) process_reap_later(p);
}

static void process_destroy(struct object *o) {
    struct process *p = process_of(o);
    verify(p->live_threads == 0);
    if (p->state == KPIO_PROCESS_NEW) {  // nobody ever got a handle on it
        job_uncharge(p->job, JOB_PROCESSES, 1);
        job_tell_if_empty(p->job);
    }
    if (p->aspace != NULL) aspace_put(p->aspace);
    handle_table_destroy(&p->handles);
    if (o->id < ID_LIMIT) id_free(o);
    object_put(&p->job->object);
}

static const struct object_ops process_ops = {
    .name = "process",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_MANAGE | KPIO_RIGHT_KILL |
              KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = process_unreachable,
    .destroy = process_destroy,
    .signals = process_signals,
};

int process_make(struct job *job, const char *name, bool jit, struct aspace *space, struct process **out) {
    struct process *p = slub_alloc_zeroed(&process_cache);
    if (p == NULL) return -ENOMEM;
    int error = object_init(&p->object, KPIO_KIND_PROCESS, &process_ops, job, sizeof(*p));
    if (error != 0) {
        slub_free(&process_cache, p);
        return error;
    }
    spin_init(&p->lock, "process");
    list_init(&p->threads);
    wait_queue_init(&p->exec_wait, "exec");
    object_get(&job->object);
    p->job = job;
    p->jit = jit;
    p->state = KPIO_PROCESS_DEAD;
    p->unfinished = 1;
    memcpy(p->name, name, strnlen(name, KPIO_NAME_MAX));
    error = handle_table_init(&p->handles, p);
    if (error != 0) goto fail;
    error = aspace_use(space);
    if (error != 0) goto fail;
    error = job_charge(job, JOB_PROCESSES, 1);
    if (error != 0) goto fail_use;
    aspace_get(space);
    p->aspace = space;
    p->state = KPIO_PROCESS_NEW;
    *out = p;
    return 0;
fail_use:
    aspace_unuse(space);
fail:
    object_put(&p->object);
    return error;
}

int process_publish(struct process *p) {
    int error = id_alloc(&p->object);
    if (error != 0) return error;
    p->id = p->object.id;
    // job_kill marks the job, then looks for processes; this process can be found, then looks at the mark. From here on
    // others may have ended it already, or hold it: it ends as every process does.
    if (!job_is_killed(p->job)) return 0;
    process_kill(p, -ECANCELED);
    return -EDESTROYED;
}

void process_abandon(struct process *p) {
    spin_lock(&p->lock);
    bool end = !p->ending;
    if (end) {
        p->ending = true;
        process_set_dying_locked(p);
    }
    spin_unlock(&p->lock);
    if (end) {
        process_end(p);
        process_finish(p);
    }
    object_put(&p->object);
}

int process_create(struct job *job, const char *name, bool jit, struct process **out) {
    struct aspace *space;
    int error = aspace_create(job, jit, &space);
    if (error != 0) return error;
    struct process *p;
    error = process_make(job, name, jit, space, &p);
    aspace_put(space);
    if (error != 0) return error;
    error = process_publish(p);
    if (error != 0) process_abandon(p);
    else *out = p;
    return error;
}

struct aspace *process_aspace_get(struct process *p) {
    spin_lock(&p->lock);
    struct aspace *a = p->aspace;
    aspace_get(a);
    spin_unlock(&p->lock);
    return a;
}

// ---- death ----------------------------------------------------------------------------------------------------------

void process_end(struct process *p) {
    handle_table_close_all(&p->handles);
    spin_lock(&p->lock);  // who makes a thread from outside, which will not come to life, may want them too
    struct thread_pages spare = p->spare;
    p->spare = (struct thread_pages){0};
    spin_unlock(&p->lock);
    thread_pages_drop(p->aspace, &spare);
    struct thread *t = current_thread();
    if (t->process == p) {
        // It goes on without an address space, as a kernel thread does.
        t->aspace = NULL;
        aspace_switch(NULL);
    }
    aspace_unuse(p->aspace);
}

void process_set_dying_locked(struct process *p) {
    if (p->state == KPIO_PROCESS_DYING) return;
    p->state = KPIO_PROCESS_DYING;
    memory_owe(&p->debt);
}

// Who learns that the process is dead may want at once what it was charged with.
void process_finish(struct process *p) {
    if (__atomic_sub_fetch(&p->unfinished, 1, __ATOMIC_ACQ_REL) != 0) return;
    job_uncharge(p->job, JOB_PROCESSES, 1);
    memory_pay(&p->debt);
    __atomic_store_n(&p->state, KPIO_PROCESS_DEAD, __ATOMIC_RELEASE);
    object_signal(&p->object);
    job_tell_if_empty(p->job);
}

#define KILL_STEP 32

// Tells up to KILL_STEP threads to end. Those told go to the end of the list, so one at the front that was told here means
// done; others may have been killed before, or be about to end, and say nothing about those behind them.
static bool kill_step(struct process *p) {
    struct thread_object *fresh[KILL_STEP];
    unsigned fresh_count = 0;
    spin_lock(&p->lock);
    bool more = true;
    for (unsigned i = 0; i < KILL_STEP && more; i++) {
        struct thread_object *t = list_first_entry(&p->threads, struct thread_object, process_node);
        more = t != NULL && !t->swept;
        if (!more) break;
        t->swept = true;
        list_remove(&t->process_node);
        list_push_back(&p->threads, &t->process_node);
        if (thread_kill_locked(t)) {
            object_get(&t->object);
            fresh[fresh_count++] = t;
        }
    }
    spin_unlock(&p->lock);
    for (unsigned i = 0; i < fresh_count; i++) {
        thread_discard(fresh[i]);
        object_put(&fresh[i]->object);
    }
    return more;
}

void process_kill(struct process *p, int32_t status) {
    spin_lock(&p->lock);
    bool first = p->state <= KPIO_PROCESS_RUNNING, end = false;
    if (first) {
        process_set_dying_locked(p);
        p->status = status;
        end = p->live_threads == 0 && !p->ending;
        if (end) p->ending = true;
    }
    spin_unlock(&p->lock);
    if (!first) return;
    object_get(&p->object);
    if (end) process_reap_later(p);
    while (kill_step(p)) sched_preempt_point();
    object_put(&p->object);
}

// ---- the reaper -----------------------------------------------------------------------------------------------------
// Ends processes that have no thread to do it. The list holds a reference to each.

static struct spinlock reap_lock = SPINLOCK_INIT("reaper");
static struct process *reap_list;
static struct thread *reaper;
static bool reaper_waits;

void process_reap_later(struct process *p) {
    object_get(&p->object);
    spin_lock(&reap_lock);
    p->reap_next = reap_list;
    reap_list = p;
    if (reaper_waits) {
        reaper_waits = false;
        wait_wake_locked(reaper, 0);
    }
    spin_unlock(&reap_lock);
}

static void reaper_unlink(struct thread *t) { reaper_waits = false; }

static struct process *reaper_next(void) {
    for (;;) {
        spin_lock(&reap_lock);
        struct process *p = reap_list;
        if (p != NULL) {
            reap_list = p->reap_next;
            spin_unlock(&reap_lock);
            return p;
        }
        reaper_waits = true;
        wait_prepare(&reap_lock, reaper_unlink, NULL, NULL);
        spin_unlock(&reap_lock);
        (void)wait_block(TIME_NEVER);
    }
}

static void reaper_main(void *arg) {
    for (;;) {
        struct process *p = reaper_next();
        while (kill_step(p)) sched_preempt_point();  // those that never ran, when nobody can name it any more
        process_end(p);
        process_finish(p);
        object_put(&p->object);
        sched_preempt_point();
    }
}

void process_init(void) {
    slub_cache_init(&process_cache, "process", sizeof(struct process), CACHE_LINE);
    thread_init();
    reaper = sched_kthread_create("reaper", reaper_main, NULL);
    if (reaper == NULL) panic("no memory for the reaper thread");
}

// ---- information ----------------------------------------------------------------------------------------------------

// Pages that its mappings show.
static uint64_t count_pages(struct process *p) {
    struct aspace *a = process_aspace_get(p);
    struct aspace_range range;
    uint64_t at = 0, pages = 0;
    while (aspace_query(a, at, true, &range) == 0) {
        pages += range.committed;
        at = range.start + range.size;
        if (sched_preempt_point()) break;
    }
    aspace_put(a);
    return pages;
}

nanos_t process_cpu_time(struct process *p) {
    spin_lock(&p->lock);
    nanos_t time = p->cpu_ns;
    list_for_each(node, &p->threads) time += sched_cpu_time(&container_of(node, struct thread_object, process_node)->thread);
    spin_unlock(&p->lock);
    return time;
}

void process_get_info(struct process *p, struct kpio_process_info *info) {
    *info = (struct kpio_process_info){
        .id = p->id,
        .job_id = p->job->object.id,
        .handles = handle_table_count(&p->handles),
        .pages = count_pages(p),
        .cpu_ns = process_cpu_time(p),
    };
    spin_lock(&p->lock);
    info->state = p->state;
    info->status = p->status;
    info->threads = p->live_threads;
    memcpy(info->name, p->name, sizeof(info->name));
    spin_unlock(&p->lock);
}
