// Inside the extent tree: the way from the root, in the inode, to a leaf. All nodes are arrays of 12-byte entries that begin
// with the first block they stand for; leaves hold extents, the others the blocks of their children.
#pragma once
#include "kernel/fs/ext4/ext4.h"

struct ext4_level {
    struct buffer *buffer;              // held; NULL: the root
    struct ext4_extent_header *header;
    int32_t index;                      // the last entry that begins at or before the block; -1: all begin after it
};
struct ext4_path {
    struct ext4_level levels[EXT4_EXTENT_DEPTH + 1];
    uint32_t depth;                     // levels[depth] is the leaf
};

static inline struct ext4_extent *ext4_extents(const struct ext4_level *l) { return (struct ext4_extent *)(l->header + 1); }
static inline struct ext4_extent_index *ext4_indices(const struct ext4_level *l) {
    return (struct ext4_extent_index *)(l->header + 1);
}
static inline struct ext4_level *ext4_leaf(struct ext4_path *path) { return &path->levels[path->depth]; }
static inline uint32_t ext4_extent_length(const struct ext4_extent *e) {
    return e->length > EXT4_EXTENT_LENGTH ? e->length - EXT4_EXTENT_LENGTH : e->length;
}
static inline bool ext4_extent_unwritten(const struct ext4_extent *e) { return e->length > EXT4_EXTENT_LENGTH; }
static inline uint64_t ext4_extent_start(const struct ext4_extent *e) { return e->start_lo | (uint64_t)e->start_hi << 32; }
static inline uint64_t ext4_extent_end(const struct ext4_extent *e) { return (uint64_t)e->block + ext4_extent_length(e); }
static inline uint64_t ext4_index_leaf(const struct ext4_extent_index *i) { return i->leaf_lo | (uint64_t)i->leaf_hi << 32; }

// The way to `block`. On success ext4_path_put gives its buffers back. -EIO, -ENOMEM.
[[nodiscard]] int ext4_path_find(struct ext4_node *node, uint32_t block, struct ext4_path *path);
void ext4_path_put(struct ext4_path *path);
// The first block that a later extent stands for, or 2^32.
uint64_t ext4_path_next(const struct ext4_path *path);
uint32_t ext4_extent_checksum(const struct ext4_node *node, const struct ext4_extent_header *header);
static inline uint32_t *ext4_extent_tail(struct ext4_extent_header *header) { return (uint32_t *)(header + 1 + header->max); }
