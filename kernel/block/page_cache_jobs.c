// Who pays: the only place of the page cache that knows processes.
#include "kernel/block/page_cache_internal.h"
#include "kernel/object/job.h"
#include "kernel/object/process.h"

struct job *cache_job(void) { return job_root; }

struct job *cache_writer_job(void) {
    const struct process *process = current_thread()->process;
    return process ? process->job : job_root;
}

void cache_limit_dirty(uint64_t pages) { __atomic_store_n(&job_root->limit[JOB_DIRTY_PAGES], pages, __ATOMIC_RELAXED); }
