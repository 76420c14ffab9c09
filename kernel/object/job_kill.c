// Ending all processes of a subtree: a walk of all ids, in preemptible steps. Processes that appear meanwhile see the
// mark (process_create).
#include "abi/gen/errors.h"
#include "kernel/object/id.h"
#include "kernel/object/job.h"
#include "kernel/object/process.h"
#include "kernel/sched/sched.h"

void job_kill(struct job *job) {
    object_get(&job->object);
    __atomic_store_n(&job->killed, true, __ATOMIC_SEQ_CST);
    struct process *own = current_process();
    bool ends_itself = false, more = true;
    uint32_t cursor = 0;
    while (more) {
        struct object *o = id_next(&cursor, &more);
        if (o != NULL && o->kind == KPIO_KIND_PROCESS && job_is_within(process_of(o)->job, job)) {
            if (process_of(o) == own) ends_itself = true;
            else if (object_tryget(o)) {
                process_kill(process_of(o), -ECANCELED);
                object_put(o);
            }
        }
        sched_preempt_point();
    }
    object_put(&job->object);
    if (ends_itself) process_kill(own, -ECANCELED);
}
