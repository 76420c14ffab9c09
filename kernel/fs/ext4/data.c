// What the page cache asks: where data lie, room for what is written, a place when it is written back, and the record of it.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"

static struct ext4_node *node_of(struct file_cache *cache) {
    return ext4_node(container_of(cache, struct inode, cache));
}

// The goal for a block that has no neighbour yet: the group of the inode, a different part of it for each of the next inodes.
uint64_t ext4_goal(struct ext4_node *node, uint32_t block) {
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_map before;
    if (node->goal != 0) return node->goal;
    if (block > 0 && ext4_map(node, block - 1, 1, &before) == 0 && before.start != 0) return before.start + 1;
    return ext4_group_first(v, (uint32_t)(node->inode.number - 1) / v->inodes_per_group);
}

static void fill_extent(const struct ext4 *v, const struct ext4_map *map, struct file_extent *out) {
    *out = (struct file_extent){.offset = (uint64_t)map->block << v->block_bits, .bytes = (uint64_t)map->count << v->block_bits,
                                .sector = map->start << (v->block_bits - SECTOR_SHIFT),
                                .state = map->start == 0 ? FILE_HOLE : map->unwritten ? FILE_UNWRITTEN : FILE_MAPPED};
}

static int map_data(struct file_cache *cache, uint64_t offset, uint64_t bytes, struct file_extent *out) {
    struct ext4_node *node = node_of(cache);
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_map map;
    uint64_t block = offset >> v->block_bits, count = MIN(bytes >> v->block_bits, UINT32_MAX);
    if (block > UINT32_MAX) {
        *out = (struct file_extent){.offset = offset, .bytes = bytes, .state = FILE_HOLE};
        return 0;
    }
    rw_mutex_lock_shared(&node->map_lock);
    int error = ext4_map(node, (uint32_t)block, (uint32_t)count, &map);
    rw_mutex_unlock_shared(&node->map_lock);
    if (error == 0) fill_extent(v, &map, out);
    return error;
}

// Promises what of [from, to) has no block.
static int reserve_holes(struct ext4_node *node, uint64_t from, uint64_t to) {
    while (from < to) {
        struct ext4_map map;
        int error = ext4_map(node, (uint32_t)from, (uint32_t)MIN(to - from, UINT32_MAX), &map);
        if (error == 0 && map.start == 0) error = ext4_delayed_add(node, (uint32_t)from, from + map.count);
        if (error != 0) return error;
        from += map.count;
    }
    return 0;
}

static int reserve(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    struct ext4_node *node = node_of(cache);
    struct ext4 *v = ext4_of(&node->inode);
    uint64_t from = offset >> v->block_bits, to = (offset + bytes + v->block_size - 1) >> v->block_bits;
    if (ext4_read_only(v)) return -EROFS;
    if (to > v->fs.max_file_bytes >> v->block_bits) return -EFBIG;
    rw_mutex_lock(&node->map_lock);
    int error = reserve_holes(node, from, to);
    rw_mutex_unlock(&node->map_lock);
    return error;
}

static void unreserve(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    struct ext4_node *node = node_of(cache);
    struct ext4 *v = ext4_of(&node->inode);
    rw_mutex_lock(&node->map_lock);
    ext4_delayed_remove(node, offset >> v->block_bits, (offset + bytes) >> v->block_bits);
    rw_mutex_unlock(&node->map_lock);
}

// A place for a hole: what is set aside replaces what was promised.
static int place(struct ext4_node *node, struct ext4_map *map) {
    struct ext4_run run;
    uint32_t want = ext4_has_extents(node) ? map->count : MIN(map->count, EXT4_INDIRECT_RUN);
    int error = ext4_set_aside(ext4_of(&node->inode), ext4_goal(node, map->block), want, &run);
    if (error != 0) return error;
    map->start = run.start;
    map->count = run.count;
    node->goal = run.start + run.count;
    return 0;
}

// Where the block is to be written: what it has, a new place, or nowhere: blocks of the last page behind the end stay holes, or
// unwritten where the file has them ahead of its end.
static int map_or_place(struct ext4_node *node, uint64_t block, uint64_t count, uint64_t end, struct ext4_map *map, bool *fresh) {
    int error = ext4_map(node, (uint32_t)block, (uint32_t)(block < end ? MIN(count, end - block) : count), map);
    if (error != 0) return error;
    if (block >= end) map->start = 0;
    if (block >= end || map->start != 0) return 0;
    *fresh = true;
    return place(node, map);
}

