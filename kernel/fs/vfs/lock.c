#include "kernel/fs/vfs/lock.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/file.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

struct record {
    struct list_node node;
    uint64_t start, last;   // both inclusive
    uint64_t owner;         // a process's id << 1 | 1, or the address of a file or directory
    const struct object *file;  // that it was made through
    struct job *job;        // who pays
    bool exclusive;
};
struct file_locks {
    struct wait_queue queue;    // its lock guards all of this
    struct list ranges, whole;  // ranges of one owner neither overlap nor touch with the same kind
    bool served;                // the file's driver was asked for one; atomic
    struct rcu_head rcu;        // who kills one that waited may still look at the queue's lock
};

// Who waits for whom among processes, to find rings. A leaf.
struct blocked {
    struct list_node node;
    uint64_t owner, by;
};
static struct spinlock blocked_lock = SPINLOCK_INIT("lock rings");
static struct list blocked_owners = LIST_INIT(blocked_owners);

static inline struct file_locks *locks_of(const struct inode *inode) {
    return inode_has_locks(inode) ? __atomic_load_n((struct file_locks *const *)&inode->vfs, __ATOMIC_ACQUIRE) : NULL;
}

static struct file_locks *locks_make(struct inode *inode) {
    struct file_locks *l = locks_of(inode), *none = NULL;
    if (l != NULL) return l;
    l = kzalloc(sizeof *l);
    if (l == NULL) return NULL;
    wait_queue_init(&l->queue, "file locks");
    list_init(&l->ranges);
    list_init(&l->whole);
    if (__atomic_compare_exchange_n((struct file_locks **)&inode->vfs, &none, l, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return l;
    kfree(l);
    return none;
}

static void locks_free(struct rcu_head *head) { kfree(container_of(head, struct file_locks, rcu)); }

void locks_forget(struct inode *inode) {
    struct file_locks *l = locks_of(inode);
    inode->vfs = NULL;
    if (l != NULL) rcu_call(&l->rcu, locks_free);
}

// ---- records ------------------------------------------------------------------------------------------------------------

static struct record *record_alloc(struct job *job) {
    if (job_charge(job, JOB_KERNEL_BYTES, sizeof(struct record)) != 0) return NULL;
    struct record *r = kmalloc(sizeof *r);
    if (r == NULL) job_uncharge(job, JOB_KERNEL_BYTES, sizeof *r);
    else r->job = job;
    return r;
}

static void record_free(struct record *r) {
    if (r == NULL) return;
    struct job *job = r->job;
    kfree(r);
    job_uncharge(job, JOB_KERNEL_BYTES, sizeof *r);
}

// Everything but who pays.
static void record_copy(struct record *to, const struct record *from) {
    struct job *job = to->job;
    *to = *from;
    to->job = job;
}

static bool overlap(const struct record *a, const struct record *b) { return a->start <= b->last && b->start <= a->last; }

// The first of another's that does not allow `wanted`.
static struct record *conflict(const struct list *list, const struct record *wanted) {
    list_for_each_entry(r, list, struct record, node)
        if (r->owner != wanted->owner && overlap(r, wanted) && (r->exclusive || wanted->exclusive)) return r;
    return NULL;
}

// Takes the range out of what the owner has; what is cut in two needs the spare.
static void cut(struct list *list, const struct record *range, struct record **spare) {
    list_for_each_entry_safe(r, list, struct record, node) {
        if (r->owner != range->owner || !overlap(r, range)) continue;
        bool before = r->start < range->start, after = r->last > range->last;
        if (before && after) {
            struct record *rest = *spare;
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

static void add(struct list *list, struct record *fresh) {
    list_for_each_entry_safe(r, list, struct record, node) {
        bool touches = r->last + 1 == fresh->start || (fresh->last + 1 == r->start && fresh->last != UINT64_MAX);
        if (r->owner != fresh->owner || r->exclusive != fresh->exclusive || r->file != fresh->file || !touches) continue;
        fresh->start = MIN(fresh->start, r->start);
        fresh->last = MAX(fresh->last, r->last);
        list_remove(&r->node);
        record_free(r);
    }
    list_push_back(list, &fresh->node);
}

static void release(struct file_locks *l, const struct object *file, uint64_t owner) {
    bool some = false;
    spin_lock(&l->queue.lock);
    for (unsigned which = 0; which < 2; which++) {
        list_for_each_entry_safe(r, which ? &l->whole : &l->ranges, struct record, node) {
            if (file != NULL ? r->file != file : r->owner != owner) continue;
            list_remove(&r->node);
            record_free(r);
            some = true;
        }
    }
    if (some) (void)wait_queue_wake_locked(&l->queue, UINT32_MAX, 0);
    spin_unlock(&l->queue.lock);
}

void locks_release_file(const struct object *file, const struct inode *inode) {
    struct file_locks *l = locks_of(inode);
    if (l != NULL) release(l, file, 0);
}

static uint64_t process_owner(void) { return current_process()->id << 1 | 1; }

void locks_handle_gone(struct inode *inode, struct handle *h) {
    struct file_locks *l = locks_of(inode);
    if (likely(l == NULL)) return;
    wait_queue_cancel(&l->queue, h, -ECANCELED);
    bool ends = current_process() != NULL && h->rights & (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE);
    if (ends) release(l, NULL, process_owner());
    if (__atomic_load_n(&l->served, __ATOMIC_ACQUIRE)) inode->ops->lock_gone(inode, h, ends ? process_owner() : 0);
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
static int wait_unlock(struct file_locks *l, kpio_handle value, uint64_t owner, uint64_t by, nanos_t deadline) {
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

static int acquire(struct file_locks *l, struct list *list, struct record *fresh, struct record **spare, kpio_handle value,
                   nanos_t deadline) {
    for (;;) {
        spin_lock(&l->queue.lock);
        const struct record *r = conflict(list, fresh);
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

static void drop_range(struct file_locks *l, struct list *list, const struct record *range, struct record **spare) {
    spin_lock(&l->queue.lock);
    cut(list, range, spare);
    (void)wait_queue_wake_locked(&l->queue, UINT32_MAX, 0);
    spin_unlock(&l->queue.lock);
}

static void describe(struct file_locks *l, struct list *list, const struct record *wanted, struct kpio_file_lock *out) {
    spin_lock(&l->queue.lock);
    const struct record *r = conflict(list, wanted);
    uint32_t kind = r == NULL ? KPIO_LOCK_NONE : r->exclusive ? KPIO_LOCK_EXCLUSIVE : KPIO_LOCK_SHARED;
    out->flags = (out->flags & ~(uint32_t)KPIO_LOCK_KIND) | kind;
    if (r != NULL) {
        out->start = r->start;
        out->bytes = r->last == UINT64_MAX ? 0 : r->last - r->start + 1;
        out->process = r->owner & 1 ? r->owner >> 1 : 0;
    }
    spin_unlock(&l->queue.lock);
}

static int decode(const struct object *file, const struct kpio_file_lock *lock, struct record *out) {
    unsigned kind = lock->flags & KPIO_LOCK_KIND;
    bool whole = lock->flags & KPIO_LOCK_WHOLE;
    const uint32_t all = KPIO_LOCK_KIND | KPIO_LOCK_WHOLE | KPIO_LOCK_PROCESS | KPIO_LOCK_TEST;
    if (lock->flags & ~all || kind > KPIO_LOCK_NONE) return -EINVAL;
    if (whole && (lock->flags & KPIO_LOCK_PROCESS || lock->start != 0 || lock->bytes != 0)) return -EINVAL;
    if (kind == KPIO_LOCK_NONE && lock->flags & KPIO_LOCK_TEST) return -EINVAL;
    if (lock->bytes != 0 && lock->start + (lock->bytes - 1) < lock->start) return -EOVERFLOW;
    *out = (struct record){
        .start = lock->start,
        .last = lock->bytes == 0 ? UINT64_MAX : lock->start + (lock->bytes - 1),
        .owner = lock->flags & KPIO_LOCK_PROCESS ? process_owner() : (uintptr_t)file,
        .file = file,
        .exclusive = kind == KPIO_LOCK_EXCLUSIVE,
    };
    return 0;
}

// 1: the kernel is to keep this lock itself.
static int lock_served(struct object *o, struct inode *inode, struct file_locks *l, const struct record *wanted, kpio_handle value,
                       struct kpio_file_lock *lock, nanos_t deadline) {
    void *opened = FS_TYPE(inode->mode) == FS_REGULAR ? file_of(o)->opened : NULL;
    if (opened == NULL || inode->ops->lock == NULL) return 1;
    struct fs_lock served = {
        .flags = lock->flags, .start = wanted->start, .last = wanted->last,
        .owner = lock->flags & KPIO_LOCK_PROCESS ? wanted->owner : o->id << 1};
    __atomic_store_n(&l->served, true, __ATOMIC_RELEASE);
    int error = inode->ops->lock(inode, opened, &served, value, deadline);
    if (error != 0 || !(lock->flags & KPIO_LOCK_TEST)) return error;
    lock->flags = served.flags;
    if ((served.flags & KPIO_LOCK_KIND) == KPIO_LOCK_NONE) return 0;
    lock->start = served.start;
    lock->bytes = served.last == UINT64_MAX ? 0 : served.last - served.start + 1;
    lock->process = served.process;
    return 0;
}

int file_lock(struct object *file, struct inode *inode, kpio_handle value, struct kpio_file_lock *lock, nanos_t deadline) {
    struct record wanted;
    int error = decode(file, lock, &wanted);
    if (error != 0) return error;
    if (!inode_has_locks(inode)) return -EINVAL;
    struct file_locks *l = locks_make(inode);
    if (l == NULL) return -ENOMEM;
    error = lock_served(file, inode, l, &wanted, value, lock, deadline);
    if (error != 1) return error;
    struct list *list = lock->flags & KPIO_LOCK_WHOLE ? &l->whole : &l->ranges;
    if (lock->flags & KPIO_LOCK_TEST) {
        describe(l, list, &wanted, lock);
        return 0;
    }
    struct record *fresh = record_alloc(file->job), *spare = record_alloc(file->job);
    error = fresh == NULL || spare == NULL ? -ENOMEM : 0;
    if (error == 0 && (lock->flags & KPIO_LOCK_KIND) != KPIO_LOCK_NONE) {
        record_copy(fresh, &wanted);
        error = acquire(l, list, fresh, &spare, value, deadline);
        if (error == 0) fresh = NULL;
    } else if (error == 0) {
        drop_range(l, list, &wanted, &spare);
    }
    record_free(fresh);
    record_free(spare);
    return error;
}
