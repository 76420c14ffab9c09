// Files that become shorter or longer, get blocks ahead of their data or holes, or go altogether. What does not fit into one
// transaction is done in several, with the inode on the list of orphans: after a crash the next mount does the rest.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"

static uint32_t blocks_for(const struct ext4 *v, uint64_t bytes) {
    return (uint32_t)MIN((bytes + v->block_size - 1) >> v->block_bits, UINT32_MAX);
}

int ext4_truncate(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to) {
    struct ext4 *v = tx->volume;
    for (bool done = false;;) {
        rw_mutex_lock(&node->map_lock);
        ext4_delayed_remove(node, from, to);
        int error = ext4_inode_access(tx, node);
        if (error == 0) error = ext4_map_remove(tx, node, from, to, &done);
        if (error == 0) error = ext4_write_inode(tx, node);
        rw_mutex_unlock(&node->map_lock);
        if (error != 0 || done) return error;
        ext4_end(tx);
        error = ext4_begin(v, EXT4_REMOVE_CREDITS, tx);
        if (error != 0) {
            tx->volume = NULL;
            return error;
        }
    }
}

static void end(struct ext4_tx *tx) {
    if (tx->volume != NULL) ext4_end(tx);
}

int ext4_resize(struct inode *inode, uint64_t size) {
    struct ext4_node *node = ext4_node(inode);
    struct ext4 *v = ext4_of(inode);
    struct ext4_tx tx;
    if (size > v->fs.max_file_bytes) return -EFBIG;
    int error = ext4_begin(v, EXT4_REMOVE_CREDITS + 4, &tx);
    if (error != 0) return error;
    uint64_t before = node->disk_size;
    inode->modified = inode->changed = fs_now();
    rw_mutex_lock(&node->map_lock);  // write-back raises it
    node->disk_size = size;
    rw_mutex_unlock(&node->map_lock);
    if (size >= before) {
        error = ext4_write_inode(&tx, node);
        ext4_joined(&tx, node, true);
        ext4_end(&tx);
        return error;
    }
    bool steps = !ext4_removed_at_once(node);
    if (steps) error = ext4_orphan_add(&tx, node);
    if (steps && error == 0) error = ext4_write_inode(&tx, node);
    node->goal = 0;
    if (error == 0) error = ext4_truncate(&tx, node, blocks_for(v, size), 1ull << 32);
    if (steps && error == 0) error = ext4_orphan_remove(&tx, node);
    if (tx.volume != NULL) ext4_joined(&tx, node, true);
    end(&tx);
    return error;
}

// The table first: once the bitmap says that the number is free, another may have it and write there.
static int free_node(struct ext4_tx *tx, struct ext4_node *node) {
    struct inode *inode = &node->inode;
    if (FS_TYPE(inode->mode) != FS_REGULAR) inode->size = 0;
    inode->links = 0;
    int error = ext4_inode_access(tx, node);
    if (error != 0) return error;
    ext4_raw(node)->deleted = (uint32_t)fs_now().seconds;
    error = ext4_write_inode(tx, node);
    if (error == 0) error = ext4_free_inode(tx, (uint32_t)inode->number, FS_TYPE(inode->mode) == FS_DIRECTORY);
    if (error == 0) return 0;
    int undone = ext4_orphan_add(tx, node);
    return undone != 0 ? undone : error;
}

void ext4_evict(struct inode *inode) {
    struct ext4_node *node = ext4_node(inode);
    struct ext4 *v = ext4_of(inode);
    struct ext4_tx tx;
    uint32_t type = FS_TYPE(inode->mode);
    bool has_blocks = type == FS_REGULAR || type == FS_DIRECTORY || (type == FS_SYMLINK && !ext4_link_is_fast(node));
    if (node->table == NULL) return;
    if (ext4_begin(v, EXT4_REMOVE_CREDITS + 10, &tx) != 0) {
        ext4_orphan_leave(node);
        return;
    }
    node->disk_size = 0;
    int error = has_blocks ? ext4_truncate(&tx, node, 0, 1ull << 32) : 0;
    if (error == 0) error = ext4_xattr_release(&tx, node);
    if (error == 0) error = ext4_orphan_remove(&tx, node);
    if (error == 0) error = free_node(&tx, node);
    if (error != 0) ext4_orphan_leave(node);  // what cannot be freed now stays on the disk's list for the next mount
    end(&tx);
}

void ext4_drop_node(struct ext4_node *node) {
    ext4_delayed_remove(node, 0, UINT64_MAX - 1);
    ext4_orphan_forget(node);
    if (node->table != NULL) buffer_put(node->table);
}

// ---- fallocate ----------------------------------------------------------------------------------------------------------------

