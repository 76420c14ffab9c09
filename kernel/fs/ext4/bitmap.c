// The bitmaps of a group in the buffer cache: checked when they are read, or built where the group says that nobody wrote
// them yet.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/bitmap.h"
#include "lib/crc32c.h"

static bool checksum_is_good(const struct ext4 *v, uint32_t group, const struct buffer *b, bool inodes) {
    if (!v->checksums) return true;
    const struct ext4_chunk *c = v->chunks[group / v->descriptors_per_block];
    const struct ext4_descriptor *d =
        (const struct ext4_descriptor *)(c->buffer->data + group % v->descriptors_per_block * v->descriptor_size);
    uint32_t crc = crc32c(v->seed, b->data, (inodes ? v->inodes_per_group : v->blocks_per_group) / 8);
    uint32_t low = inodes ? d->inode_bitmap_csum_lo : d->block_bitmap_csum_lo;
    if (v->descriptor_size < sizeof *d) return low == (crc & 0xffff);
    return (low | (uint32_t)(inodes ? d->inode_bitmap_csum_hi : d->block_bitmap_csum_hi) << 16) == crc;
}

static void mark_if_inside(const struct ext4 *v, uint32_t group, uint64_t *map, uint64_t block, uint32_t count) {
    uint64_t first = ext4_group_first(v, group), end = first + v->blocks_per_group;
    for (uint64_t at = MAX(block, first); at < MIN(block + count, end); at++) bitmap_set(map, at - first);
}

// What a group without any file holds: its own metadata, and what does not exist behind the end.
static void build_block_bitmap(const struct ext4 *v, uint32_t group, const struct ext4_group *g, struct buffer *b) {
    uint64_t *map = (uint64_t *)b->data;
    uint32_t blocks = ext4_group_blocks(v, group);
    bitmap_set_range(map, 0, ext4_base_meta_blocks(v, group));
    mark_if_inside(v, group, map, g->block_bitmap, 1);
    mark_if_inside(v, group, map, g->inode_bitmap, 1);
    mark_if_inside(v, group, map, g->inode_table, v->table_blocks);
    bitmap_set_range(map, blocks, v->block_size * 8 - blocks);
}

static int load(struct ext4 *v, uint32_t group, struct ext4_group *g, bool inodes, struct buffer **out) {
    uint64_t block = inodes ? g->inode_bitmap : g->block_bitmap;
    bool unused = g->flags & (inodes ? EXT4_GROUP_INODES_UNUSED : EXT4_GROUP_BLOCKS_UNUSED);
    const char *kind = inodes ? "inode" : "block";
    if (g->bad) return -EIO;
    struct buffer *b = buffer_find(v->buffers, block);
    int error = 0;
    if (b != NULL && ext4_test_state(b, BUFFER_VERIFIED)) {
        *out = b;
        return 0;
    }
    if (b != NULL) buffer_put(b);
    error = unused ? buffer_new(v->buffers, block, &b) : buffer_read(v->buffers, block, &b);
    if (error != 0) return error;
    if (unused && inodes) bitmap_set_range((uint64_t *)b->data, v->inodes_per_group, v->block_size * 8 - v->inodes_per_group);
    if (unused && !inodes) build_block_bitmap(v, group, g, b);
    uint32_t bits = inodes ? v->inodes_per_group : ext4_group_blocks(v, group);
    uint32_t free = bits - (uint32_t)bitmap_count_set((const uint64_t *)b->data, bits);
    if (!unused && !checksum_is_good(v, group, b, inodes)) error = ext4_damaged(v, "group %u: %s bitmap: checksum", group, kind);
    else if (free != (inodes ? g->free_inodes : g->free_blocks))
        error = ext4_damaged(v, "group %u: %s bitmap: %u free, descriptor says %u", group, kind, free,
                             inodes ? g->free_inodes : g->free_blocks);
    if (error != 0) {
        g->bad = true;
        buffer_put(b);
        return error;
    }
    ext4_set_verified(b);
    *out = b;
    return 0;
}

int ext4_block_bitmap(struct ext4 *v, uint32_t group, struct ext4_group *g, struct buffer **out) {
    return load(v, group, g, false, out);
}
int ext4_inode_bitmap(struct ext4 *v, uint32_t group, struct ext4_group *g, struct buffer **out) {
    return load(v, group, g, true, out);
}
