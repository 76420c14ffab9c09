// Contents of files: where the page cache finds and puts them. FAT knows no holes, so what lies between the end of what the
// disk has and the first byte written behind it is zeroed before the size moves over it.
#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"

static struct fat_inode *inode_of(struct file_cache *cache) { return container_of(cache, struct fat_inode, inode.cache); }

static uint64_t clusters_for(const struct fat_volume *v, uint64_t bytes) {
    return (bytes + fat_cluster_bytes(v) - 1) >> v->cluster_shift;
}

// The run at `offset`, at most up to `end`. The chain must reach so far.
static int extent_find(struct fat_inode *i, uint64_t offset, uint64_t end, struct file_extent *out) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint32_t cluster, count, inside = (uint32_t)(offset & (fat_cluster_bytes(v) - 1));
    int found = fat_chain_find(i, (uint32_t)(offset >> v->cluster_shift), &cluster, &count);
    if (found == 0) return fs_damaged(&v->fs, "inode %lu: its chain ends before its size", i->inode.number);
    if (found < 0) return found;
    *out = (struct file_extent){
        .offset = offset,
        .bytes = MIN(end - offset, ((uint64_t)count << v->cluster_shift) - inside),
        .sector = (fat_cluster_block(v, cluster) << (v->block_shift - SECTOR_SHIFT)) + (inside >> SECTOR_SHIFT),
        .state = FILE_MAPPED,
    };
    return 0;
}

static int map(struct file_cache *cache, uint64_t offset, uint64_t bytes, struct file_extent *out) {
    struct fat_inode *i = inode_of(cache);
    struct fat_volume *v = fat_volume_of_inode(i);
    int error = 0;
    mutex_lock(&v->lock);
    if (offset >= i->initialised) *out = (struct file_extent){.offset = offset, .bytes = bytes, .state = FILE_HOLE};
    else error = extent_find(i, offset, MIN(offset + bytes, i->initialised), out);
    mutex_unlock(&v->lock);
    return error;
}

// ---- reservations -------------------------------------------------------------------------------------------------------------

static void reserved_change(struct fat_volume *v, struct fat_inode *i, uint32_t now) {
    __atomic_fetch_add(&v->reserved, now - i->reserved, __ATOMIC_RELAXED);
    i->reserved = now;
}

static int reserve(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    struct fat_inode *i = inode_of(cache);
    struct fat_volume *v = fat_volume_of_inode(i);
    uint64_t end = offset + bytes;
    if (end > align_up(UINT32_MAX, PAGE_SIZE)) return -EFBIG;
    mutex_lock(&v->lock);
    int error = fat_begin(v);
    if (!error && end > i->reserved_to) {
        uint64_t more = clusters_for(v, end) - clusters_for(v, i->reserved_to);
        if (!fat_has_room(v, more)) error = -ENOSPC;
        else reserved_change(v, i, i->reserved + (uint32_t)more);
        if (!error) i->reserved_to = end;
    }
    mutex_unlock(&v->lock);
    return error;
}

// Clusters that the file has stay reserved for it, as it were.
static void reserve_to(struct fat_volume *v, struct fat_inode *i, uint64_t end) {
    end = MAX(end, (uint64_t)i->clusters << v->cluster_shift);
    if (!i->whole || end >= i->reserved_to) return;
    uint64_t less = clusters_for(v, i->reserved_to) - clusters_for(v, end);
    reserved_change(v, i, i->reserved - (uint32_t)MIN(less, (uint64_t)i->reserved));
    i->reserved_to = end;
}

static void unreserve(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    struct fat_inode *i = inode_of(cache);
    struct fat_volume *v = fat_volume_of_inode(i);
    mutex_lock(&v->lock);
    if (offset + bytes >= i->reserved_to) reserve_to(v, i, offset);
    mutex_unlock(&v->lock);
}

// ---- write-back -----------------------------------------------------------------------------------------------------------------

// Clusters up to `end`, and zeros on the disk up to `offset`.
static int extend(struct fat_inode *i, uint64_t offset, uint64_t end) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint32_t wanted = (uint32_t)clusters_for(v, end), cluster, count;
    int found = fat_chain_find(i, wanted - 1, &cluster, &count);
    if (found != 0) return found < 0 ? found : 0;
    uint32_t before = i->clusters;
    int error = fat_chain_grow(i, wanted);
    if (error) return error;
    reserved_change(v, i, i->reserved - MIN(i->reserved, i->clusters - before));
    i->reserved_to = MAX(i->reserved_to, (uint64_t)i->clusters << v->cluster_shift);
    return 0;
}

static int prepare_locked(struct fat_inode *i, uint64_t offset, uint64_t bytes, uint64_t size, struct file_extent *out) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint64_t end = MIN(offset + bytes, align_up(size, v->block_bytes));
    if (offset >= end) {
        *out = (struct file_extent){.offset = offset, .bytes = bytes, .state = FILE_HOLE};
        return 0;
    }
    int error = fat_begin(v);
    if (!error) error = extend(i, offset, end);
    if (!error && offset > i->initialised) error = fat_chain_zero(i, i->initialised, offset);
    if (!error) error = extent_find(i, offset, end, out);
    if (!error) i->initialised = MAX(i->initialised, out->offset + out->bytes);
    return error;
}