// The next step of [from, to): a hole gets blocks, written ones become unwritten if zeros are wanted. *next: where to go on.
static int allocate_step(struct ext4_tx *tx, struct ext4_node *node, uint64_t from, uint64_t to, bool zero, uint64_t *next) {
    struct ext4 *v = tx->volume;
    struct ext4_map map;
    int error = ext4_map(node, (uint32_t)from, (uint32_t)MIN(to - from, EXT4_EXTENT_LENGTH - 1), &map);
    if (error != 0) return error;
    if (map.start != 0) {
        *next = from + map.count;
        return zero && !map.unwritten ? ext4_map_convert(tx, node, map.block, map.count, true) : 0;
    }
    struct ext4_run run;
    error = ext4_promise(v, map.count);
    if (error != 0) return error;
    error = ext4_set_aside(v, ext4_goal(node, map.block), map.count, &run);
    ext4_unpromise(v, map.count);
    if (error != 0) return error;
    map.start = run.start, map.count = run.count, map.unwritten = true;
    error = ext4_map_set_aside(tx, node, &map);
    if (error != 0) {
        ext4_give_back(v, run);
        return error;
    }
    node->goal = run.start + run.count;
    *next = from + map.count;
    return 0;
}

static int fill_step(struct ext4_node *node, uint64_t *from, uint64_t to, bool zero, uint64_t new_size) {
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_tx tx;
    int error = ext4_begin(v, 2 * ext4_map_credits(node) + 3, &tx);
    if (error != 0) return error;
    rw_mutex_lock(&node->map_lock);
    error = ext4_inode_access(&tx, node);
    if (error == 0) error = allocate_step(&tx, node, *from, to, zero, from);
    if (error == 0) {
        node->disk_size = MAX(node->disk_size, MIN(new_size, *from << v->block_bits));
        node->inode.changed = fs_now();
        error = ext4_write_inode(&tx, node);
        ext4_joined(&tx, node, true);
    }
    rw_mutex_unlock(&node->map_lock);
    ext4_end(&tx);
    return error;
}

// Write-back chooses where a hole's data go, writes them, and only then enters them into the map: while that is under way,
// the map shows a hole that is none, and blocks that are still to be written. So neither this nor a punch comes in between.
static int fill(struct ext4_node *node, uint64_t offset, uint64_t bytes, bool zero, uint64_t new_size) {
    struct ext4 *v = ext4_of(&node->inode);
    uint64_t from = offset >> v->block_bits, to = (offset + bytes + v->block_size - 1) >> v->block_bits;
    int error = 0;
    while (from < to && error == 0) {
        mutex_lock(&node->inode.cache.writeback);
        error = fill_step(node, &from, to, zero, new_size);
        mutex_unlock(&node->inode.cache.writeback);
    }
    return error;
}

static int punch_locked(struct ext4_node *node, uint64_t from, uint64_t to) {
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_tx tx;
    int error = ext4_begin(v, EXT4_REMOVE_CREDITS, &tx);
    if (error != 0) return error;
    node->inode.modified = node->inode.changed = fs_now();
    node->goal = 0;
    error = ext4_truncate(&tx, node, (uint32_t)from, MIN(to, 1ull << 32));
    if (tx.volume != NULL) ext4_joined(&tx, node, true);
    end(&tx);
    return error;
}

static int punch(struct ext4_node *node, uint64_t from, uint64_t to) {
    if (from >= to) return 0;
    mutex_lock(&node->inode.cache.writeback);
    int error = punch_locked(node, from, to);
    mutex_unlock(&node->inode.cache.writeback);
    return error;
}

int ext4_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags) {
    struct ext4_node *node = ext4_node(inode);
    struct ext4 *v = ext4_of(inode);
    uint64_t end_offset, first = (offset + v->block_size - 1) >> v->block_bits;
    if (bytes == 0 || !checked_add(offset, bytes, &end_offset)) return -EINVAL;
    if (end_offset > v->fs.max_file_bytes) return -EFBIG;
    if (flags & FS_ALLOCATE_PUNCH_HOLE) return punch(node, first, end_offset >> v->block_bits);
    bool zero = flags & FS_ALLOCATE_ZERO_RANGE;
    if (!ext4_has_extents(node))
        return zero && end_offset <= inode_size(inode) ? punch(node, first, end_offset >> v->block_bits) : -EOPNOTSUPP;
    bool grows = !(flags & FS_ALLOCATE_KEEP_SIZE) && end_offset > inode_size(inode);
    int error = 0;
    if (zero && first < end_offset >> v->block_bits)
        error = fill(node, first << v->block_bits, ((end_offset >> v->block_bits) - first) << v->block_bits, true, 0);
    if (error == 0) error = fill(node, offset, bytes, false, grows ? end_offset : 0);
    if (error == 0 && grows) error = file_cache_resize(&inode->cache, end_offset);
    return error;
}
