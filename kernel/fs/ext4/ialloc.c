// Inode numbers: files near their directory, directories of the root spread over the volume.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/sched/sched.h"
#include "lib/bitmap.h"

static void count_inode(struct ext4 *v, bool freed) {
    spin_lock(&v->counters);
    if (freed) v->free_inodes++;
    else if (v->free_inodes != 0) v->free_inodes--;
    spin_unlock(&v->counters);
}

// Would a directory of the root do well there?
static bool is_roomy(const struct ext4 *v, uint32_t group, const struct ext4_group *g) {
    return g->free_inodes >= v->free_inodes / v->group_count && g->free_blocks >= v->free_blocks / v->group_count;
}

static int choose_group(struct ext4 *v, const struct ext4_node *parent, bool directory, uint32_t *out) {
    bool spread = directory && parent->inode.number == EXT4_ROOT_INODE;
    uint32_t home = spread ? v->next_directory_group : (uint32_t)(parent->inode.number - 1) / v->inodes_per_group;
    for (int picky = spread; picky >= 0; picky--)
        for (uint32_t i = 0; i < v->group_count; i++) {
            struct ext4_group *g;
            uint32_t group = (uint32_t)(((uint64_t)home + i) % v->group_count);
            int error = ext4_group(v, group, &g);
            if (error != 0) return error;
            if (g->free_inodes == 0 || g->bad || (picky && !is_roomy(v, group, g))) continue;
            if (spread) v->next_directory_group = (group + 1) % v->group_count;
            *out = group;
            return 0;
        }
    return -ENOSPC;
}

static int join(struct ext4_tx *tx, uint32_t group, struct ext4_group **g, struct buffer **bitmap) {
    int error = ext4_group(tx->volume, group, g);
    if (error == 0) error = ext4_inode_bitmap(tx->volume, group, *g, bitmap);
    if (error != 0) return error;
    error = ext4_access(tx, *bitmap);
    if (error == 0) error = ext4_group_access(tx, group);
    if (error != 0) buffer_put(*bitmap);
    return error;
}

// `used` inodes of the table were written so far: is the block of this one among them?
static bool block_is_fresh(const struct ext4 *v, uint32_t index, uint32_t used) {
    uint32_t per_block = v->block_size / v->inode_size;
    return index / per_block * per_block >= used;
}

// Zeros in a block of the table that was never written, before any of its inodes can be somebody's.
static int begin_block(struct ext4_tx *tx, const struct ext4_group *g, uint32_t index) {
    struct buffer *b;
    int error = ext4_new_block(tx, g->inode_table + index / (tx->volume->block_size / tx->volume->inode_size), &b);
    if (error != 0) return error;
    ext4_dirty(tx, b);
    buffer_put(b);
    return 0;
}

static void take(struct ext4_tx *tx, uint32_t group, struct ext4_group *g, struct buffer *bitmap, uint32_t index, bool directory) {
    struct ext4 *v = tx->volume;
    bitmap_set((uint64_t *)bitmap->data, index);
    g->inode_hint = index + 1;
    g->free_inodes--;
    g->directories += directory;
    g->flags &= (uint16_t)~EXT4_GROUP_INODES_UNUSED;
    g->unused_inodes = MIN(g->unused_inodes, v->inodes_per_group - index - 1);
    ext4_dirty(tx, bitmap);
    ext4_group_dirty(tx, group, NULL, bitmap);
    count_inode(v, false);
}

int ext4_allocate_inode(struct ext4_tx *tx, const struct ext4_node *parent, bool directory, uint32_t *out) {
    struct ext4 *v = tx->volume;
    struct ext4_group *g = NULL;
    struct buffer *b;
    uint32_t group, index = 0;
    mutex_lock(&v->alloc_lock);
    int error = choose_group(v, parent, directory, &group);
    if (error == 0) error = join(tx, group, &g, &b);
    if (error == 0) {
        index = (uint32_t)bitmap_find_clear((const uint64_t *)b->data, v->inodes_per_group, g->inode_hint);
        if (index >= v->inodes_per_group || (group == 0 && index + 1 < v->super->first_inode && v->super->revision != 0))
            error = ext4_damaged(v, "group %u: inode bitmap", group);
        else if (block_is_fresh(v, index, v->inodes_per_group - g->unused_inodes))
            error = begin_block(tx, g, index);
        if (error == 0) take(tx, group, g, b, index, directory);
        *out = group * v->inodes_per_group + index + 1;
        buffer_put(b);
    }
    mutex_unlock(&v->alloc_lock);
    return error;
}

int ext4_free_inode(struct ext4_tx *tx, uint32_t number, bool directory) {
    struct ext4 *v = tx->volume;
    struct ext4_group *g;
    struct buffer *b;
    uint32_t group = (number - 1) / v->inodes_per_group, index = (number - 1) % v->inodes_per_group;
    mutex_lock(&v->alloc_lock);
    int error = join(tx, group, &g, &b);
    if (error == 0) {
        if (!bitmap_test((const uint64_t *)b->data, index)) {
            error = ext4_damaged(v, "inode %u: freed, but not in use", number);
        } else {
            bitmap_clear((uint64_t *)b->data, index);
            g->inode_hint = MIN(g->inode_hint, index);
            g->free_inodes++;
            if (directory && g->directories != 0) g->directories--;
            ext4_dirty(tx, b);
            ext4_group_dirty(tx, group, NULL, b);
            count_inode(v, true);
        }
        buffer_put(b);
    }
    mutex_unlock(&v->alloc_lock);
    return error;
}