static int prepare(struct file_cache *cache, uint64_t offset, uint64_t bytes, uint64_t size, struct file_extent *out) {
    struct fat_inode *i = inode_of(cache);
    struct fat_volume *v = fat_volume_of_inode(i);
    mutex_lock(&v->lock);
    int error = prepare_locked(i, offset, bytes, size, out);
    mutex_unlock(&v->lock);
    return error;
}

static int complete(struct file_cache *cache, const struct file_extent *extent, uint64_t size_written, int error) {
    struct fat_inode *i = inode_of(cache);
    struct fat_volume *v = fat_volume_of_inode(i);
    uint64_t size = MIN(size_written, extent->offset + extent->bytes);
    if (error || size <= i->recorded) return 0;
    mutex_lock(&v->lock);
    // It may have been cut meanwhile.
    size = MIN(size, cache->size);
    if (size > i->recorded) error = fat_inode_record(i, (uint32_t)size);
    mutex_unlock(&v->lock);
    return error;
}

const struct file_cache_ops fat_cache_ops = {
    .map = map,
    .reserve = reserve,
    .unreserve = unreserve,
    .prepare = prepare,
    .complete = complete,
    .mapped = inode_mapped,
    .sync = inode_sync_mapped,
};

// ---- the file's operations ------------------------------------------------------------------------------------------------------

static int resize_locked(struct fat_inode *i, uint64_t size) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint64_t rounded = align_up(size, v->block_bytes);
    int error = fat_begin(v);
    if (error) return error;
    i->inode.modified = i->inode.changed = fs_now();
    if (size > i->recorded && rounded > i->initialised) {  // longer: zeros on the disk first
        if (rounded > i->reserved_to && !fat_has_room(v, clusters_for(v, rounded) - clusters_for(v, i->reserved_to))) return -ENOSPC;
        error = extend(i, rounded, rounded);
        if (!error) error = fat_chain_zero(i, i->initialised, rounded);
        if (error) return error;
        i->initialised = rounded;
    }
    if (size < i->recorded) {
        // The entry must not lead to clusters that are cut off: both change, the entry is written before they are free.
        error = fat_chain_cut(i, (uint32_t)clusters_for(v, size));
        i->initialised = MIN(i->initialised, rounded);
    } else {
        error = fat_chain_cut(i, (uint32_t)clusters_for(v, MAX(rounded, i->initialised)));
    }
    if (error) return error;
    i->initialised = MIN(i->initialised, rounded);
    reserve_to(v, i, rounded);
    return fat_inode_record(i, (uint32_t)size);
}

static int resize(struct inode *inode, uint64_t size) {
    struct fat_volume *v = fat_volume_of(inode->fs);
    if (size > UINT32_MAX) return -EFBIG;
    mutex_lock(&v->lock);
    int error = resize_locked(fat_inode_of(inode), size);
    mutex_unlock(&v->lock);
    return error;
}

int fat_change(struct inode *inode, const struct inode_change *c) {
    struct fat_inode *i = fat_inode_of(inode);
    struct fat_volume *v = fat_volume_of(inode->fs);
    if (((c->what & FS_SET_UID) && c->uid != inode->uid) || ((c->what & FS_SET_GID) && c->gid != inode->gid)) return -EPERM;
    mutex_lock(&v->lock);
    int error = fat_begin(v);
    if (!error) {
        if ((c->what & FS_SET_MODE) && FS_TYPE(inode->mode) == FS_REGULAR) {  // of all the bits FAT has one
            bool writable = c->mode & 0222;
            i->attributes = (uint8_t)(writable ? i->attributes & ~FAT_READ_ONLY : i->attributes | FAT_READ_ONLY);
            inode->mode = FS_REGULAR | (writable ? 0644 : 0444);
        }
        if (c->what & FS_SET_ACCESSED) inode->accessed = c->accessed;
        if (c->what & FS_SET_MODIFIED) inode->modified = c->modified;
        inode->changed = fs_now();
        error = fat_inode_record(i, i->recorded);
    }
    mutex_unlock(&v->lock);
    return error;
}

// Who waits for the lock meanwhile is served by the sync of another that began after it came.
int fat_inode_sync(struct inode *inode, bool data_only) {
    struct fat_volume *v = fat_volume_of(inode->fs);
    uint32_t begun = __atomic_load_n(&v->syncs_begun, __ATOMIC_ACQUIRE);
    int error = 0;
    mutex_lock(&v->lock);
    if ((int32_t)(v->last_sync - begun) <= 0) error = fat_sync(v);
    mutex_unlock(&v->lock);
    return error;
}

void fat_evict(struct inode *inode) {
    struct fat_inode *i = fat_inode_of(inode);
    struct fat_volume *v = fat_volume_of(inode->fs);
    mutex_lock(&v->lock);
    fat_free_later(v, i->first, fat_chain_most(i));
    i->first = 0;
    mutex_unlock(&v->lock);
}

const struct inode_ops fat_file_ops = {.change = fat_change, .resize = resize, .sync = fat_inode_sync, .evict = fat_evict};

