#include "kernel/fs/vfs/content.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/memory.h"
#include "kernel/fs/vfs/mount.h"

static inline bool in_memory(const struct inode *inode) { return inode->memory != NULL; }

int64_t content_read(struct inode *inode, uint64_t offset, struct user_ptr to, uint64_t bytes) {
    if (in_memory(inode)) return memory_read(inode, offset, to, bytes);
    return file_cache_read(&inode->cache, offset, to, bytes);
}

int64_t content_read_kernel(struct inode *inode, uint64_t offset, void *to, uint64_t bytes) {
    if (in_memory(inode)) return memory_read_kernel(inode, offset, to, bytes);
    return file_cache_read_kernel(&inode->cache, offset, to, bytes);
}

uint64_t content_resident(struct inode *inode, uint64_t offset, uint64_t bytes) {
    const uint64_t size = inode_size(inode);
    if (offset >= size) return 0;
    bytes = MIN(bytes, size - offset);
    return in_memory(inode) ? bytes : file_cache_resident(&inode->cache, offset, bytes);
}

// How many of the bytes the file system takes at the offset.
static int64_t fitting(const struct inode *inode, uint64_t offset, uint64_t bytes) {
    uint64_t most = inode->fs->max_file_bytes;
    if (bytes == 0) return 0;
    return offset >= most ? -EFBIG : (int64_t)MIN(bytes, most - offset);
}

int64_t content_write(struct inode *inode, uint64_t offset, struct user_ptr from, uint64_t bytes) {
    int64_t n = fitting(inode, offset, bytes);
    if (n <= 0) return n;
    if (in_memory(inode)) return memory_write(inode, offset, from, (uint64_t)n);
    return file_cache_write(&inode->cache, offset, from, (uint64_t)n);
}

int64_t content_write_kernel(struct inode *inode, uint64_t offset, const void *from, uint64_t bytes) {
    int64_t n = fitting(inode, offset, bytes);
    if (n <= 0) return n;
    if (in_memory(inode)) return memory_write_kernel(inode, offset, from, (uint64_t)n);
    return file_cache_write_kernel(&inode->cache, offset, from, (uint64_t)n);
}

// The driver cuts what it has: so it is given all that was written, and the cache takes over what it made of that.
static int resize_remote(struct inode *inode, uint64_t size) {
    int error = file_cache_sync(&inode->cache, 0, UINT64_MAX);
    if (error == 0) error = inode->ops->resize(inode, size);
    return error == 0 ? file_cache_reset(&inode->cache, MIN(size, inode->cache.size), size) : error;
}

int content_resize(struct inode *inode, uint64_t size) {
    if (size > inode->fs->max_file_bytes) return -EFBIG;
    if (in_memory(inode)) return memory_resize(inode, size);
    if (unlikely(inode->flags & INODE_REMOTE)) return resize_remote(inode, size);
    uint64_t old = inode_size(inode);
    int error = file_cache_resize(&inode->cache, size);
    if (error == 0 && (error = inode->ops->resize(inode, size)) != 0 && size > old) {
        int undone = file_cache_resize(&inode->cache, old);
        if (undone != 0) return undone;
    }
    return error;
}

static int allocate_remote(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags) {
    bool grows = !(flags & (FS_ALLOCATE_KEEP_SIZE | FS_ALLOCATE_PUNCH_HOLE)), clears = flags & ~(unsigned)FS_ALLOCATE_KEEP_SIZE;
    uint64_t size = inode->cache.size;
    int error = file_cache_sync(&inode->cache, 0, UINT64_MAX);
    if (error == 0) error = inode->ops->allocate(inode, offset, bytes, flags);
    if (error != 0) return error;
    return file_cache_reset(&inode->cache, clears ? offset : size, grows ? MAX(size, offset + bytes) : size);
}

