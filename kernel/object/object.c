#include "kernel/object/object.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/sched/sched.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/object/id.h"

// Counters of each CPU: what a CPU made less what it freed, and the ids that it gave out. Only the sum means something.
struct object_cpu {
    int64_t live[KPIO_KIND_COUNT];
    uint64_t ids;
} cacheline_aligned;
static struct object_cpu object_cpus[CONFIG_MAX_CPUS];

int object_init(struct object *o, enum kpio_kind kind, const struct object_ops *ops, struct job *job, uint32_t bytes) {
    if (job != NULL) {
        int error = job_charge(job, JOB_KERNEL_BYTES, bytes);
        if (error != 0) return error;
    }
    struct object_cpu *own = &object_cpus[cpu_id()];
    o->ops = ops;
    o->refs = 1;
    o->kind = (uint8_t)kind;
    o->job = job;
    o->charged_bytes = bytes;
    o->waited = ops->handle_gone != NULL;
    o->id = ID_LIMIT + own->ids++ * CONFIG_MAX_CPUS + cpu_id();
    spin_init(&o->tree_lock, "object tree");
    o->tree = &o->tree_lock;
    own->live[kind]++;
    return 0;
}

static void object_free(struct rcu_head *head) { kfree(container_of(head, struct object, rcu)); }

// The last reference has gone.
static coldpath void object_destroy(struct object *o) {
    assert(o->handles == 0);
    o->flags |= OBJECT_DEAD;
    object_unbind_all(o);
    object_cpus[cpu_id()].live[o->kind]--;
    struct job *job = o->job;
    uint32_t bytes = o->charged_bytes;
    const struct object_ops *ops = o->ops;
    if (ops->destroy != NULL) ops->destroy(o);
    rcu_call(&o->rcu, ops->free != NULL ? ops->free : object_free);
    if (job != NULL) job_uncharge(job, JOB_KERNEL_BYTES, bytes);
}

void object_put(struct object *o) {
    uint32_t before = __atomic_fetch_sub(&o->refs, 1, __ATOMIC_ACQ_REL);
    verify(before != 0);
    if (before == 1) object_destroy(o);
}

void object_abandon(struct object *o) {
    bool unnamed = __atomic_load_n(&o->handles, __ATOMIC_ACQUIRE) == 0;
    if (unnamed && o->ops->unreachable != NULL) (o->ops->unreachable)(o);  // parentheses: stddef.h has a macro of that name
    object_put(o);
}

void object_cancel_waits(struct object *o, struct wait_queue *q, const struct handle *via) {
    spin_lock(&q->lock);
    wait_queue_cancel_locked(q, via, -ECANCELED);
    if (list_is_empty(&q->waiters)) o->waited = false;
    spin_unlock(&q->lock);
}

uint64_t object_count(enum kpio_kind kind) {
    int64_t sum = 0;
    for (uint32_t i = 0; i < cpu_count; i++) sum += __atomic_load_n(&object_cpus[i].live[kind], __ATOMIC_RELAXED);
    return sum < 0 ? 0 : (uint64_t)sum;
}
