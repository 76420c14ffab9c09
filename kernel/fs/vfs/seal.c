#include "kernel/fs/vfs/seal.h"

#include "abi/fs.h"
#include "abi/gen/errors.h"
#include "kernel/fs/vfs/content.h"

#define NO_WRITE (KPIO_SEAL_WRITE | KPIO_SEAL_FUTURE_WRITE)

static int64_t add_locked(struct inode *inode, uint32_t add) {
    if (inode->seals & KPIO_SEAL_SEAL) return -EPERM;
    if (add & KPIO_SEAL_WRITE && __atomic_load_n(&inode->write_maps, __ATOMIC_ACQUIRE) != 0) return -EBUSY;
    __atomic_store_n(&inode->seals, inode->seals | add, __ATOMIC_RELEASE);
    return inode->seals;
}

int64_t file_seal(struct file *f, uint32_t add) {
    struct inode *inode = f->inode;
    if (FS_TYPE(inode->mode) != FS_REGULAR || inode->cache.ops != NULL) return -EINVAL;
    rw_mutex_lock(&inode->lock);
    int64_t seals = add != 0 ? add_locked(inode, add) : inode->seals;
    rw_mutex_unlock(&inode->lock);
    return seals;
}

static bool grows(const struct inode *inode, uint64_t offset, uint64_t bytes) {
    uint64_t end;
    return !checked_add(offset, bytes, &end) || end > inode_size(inode);
}

int seal_check_write(const struct inode *inode, uint64_t offset, uint64_t bytes) {
    if (likely(inode->seals == 0)) return 0;
    return inode->seals & NO_WRITE || (inode->seals & KPIO_SEAL_GROW && grows(inode, offset, bytes)) ? -EPERM : 0;
}

int seal_check_resize(const struct inode *inode, uint64_t size) {
    if (likely(inode->seals == 0)) return 0;
    uint64_t now = inode_size(inode);
    return (inode->seals & KPIO_SEAL_GROW && size > now) || (inode->seals & KPIO_SEAL_SHRINK && size < now) ? -EPERM : 0;
}

int seal_check_allocate(const struct inode *inode, unsigned flags, uint64_t offset, uint64_t bytes) {
    bool clears = flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_ZERO_RANGE), keeps = flags & FS_ALLOCATE_KEEP_SIZE;
    if (clears && inode->seals & NO_WRITE) return -EPERM;
    return !keeps && inode->seals & KPIO_SEAL_GROW && grows(inode, offset, bytes) ? -EPERM : 0;
}

int seal_get_map(struct inode *inode) {
    int error = rw_mutex_lock_killable(&inode->lock);
    if (error != 0) return error;
    error = inode->seals & NO_WRITE ? -EPERM : 0;
    if (error == 0) __atomic_fetch_add(&inode->write_maps, 1, __ATOMIC_RELAXED);
    rw_mutex_unlock(&inode->lock);
    return error;
}

void seal_put_map(struct inode *inode) { __atomic_fetch_sub(&inode->write_maps, 1, __ATOMIC_RELEASE); }
