#include "kernel/object/job.h"

#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "kernel/object/id.h"
#include "lib/string.h"

struct job *job_root;
static struct spinlock job_tree_lock = SPINLOCK_INIT("job tree");
static struct kmem_cache job_cache;

// ---- charging --------------------------------------------------------------------------------------------------------

static bool counter_add(struct job *job, enum job_resource what, uint64_t n) {
    uint64_t limit = __atomic_load_n(&job->limit[what], __ATOMIC_RELAXED);
    uint64_t used = __atomic_load_n(&job->used[what], __ATOMIC_RELAXED);
    do {
        if (n > limit || used > limit - n) return false;
    } while (!__atomic_compare_exchange_n(&job->used[what], &used, used + n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    uint64_t peak = __atomic_load_n(&job->peak[what], __ATOMIC_RELAXED);
    while (used + n > peak && !__atomic_compare_exchange_n(&job->peak[what], &peak, used + n, true, __ATOMIC_RELAXED,
                                                           __ATOMIC_RELAXED)) {
    }
    return true;
}

static void chain_uncharge(struct job *job, const struct job *end, enum job_resource what, uint64_t n) {
    for (struct job *j = job; j != end; j = j->parent) {
        uint64_t before = __atomic_fetch_sub(&j->used[what], n, __ATOMIC_RELAXED);
        if (unlikely(before < n))
            panic("job %s: %lu of resource %u given back, of %lu", j->name, (unsigned long)n, what, (unsigned long)before);
    }
}

// NULL, or the ancestor that has no room; then nothing has changed.
static struct job *chain_charge(struct job *job, enum job_resource what, uint64_t n) {
    for (struct job *j = job; j != NULL; j = j->parent) {
        if (counter_add(j, what, n)) continue;
        chain_uncharge(job, j, what, n);
        return j;
    }
    return NULL;
}

// The job after j in a walk of top's subtree, parents first; NULL at the end.
static struct job *subtree_next_locked(struct job *j, const struct job *top) {
    struct job *child = list_first_entry(&j->children, struct job, sibling);
    if (child != NULL) return child;
    while (j != top) {
        if (j->sibling.next != &j->parent->children.ring) return list_entry(j->sibling.next, struct job, sibling);
        j = j->parent;
    }
    return NULL;
}

// Gives back what this CPU has in stock for the subtree. Somebody who waits for it holds the tree lock.
static void drain_here(void *top) {
    for (struct job *j = top; j != NULL; j = subtree_next_locked(j, top)) {
        uint64_t *stock = j->cpus[cpu_id()].stock;
        for (unsigned what = 0; what < JOB_RESOURCES; what++) {
            if (stock[what] != 0) chain_uncharge(j, NULL, what, stock[what]);
            stock[what] = 0;
        }
    }
}

static uint64_t cpus_with_stock(const struct job *job) {
    uint64_t mask = 0;
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        for (unsigned what = 0; what < JOB_RESOURCES; what++)
            if (__atomic_load_n(&job->cpus[cpu].stock[what], __ATOMIC_RELAXED) != 0) mask |= 1ull << cpu;
    return mask;
}

// A CPU that has nothing is not disturbed: who charges in vain again and again asks others once.
static coldpath void subtree_drain_locked(struct job *top) {
    uint64_t mask = 0;
    for (struct job *j = top; j != NULL; j = subtree_next_locked(j, top)) mask |= cpus_with_stock(j);
    drain_here(top);
    mask &= ~(1ull << cpu_id());
    if (mask != 0) arch_call_cpus(mask, drain_here, top);
}

static coldpath void subtree_drain(struct job *top) {
    spin_lock(&job_tree_lock);
    subtree_drain_locked(top);
    spin_unlock(&job_tree_lock);
}

static coldpath int charge_slow(struct job *job, enum job_resource what, uint64_t n) {
    uint64_t batch = job_stock_batch(what);
    bool ahead = batch != 0 && n <= UINT64_MAX - batch && __atomic_load_n(&job->no_stock, __ATOMIC_ACQUIRE) == 0;
    if (ahead && chain_charge(job, what, n + batch) == NULL) {
        job->cpus[cpu_id()].stock[what] += batch;
        return 0;
    }
    // Once there is room below a full ancestor, one further up may turn out to be full.
    struct job *drained = NULL;
    for (;;) {
        struct job *full = chain_charge(job, what, n);
        if (full == NULL) return 0;
        if (drained != NULL && full->depth >= drained->depth) return what == JOB_PAGES ? -ENOMEM : -ENFILE;
        subtree_drain(full);
        drained = full;
    }
}

int job_charge(struct job *job, enum job_resource what, uint64_t n) {
    return likely(job_stock_take(job, what, n)) ? 0 : charge_slow(job, what, n);
}

// ---- the end of a job -------------------------------------------------------------------------------------------------
// 1. The last reference goes: job_destroy marks it an orphan. From here on nobody puts anything into its stocks, once
//    the mark is seen.
// 2. A grace period later every CPU has seen it: job_settle takes the stocks back for good.
// 3. Whoever then gives the last charge back (perhaps job_settle itself) frees it.

static void job_free(struct rcu_head *head) {
    struct job *job = container_of(head, struct job, object.rcu);
    kfree(job->cpus);
    slub_free(&job_cache, job);
}

// Takes an orphan's stocks back and ends it if nothing else is charged to it. Drops the tree lock.
static void orphan_check_unlock(struct job *job) {
    struct job *parent = NULL;
    subtree_drain_locked(job);  // itself: nobody is below an orphan
    bool empty = job->settled;
    for (unsigned what = 0; what < JOB_RESOURCES; what++) empty = empty && job->used[what] == 0;
    if (empty) {
        parent = job->parent;
        list_remove(&job->sibling);
        rcu_call(&job->object.rcu, job_free);
    }
    spin_unlock(&job_tree_lock);
    if (parent != NULL) object_put(&parent->object);
}

static coldpath void orphan_uncharge(struct job *job, enum job_resource what, uint64_t n) {
    spin_lock(&job_tree_lock);
    chain_uncharge(job, NULL, what, n);
    orphan_check_unlock(job);
}

static void job_destroy(struct object *o) {
    struct job *job = job_of(o);
    if (o->id < ID_LIMIT) id_free(o);
    (void)__atomic_fetch_or(&job->no_stock, JOB_ORPHAN, __ATOMIC_RELEASE);
}

static void job_settle(struct rcu_head *head) {
    struct job *job = container_of(head, struct job, object.rcu);
    spin_lock(&job_tree_lock);
    job->settled = true;
    orphan_check_unlock(job);
}

coldcall void job_stock_trim(struct job *job, enum job_resource what) {
    uint64_t *stock = &job->cpus[cpu_id()].stock[what];
    uint64_t kept = __atomic_load_n(&job->no_stock, __ATOMIC_ACQUIRE) == 0 ? job_stock_batch(what) : 0;
    chain_uncharge(job, NULL, what, *stock - kept);
    *stock = kept;
}

// An orphan's mark that comes now is not missed: what ends it waits until this CPU has left here (job_settle).
static coldpath void uncharge_at_once(struct job *job, uint8_t marks, enum job_resource what, uint64_t n) {
    if (marks & JOB_ORPHAN) orphan_uncharge(job, what, n);
    else chain_uncharge(job, NULL, what, n);
}

void job_uncharge(struct job *job, enum job_resource what, uint64_t n) {
    uint8_t marks = __atomic_load_n(&job->no_stock, __ATOMIC_ACQUIRE);
    if (unlikely(marks != 0)) uncharge_at_once(job, marks, what, n);
    else if (job_stock_put(job, what, n)) job_stock_trim(job, what);
}

// ---- jobs as objects ----------------------------------------------------------------------------------------------------

// Asserted while no process is in the job or below it.
static uint32_t job_signals(struct object *o, uint64_t *value) {
    struct job *job = job_of(o);
    *value = __atomic_load_n(&job->used[JOB_PROCESSES], __ATOMIC_RELAXED);
    return *value == 0 ? KPIO_SIGNAL_TERMINATED : 0;
}

static const struct object_ops job_ops = {
    .name = "job",
    .rights = KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_MANAGE | KPIO_RIGHT_KILL | KPIO_RIGHT_INSPECT |
              KPIO_RIGHT_JIT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .destroy = job_destroy,
    .free = job_settle,
    .signals = job_signals,
};

#define DIRTY_PAGES_MIN 64ul

static uint64_t dirty_limit(uint64_t pages) { return pages == UINT64_MAX ? pages : MAX(pages / 4, DIRTY_PAGES_MIN); }

static void limits_set(struct job *job, const struct kpio_job_limits *limits) {
    const uint64_t values[JOB_RESOURCES] = {
        [JOB_PAGES] = limits->pages,
        [JOB_HANDLES] = limits->handles,
        [JOB_THREADS] = limits->threads,
        [JOB_KERNEL_BYTES] = limits->kernel_bytes,
        [JOB_PROCESSES] = limits->processes,
        [JOB_DIRTY_PAGES] = dirty_limit(limits->pages),
    };
    for (unsigned i = 0; i < JOB_RESOURCES; i++) __atomic_store_n(&job->limit[i], values[i], __ATOMIC_RELAXED);
}

// A job that is in no tree yet.
static int job_make(struct job *parent, const char *name, struct job **out) {
    struct job *job = slub_alloc_zeroed(&job_cache);
    if (job == NULL) return -ENOMEM;
    uint32_t cpus_online = parent == NULL ? CONFIG_MAX_CPUS : cpu_count;
    uint32_t bytes = (uint32_t)(sizeof(struct job) + cpus_online * sizeof(struct job_cpu));
    int error = -ENOMEM;
    job->cpus = kzalloc(cpus_online * sizeof(struct job_cpu));
    if (job->cpus == NULL) goto fail_job;
    error = object_init(&job->object, KPIO_KIND_JOB, &job_ops, parent, bytes);
    if (error != 0) goto fail_cpus;
    list_init(&job->children);
    job->parent = parent;
    job->depth = parent == NULL ? 0 : parent->depth + 1;
    memcpy(job->name, name, strnlen(name, sizeof(job->name) - 1));
    for (unsigned i = 0; i < JOB_RESOURCES; i++) job->limit[i] = UINT64_MAX;
    *out = job;
    return 0;
fail_cpus:
    kfree(job->cpus);
fail_job:
    slub_free(&job_cache, job);
    return error;
}

void job_init(void) {
    slub_cache_init(&job_cache, "job", sizeof(struct job), CACHE_LINE);
    verify(job_make(NULL, "root", &job_root) == 0);
    verify(id_alloc(&job_root->object) == 0);
}

int job_create(struct job *parent, const struct kpio_job_limits *limits, const char *name, struct job **out) {
    if (parent->depth + 1 >= JOB_DEPTH_MAX) return -EINVAL;
    if (job_is_killed(parent)) return -EDESTROYED;
    struct job *job;
    int error = job_make(parent, name, &job);
    if (error != 0) return error;
    if (limits != NULL) limits_set(job, limits);
    error = id_alloc(&job->object);
    object_get(&parent->object);
    spin_lock(&job_tree_lock);
    job->no_stock = parent->no_stock & JOB_TIGHT;
    list_push_back(&parent->children, &job->sibling);
    spin_unlock(&job_tree_lock);
    if (error != 0) {
        object_put(&job->object);
        return error;
    }
    *out = job;
    return 0;
}

static bool is_over(const struct job *job) {
    for (unsigned what = 0; what < JOB_RESOURCES; what++)
        if (__atomic_load_n(&job->used[what], __ATOMIC_RELAXED) > job->limit[what]) return true;
    return false;
}

static void mark_tight_locked(struct job *j) {
    if (j->over || (j->parent != NULL && j->parent->no_stock & JOB_TIGHT))
        (void)__atomic_fetch_or(&j->no_stock, JOB_TIGHT, __ATOMIC_SEQ_CST);
    else
        (void)__atomic_fetch_and(&j->no_stock, (uint8_t)~JOB_TIGHT, __ATOMIC_SEQ_CST);
}

// All CPUs are asked to drain, not only those that have something in stock: one may be about to put something there because it
// has not seen the mark, but none is while it answers.
void job_set_limits(struct job *job, const struct kpio_job_limits *limits) {
    spin_lock(&job_tree_lock);
    limits_set(job, limits);
    job->over = is_over(job);
    for (struct job *j = job; j != NULL; j = subtree_next_locked(j, job)) mark_tight_locked(j);
    if (job->over) {
        drain_here(job);
        uint64_t others = ((cpu_count == 64 ? 0 : 1ull << cpu_count) - 1) & ~(1ull << cpu_id());
        if (others != 0) arch_call_cpus(others, drain_here, job);
    }
    spin_unlock(&job_tree_lock);
}

static void limits_get(const uint64_t values[JOB_RESOURCES], struct kpio_job_limits *out) {
    *out = (struct kpio_job_limits){
        .pages = values[JOB_PAGES],
        .handles = values[JOB_HANDLES],
        .threads = values[JOB_THREADS],
        .kernel_bytes = values[JOB_KERNEL_BYTES],
        .processes = values[JOB_PROCESSES],
    };
}

void job_get_info(struct job *job, struct kpio_job_info *info) {
    subtree_drain(job);
    memset(info, 0, sizeof(*info));
    info->id = job->object.id;
    info->parent_id = job->parent != NULL ? job->parent->object.id : 0;
    limits_get(job->limit, &info->limit);
    limits_get(job->used, &info->used);
    limits_get(job->peak, &info->peak);
    memcpy(info->name, job->name, sizeof(info->name));
}

bool job_is_within(const struct job *job, const struct job *ancestor) {
    while (job != NULL && job != ancestor) job = job->parent;
    return job != NULL;
}

bool job_is_killed(const struct job *job) {
    for (; job != NULL; job = job->parent)
        if (__atomic_load_n(&job->killed, __ATOMIC_SEQ_CST)) return true;
    return false;
}

void job_tell_if_empty(struct job *job) {
    for (struct job *j = job; j != NULL; j = j->parent)
        if (__atomic_load_n(&j->used[JOB_PROCESSES], __ATOMIC_RELAXED) == 0) object_signal(&j->object);
}