int content_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags) {
    uint64_t end;
    bool grows = !(flags & (FS_ALLOCATE_KEEP_SIZE | FS_ALLOCATE_PUNCH_HOLE));
    if (!checked_add(offset, bytes, &end) || end > inode->fs->max_file_bytes) return -EFBIG;
    if (in_memory(inode)) return memory_allocate(inode, offset, bytes, flags);
    if (inode->ops->allocate == NULL) return -EOPNOTSUPP;
    if (unlikely(inode->flags & INODE_REMOTE)) return allocate_remote(inode, offset, bytes, flags);
    int error = 0;
    if (flags & (FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_ZERO_RANGE)) error = file_cache_discard(&inode->cache, offset, bytes);
    if (error == 0) error = inode->ops->allocate(inode, offset, bytes, flags);
    return error == 0 && grows && end > inode_size(inode) ? content_resize(inode, end) : error;
}

// ---- data and holes -----------------------------------------------------------------------------------------------------

// What the file system says is a hole may be dirty in memory.
static int64_t seek_extents(struct inode *inode, uint64_t offset, bool data) {
    uint64_t size = inode_size(inode), block = inode->fs->block_size;
    for (uint64_t at = align_down(offset, block); at < size;) {
        struct file_extent extent;
        int error = inode->cache.ops->map(&inode->cache, at, align_up(size, block) - at, &extent);
        if (error != 0) return error;
        uint64_t end = extent.offset + extent.bytes, dirty = extent.state == FILE_MAPPED ? at : file_cache_next_dirty(&inode->cache, at);
        if (end <= at) return fs_damaged(inode->fs, "inode %lu: an extent of no length at %lu", inode->number, at);
        if (data && dirty < MIN(end, size)) return (int64_t)MAX(offset, dirty);
        if (!data && extent.state != FILE_MAPPED && dirty > at) return (int64_t)MAX(offset, at);
        // Only the block that is dirty is known not to be a hole.
        at = !data && extent.state != FILE_MAPPED ? at + block : end;
    }
    return data ? -ENXIO : (int64_t)size;
}

int64_t content_seek(struct inode *inode, uint64_t offset, bool data) {
    if (offset >= inode_size(inode)) return -ENXIO;
    if (in_memory(inode)) return memory_seek(inode, offset, data);
    int64_t at = inode->ops->seek != NULL ? inode->ops->seek(inode, offset, data) : -EOPNOTSUPP;
    if (at != -EOPNOTSUPP) return at;
    return inode->cache.ops->map != NULL ? seek_extents(inode, offset, data) : data ? (int64_t)offset : (int64_t)inode_size(inode);
}

static int sync_range(struct inode *inode, uint64_t offset, uint64_t bytes, bool data_only) {
    int error = inode->cache.ops != NULL ? file_cache_sync(&inode->cache, offset, bytes) : 0;
    if (error == 0 && !data_only && inode->flags & INODE_DIRTY) {
        error = rw_mutex_lock_killable(&inode->lock);
        if (error != 0) return error;
        error = inode_write(inode);
        rw_mutex_unlock(&inode->lock);
    }
    if (error == 0 && inode->ops->sync != NULL) error = inode->ops->sync(inode, data_only);
    return error;
}

int content_sync(struct inode *inode, bool data_only) { return sync_range(inode, 0, UINT64_MAX, data_only); }

int inode_sync_mapped(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    struct inode *inode = container_of(cache, struct inode, cache);
    return inode->flags & INODE_BAD ? -EIO : sync_range(inode, offset, bytes, true);
}

void inode_mapped(struct file_cache *cache, bool mapped) {
    struct inode *inode = container_of(cache, struct inode, cache);
    if (mapped) inode_hold(inode);
    else inode_put_later(inode);
}

int content_vmo(struct inode *inode, struct vmo **out) {
    if (!in_memory(inode)) return file_cache_vmo(&inode->cache, out);
    vmo_get(inode->memory);
    *out = inode->memory;
    return 0;
}
