// Targets of symlinks: in the inode where they fit, else in a block.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/string.h"

bool ext4_link_is_fast(const struct ext4_node *node) {
    const struct ext4_raw_inode *raw = ext4_raw(node);
    uint64_t own = raw->xattr_block_lo | raw->xattr_block_hi ? ext4_of(&node->inode)->block_size / 512 : 0;
    return node->inode.size < sizeof raw->block && node->inode.blocks <= own && !ext4_has_extents(node);
}

int64_t ext4_read_link(struct inode *inode, char *buffer, size_t size) {
    struct ext4_node *node = ext4_node(inode);
    struct ext4 *v = ext4_of(inode);
    size_t bytes = MIN(size, inode->size);
    if (ext4_link_is_fast(node)) {
        memcpy(buffer, ext4_raw(node)->block, bytes);
        return (int64_t)bytes;
    }
    struct ext4_map map;
    struct buffer *b;
    int error = ext4_map(node, 0, 1, &map);
    if (error != 0) return error;
    if (map.start == 0 || map.unwritten) return ext4_damaged(v, "symlink %llu: hole", (unsigned long long)inode->number);
    error = buffer_read(v->buffers, map.start, &b);
    if (error != 0) return error;
    memcpy(buffer, b->data, bytes);
    buffer_put(b);
    return (int64_t)bytes;
}

int ext4_make_link(struct ext4_tx *tx, struct ext4_node *node, const char *target, size_t bytes) {
    struct ext4 *v = tx->volume;
    struct ext4_raw_inode *raw = ext4_raw(node);
    struct ext4_map map = {.count = 1};
    struct buffer *b;
    if (bytes == 0 || bytes >= v->block_size) return bytes == 0 ? -EINVAL : -ENAMETOOLONG;
    node->inode.size = bytes;
    if (bytes < sizeof raw->block) {
        memcpy(raw->block, target, bytes);
        return 0;
    }
    if (v->super->incompat & EXT4_INCOMPAT_EXTENTS) ext4_extent_init(raw);
    int error = ext4_allocate_block(tx, ext4_goal(node, 0), false, &map.start);
    if (error != 0) return error;
    error = ext4_new_block(tx, map.start, &b);
    if (error == 0) {
        memcpy(b->data, target, bytes);
        ext4_dirty(tx, b);
        buffer_put(b);
        error = ext4_map_insert(tx, node, &map);
    }
    if (error != 0) {
        int undone = ext4_free_blocks(tx, map.start, 1, true);
        return undone != 0 ? undone : error;
    }
    ext4_add_blocks(node, 1);
    return 0;
}
