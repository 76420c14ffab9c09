#include "kernel/fs/vfs/lock.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/file.h"

static inline struct advisory_locks *locks_of(const struct inode *inode) {
    return inode_has_locks(inode) ? advisory_of((struct advisory_locks *const *)&inode->vfs) : NULL;
}

void locks_forget(struct inode *inode) {
    struct advisory_locks *l = locks_of(inode);
    inode->vfs = NULL;
    advisory_free(l);
}

void locks_release_file(const struct object *file, const struct inode *inode) { advisory_release(locks_of(inode), file); }

void locks_handle_gone(struct inode *inode, struct handle *h) {
    struct advisory_locks *l = locks_of(inode);
    if (likely(l == NULL)) return;
    const uint64_t owner = advisory_handle_gone(l, h);
    if (__atomic_load_n(&l->served, __ATOMIC_ACQUIRE)) inode->ops->lock_gone(inode, h, owner);
}

// 1: the kernel is to keep this lock itself.
static int lock_served(struct object *o, struct inode *inode, struct advisory_locks *l, const struct advisory_record *wanted,
                       kpio_handle value, struct kpio_file_lock *lock, nanos_t deadline) {
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
    struct advisory_record wanted;
    int error = advisory_decode(file, lock, &wanted);
    if (error != 0) return error;
    if (!inode_has_locks(inode)) return -EINVAL;
    struct advisory_locks *l = advisory_make((struct advisory_locks **)&inode->vfs);
    if (l == NULL) return -ENOMEM;
    error = lock_served(file, inode, l, &wanted, value, lock, deadline);
    return error == 1 ? advisory_lock(l, file, &wanted, value, lock, deadline) : error;
}
