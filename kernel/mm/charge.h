// Who pays for memory: charges against the quotas of jobs (kernel/object/job.h). A charge counts against a job and all its
// ancestors. Taking and giving back go through a stock that each job has on each CPU, so that they touch no line which
// another CPU writes; the stocks of a subtree are drained before a charge in it fails.
#pragma once
#include "kernel/core/types.h"

// JOB_DIRTY_PAGES, what the job has written to files and is not on their devices yet, has no limit of its own: a quarter of
// that of JOB_PAGES, of the root job what the page cache sets.
struct job;
enum job_resource { JOB_PAGES, JOB_HANDLES, JOB_THREADS, JOB_KERNEL_BYTES, JOB_PROCESSES, JOB_DIRTY_PAGES, JOB_RESOURCES };

// Charges n of a resource along the ancestors: 0, or -ENOMEM for pages, -ENFILE for the others, and then nothing has
// changed. Any lock may be held but the job tree's. Provided by object/job.c.
[[nodiscard]] int job_charge(struct job *job, enum job_resource what, uint64_t n);
// Gives back what was charged to that job. The job may have lost its last handle and process since: it lives until all
// is given back. Provided by object/job.c.
void job_uncharge(struct job *job, enum job_resource what, uint64_t n);