static int prepare(struct file_cache *cache, uint64_t offset, uint64_t bytes, uint64_t size, struct file_extent *out) {
    struct ext4_node *node = node_of(cache);
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_map map;
    uint64_t block = offset >> v->block_bits, count = MIN(bytes >> v->block_bits, UINT32_MAX);
    uint64_t end = (size + v->block_size - 1) >> v->block_bits;
    bool fresh = false;
    if (ext4_read_only(v)) return -EROFS;
    for (int tries = 0;; tries++) {
        rw_mutex_lock(&node->map_lock);
        int error = map_or_place(node, block, count, end, &map, &fresh);
        // Beyond the end it may be promised to somebody who has just made the file longer.
        if (error == 0 && (block < end || inode_size(&node->inode) <= size)) ext4_delayed_remove(node, block, block + map.count);
        rw_mutex_unlock(&node->map_lock);
        if (error == 0) break;
        // Blocks that a transaction has freed can be had when it has committed.
        if (error != -ENOSPC || tries != 0 || v->journal == NULL) return error;
        error = ext4_commit(v);
        if (error != 0) return error;
    }
    fill_extent(v, &map, out);
    out->fresh = fresh;
    return 0;
}

static struct ext4_map map_of(const struct ext4 *v, const struct file_extent *e) {
    return (struct ext4_map){(uint32_t)(e->offset >> v->block_bits), (uint32_t)(e->bytes >> v->block_bits),
                             e->sector >> (v->block_bits - SECTOR_SHIFT), false};
}

int ext4_map_set_aside(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map) {
    struct ext4_run run = {map->start, map->count};
    struct buffer *bitmap;
    int error = ext4_record_join(tx, run, &bitmap);
    if (error != 0) return error;
    error = ext4_map_insert(tx, node, map);
    if (error != 0) {
        buffer_put(bitmap);
        return error;
    }
    ext4_record(tx, run, bitmap);
    ext4_add_blocks(node, run.count);
    return 0;
}

static int record_extent(struct ext4_tx *tx, struct ext4_node *node, const struct file_extent *e) {
    struct ext4_map map = map_of(tx->volume, e);
    int error = ext4_inode_access(tx, node);  // behind the change of the map nothing may fail
    if (error == 0 && e->fresh) error = ext4_map_set_aside(tx, node, &map);
    else if (error == 0 && e->state == FILE_UNWRITTEN) error = ext4_map_convert(tx, node, map.block, map.count, false);
    return error;
}

static int record_size(struct ext4_tx *tx, struct ext4_node *node, uint64_t size) {
    node->disk_size = MAX(node->disk_size, size);
    int error = ext4_write_inode(tx, node);
    ext4_joined(tx, node, true);
    return error;
}

static int complete(struct file_cache *cache, const struct file_extent *e, uint64_t size_written, int io_error) {
    struct ext4_node *node = node_of(cache);
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_map map = map_of(v, e);
    struct ext4_tx tx;
    if (io_error != 0) {
        if (e->fresh) ext4_give_back(v, (struct ext4_run){map.start, map.count});
        return 0;
    }
    uint64_t size = MIN(size_written, inode_size(&node->inode));
    if (!e->fresh && e->state != FILE_UNWRITTEN && size <= node->disk_size) return 0;
    int error = ext4_begin(v, ext4_map_credits(node) + 3, &tx), told = error;
    if (error == 0) {
        rw_mutex_lock(&node->map_lock);
        error = record_extent(&tx, node, e);
        told = error == 0 ? record_size(&tx, node, size) : error;
        rw_mutex_unlock(&node->map_lock);
        ext4_end(&tx);
    }
    if (error != 0 && error != -ENOMEM && e->fresh) ext4_give_back(v, (struct ext4_run){map.start, map.count});
    return told;
}

const struct file_cache_ops ext4_cache_ops = {.map = map_data, .reserve = reserve, .unreserve = unreserve, .prepare = prepare,
                                              .complete = complete, .mapped = inode_mapped,
                                              .sync = inode_sync_mapped};
