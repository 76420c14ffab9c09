#include "kernel/ipc/advisory.h"

#include "abi/gen/errors.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

// Who waits for whom among processes, to find rings. A leaf.
struct blocked {
    struct list_node node;
    uint64_t owner, by;
};
static struct spinlock blocked_lock = SPINLOCK_INIT("lock rings");
static struct list blocked_owners = LIST_INIT(blocked_owners);

struct advisory_locks *advisory_make(struct advisory_locks **at) {
    struct advisory_locks *l = advisory_of(at), *none = NULL;
    if (l != NULL) return l;
    l = kzalloc(sizeof *l);
    if (l == NULL) return NULL;
    wait_queue_init(&l->queue, "advisory locks");
    list_init(&l->ranges);
    list_init(&l->whole);
    if (__atomic_compare_exchange_n(at, &none, l, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return l;
    kfree(l);
    return none;
}

static void locks_free(struct rcu_head *head) { kfree(container_of(head, struct advisory_locks, rcu)); }

void advisory_free(struct advisory_locks *l) {
    if (l != NULL) rcu_call(&l->rcu, locks_free);
}

// ---- records ------------------------------------------------------------------------------------------------------------

static struct advisory_record *record_alloc(struct job *job) {
    if (job_charge(job, JOB_KERNEL_BYTES, sizeof(struct advisory_record)) != 0) return NULL;
    struct advisory_record *r = kmalloc(sizeof *r);
    if (r == NULL) job_uncharge(job, JOB_KERNEL_BYTES, sizeof *r);
    else r->job = job;
    return r;
}

static void record_free(struct advisory_record *r) {
    if (r == NULL) return;
    struct job *job = r->job;
    kfree(r);
    job_uncharge(job, JOB_KERNEL_BYTES, sizeof *r);
}

// Everything but who pays.
static void record_copy(struct advisory_record *to, const struct advisory_record *from) {
    struct job *job = to->job;
    *to = *from;
    to->job = job;
}

static bool overlap(const struct advisory_record *a, const struct advisory_record *b) { return a->start <= b->last && b->start <= a->last; }

// The first of another's that does not allow `wanted`.
static struct advisory_record *conflict(const struct list *list, const struct advisory_record *wanted) {
    list_for_each_entry(r, list, struct advisory_record, node)
        if (r->owner != wanted->owner && overlap(r, wanted) && (r->exclusive || wanted->exclusive)) return r;
    return NULL;
}

// Takes the range out of what the owner has; what is cut in two needs the spare.
static void cut(struct list *list, const struct advisory_record *range, struct advisory_record **spare) {
    list_for_each_entry_safe(r, list, struct advisory_record, node) {
        if (r->owner != range->owner || !overlap(r, range)) continue;
        bool before = r->start < range->start, after = r->last > range->last;
        if (before && after) {
            struct advisory_record *rest = *spare;
            *spare = NULL;
            record_copy(rest, r);
            rest->start = range->last + 1;
            r->last = range->start - 1;
            list_push_back(list, &rest->node);
        } else if (before) {
            r->last = range->start - 1;
        } else if (after) {
            r->start = range->last + 1;
        } else {
            list_remove(&r->node);
            record_free(r);
        }
    }
}

static void add(struct list *list, struct advisory_record *fresh) {
    list_for_each_entry_safe(r, list, struct advisory_record, node) {
        bool touches = r->last + 1 == fresh->start || (fresh->last + 1 == r->start && fresh->last != UINT64_MAX);
        if (r->owner != fresh->owner || r->exclusive != fresh->exclusive || r->file != fresh->file || !touches) continue;
        fresh->start = MIN(fresh->start, r->start);
        fresh->last = MAX(fresh->last, r->last);
        list_remove(&r->node);
        record_free(r);
    }
    list_push_back(list, &fresh->node);
}

static void release(struct advisory_locks *l, const struct object *file, uint64_t owner) {
    bool some = false;
    spin_lock(&l->queue.lock);
    for (unsigned which = 0; which < 2; which++) {
        list_for_each_entry_safe(r, which ? &l->whole : &l->ranges, struct advisory_record, node) {
            if (file != NULL ? r->file != file : r->owner != owner) continue;
            list_remove(&r->node);
            record_free(r);
            some = true;
        }
    }
    if (some) (void)wait_queue_wake_locked(&l->queue, UINT32_MAX, 0);
    spin_unlock(&l->queue.lock);
}

void advisory_release(struct advisory_locks *l, const struct object *file) {
    if (l != NULL) release(l, file, 0);
}

static uint64_t process_owner(void) { return current_process()->id << 1 | 1; }

uint64_t advisory_handle_gone(struct advisory_locks *l, struct handle *h) {
    wait_queue_cancel(&l->queue, h, -ECANCELED);
    if (current_process() == NULL || !(h->rights & (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE))) return 0;
    release(l, NULL, process_owner());
    return process_owner();
}

// ---- waiting ------------------------------------------------------------------------------------------------------------

// Whether `by`, or who it waits for, waits for owner. Else notes that owner waits for by.
static bool closes_ring(struct blocked *b) {
    bool ring = false;
    spin_lock(&blocked_lock);
    uint64_t at = b->by;
    for (unsigned steps = 0; steps < 64 && !ring; steps++) {
        uint64_t next = 0;
        list_for_each_entry(other, &blocked_owners, struct blocked, node)
            if (other->owner == at) next = other->by;
        if (next == 0) break;
        ring = next == b->owner;
        at = next;
    }
    if (!ring) list_push_back(&blocked_owners, &b->node);
    spin_unlock(&blocked_lock);
    return ring;
}

static void no_longer_blocked(struct blocked *b) {
    spin_lock(&blocked_lock);
    list_remove(&b->node);
    spin_unlock(&blocked_lock);
}

// The queue's lock is held, and released.
static int wait_unlock(struct advisory_locks *l, kpio_handle value, uint64_t owner, uint64_t by, nanos_t deadline) {
    struct blocked b = {.owner = owner, .by = by};
    struct handle *via = handle_lookup(value);
    bool ranked = owner & by & 1;
    int error = via == NULL ? -ECANCELED : deadline == 0 ? -EAGAIN : ranked && closes_ring(&b) ? -EDEADLK : 0;
    if (error != 0) {
        spin_unlock(&l->queue.lock);
        return error;
    }
    wait_queue_join_unlock(&l->queue, via, NULL);
    int64_t result = wait_block(deadline);
    if (ranked) no_longer_blocked(&b);
    return (int)result;
}

static int acquire(struct advisory_locks *l, struct list *list, struct advisory_record *fresh, struct advisory_record **spare,
                   kpio_handle value, nanos_t deadline) {
    for (;;) {
        spin_lock(&l->queue.lock);
        const struct advisory_record *r = conflict(list, fresh);
        if (r == NULL) break;
        int error = wait_unlock(l, value, fresh->owner, r->owner, deadline);
        if (error != 0) return error;
    }
    // A handle that is closed gives back its locks after it left its table: a lock taken later would stay for ever.
    if (handle_lookup(value) == NULL) {
        spin_unlock(&l->queue.lock);
        return -ECANCELED;
    }
    cut(list, fresh, spare);
    add(list, fresh);
    (void)wait_queue_wake_locked(&l->queue, UINT32_MAX, 0);  // an exclusive lock may have become a shared one
    spin_unlock(&l->queue.lock);
    return 0;
}

static void drop_range(struct advisory_locks *l, struct list *list, const struct advisory_record *range, struct advisory_record **spare) {
    spin_lock(&l->queue.lock);
    cut(list, range, spare);
    (void)wait_queue_wake_locked(&l->queue, UINT32_MAX, 0);
    spin_unlock(&l->queue.lock);
}

static void describe(struct advisory_locks *l, struct list *list, const struct advisory_record *wanted, struct kpio_file_lock *out) {
    spin_lock(&l->queue.lock);
    const struct advisory_record *r = conflict(list, wanted);
    uint32_t kind = r == NULL ? KPIO_LOCK_NONE : r->exclusive ? KPIO_LOCK_EXCLUSIVE : KPIO_LOCK_SHARED;
    out->flags = (out->flags & ~(uint32_t)KPIO_LOCK_KIND) | kind;
    if (r != NULL) {
        out->start = r->start;
        out->bytes = r->last == UINT64_MAX ? 0 : r->last - r->start + 1;
        out->process = r->owner & 1 ? r->owner >> 1 : 0;
    }
    spin_unlock(&l->queue.lock);
}

int advisory_decode(const struct object *file, const struct kpio_file_lock *lock, struct advisory_record *out) {
    unsigned kind = lock->flags & KPIO_LOCK_KIND;
    bool whole = lock->flags & KPIO_LOCK_WHOLE;
    const uint32_t all = KPIO_LOCK_KIND | KPIO_LOCK_WHOLE | KPIO_LOCK_PROCESS | KPIO_LOCK_TEST;
    if (lock->flags & ~all || kind > KPIO_LOCK_NONE) return -EINVAL;
    if (whole && (lock->flags & KPIO_LOCK_PROCESS || lock->start != 0 || lock->bytes != 0)) return -EINVAL;
    if (kind == KPIO_LOCK_NONE && lock->flags & KPIO_LOCK_TEST) return -EINVAL;
    if (lock->bytes != 0 && lock->start + (lock->bytes - 1) < lock->start) return -EOVERFLOW;
    *out = (struct advisory_record){
        .start = lock->start,
        .last = lock->bytes == 0 ? UINT64_MAX : lock->start + (lock->bytes - 1),
        .owner = lock->flags & KPIO_LOCK_PROCESS ? process_owner() : (uintptr_t)file,
        .file = file,
        .exclusive = kind == KPIO_LOCK_EXCLUSIVE,
    };
    return 0;
}

int advisory_lock(struct advisory_locks *l, const struct object *file, const struct advisory_record *wanted, kpio_handle value,
                  struct kpio_file_lock *lock, nanos_t deadline) {
    struct list *list = lock->flags & KPIO_LOCK_WHOLE ? &l->whole : &l->ranges;
    if (lock->flags & KPIO_LOCK_TEST) {
        describe(l, list, wanted, lock);
        return 0;
    }
    struct advisory_record *fresh = record_alloc(file->job), *spare = record_alloc(file->job);
    int error = fresh == NULL || spare == NULL ? -ENOMEM : 0;
    if (error == 0 && (lock->flags & KPIO_LOCK_KIND) != KPIO_LOCK_NONE) {
        record_copy(fresh, wanted);
        error = acquire(l, list, fresh, &spare, value, deadline);
        if (error == 0) fresh = NULL;
    } else if (error == 0) {
        drop_range(l, list, wanted, &spare);
    }
    record_free(fresh);
    record_free(spare);
    return error;
}
