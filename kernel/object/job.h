// Jobs: quotas. Everything a process uses is charged to its job and every ancestor (kernel/mm/charge.h); a charge that
// would exceed a limit anywhere changes nothing.
//
//        used[] of a job = what it and its descendants use + their stocks
//        stock[] of a job on a CPU = charged already, not yet used; changed by that CPU alone, which others ask to drain it
//
// A job whose limit was set below its use has no stocks, nor has any below it: what is given back there is not used again.
//
// Life: handles, processes and child jobs hold references. A job without any is an orphan: gone for everybody, but its
// memory stays until all that was charged to it is given back.
// Lock: job_tree_lock guards the tree and orphans' last moments; a leaf.
#pragma once
#include "kernel/mm/charge.h"
#include "kernel/object/object.h"
#include "lib/util.h"

#define JOB_DEPTH_MAX 32  // bounds the walk of a charge

enum {
    JOB_ORPHAN = 1 << 0,  // nobody refers to it any more
    JOB_TIGHT = 1 << 1,   // it or an ancestor is `over`; under job_tree_lock
};

struct job_cpu {
    uint64_t stock[JOB_RESOURCES];
} cacheline_aligned;

struct job {
    struct object object;
    struct job *parent;                      // NULL: the root job
    struct list children;                    // by sibling
    struct list_node sibling;
    struct job_cpu *cpus;                    // one per CPU
    uint64_t limit[JOB_RESOURCES];
    uint32_t depth;
    bool killed;                             // no new processes in it or below
    uint8_t no_stock;                        // JOB_*: nothing is put into its stocks; atomic
    bool over;                               // a limit was set below what is used
    bool settled;                            // an orphan, and every CPU knows
    char name[32];
    uint64_t used[JOB_RESOURCES] cacheline_aligned;  // atomic
    uint64_t peak[JOB_RESOURCES];            // of `used`: up to a stock too high
};

// What a CPU takes ahead of need; it keeps twice as much. Processes are counted one by one.
static inline uint64_t job_stock_batch(enum job_resource what) {
    static const uint64_t batch[JOB_RESOURCES] = {
        [JOB_PAGES] = 32,
        [JOB_HANDLES] = 32,
        [JOB_THREADS] = 4,
        [JOB_KERNEL_BYTES] = 16384,
        [JOB_DIRTY_PAGES] = 32,
    };
    return batch[what];
}

// job_charge as far as the stock goes: false when there is more to it.
static inline bool job_stock_take(struct job *job, enum job_resource what, uint64_t n) {
    uint64_t *stock = &job->cpus[cpu_id()].stock[what];
    bool borrow;
    __asm__("subq %2, %0" : "+m"(*stock), "=@ccc"(borrow) : "er"(n));
    if (likely(!borrow)) return true;
    *stock += n;
    return false;
}
// job_uncharge of a job that has stocks. True: too much is in stock now, and job_stock_trim must follow.
[[nodiscard]] static inline bool job_stock_put(struct job *job, enum job_resource what, uint64_t n) {
    uint64_t *stock = &job->cpus[cpu_id()].stock[what];
    __asm__("addq %1, %0" : "+m"(*stock) : "er"(n) : "cc");
    return unlikely(*stock > 2 * job_stock_batch(what));
}
coldcall void job_stock_trim(struct job *job, enum job_resource what);

extern struct job *job_root;
void job_init(void);  // makes the root job; before any other CPU runs
// A job below parent, with a reference for the caller. limits NULL: none. -EINVAL too deep, -ENFILE, -ENOMEM, or
// -EDESTROYED when parent was killed.
[[nodiscard]] int job_create(struct job *parent, const struct kpio_job_limits *limits, const char *name, struct job **out);
// Below what is used they stop growth only: nothing more is charged until so much has been given back.
void job_set_limits(struct job *job, const struct kpio_job_limits *limits);
// Exact numbers: drains the stocks of the subtree.
void job_get_info(struct job *job, struct kpio_job_info *info);
static inline struct job *job_of(struct object *o) { return container_of(o, struct job, object); }

// Whether job is `ancestor` or below it.
bool job_is_within(const struct job *job, const struct job *ancestor);
bool job_is_killed(const struct job *job);
// Kills the processes in the subtree and keeps new ones from appearing. Preemptible: no lock held.
void job_kill(struct job *job);
// A process of the job has given its charge back: signals the jobs that got empty.
void job_tell_if_empty(struct job *job);
