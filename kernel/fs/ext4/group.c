// Group descriptors: read a block of them at a time, when one of its groups is first needed, so that a mount costs the same
// for every size of volume; kept decoded, and written back through their block.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"
#include "lib/crc32c.h"
#include "lib/string.h"

uint32_t ext4_group_blocks(const struct ext4 *v, uint32_t group) {
    uint64_t rest = v->blocks - ext4_group_first(v, group);
    return rest < v->blocks_per_group ? (uint32_t)rest : v->blocks_per_group;
}

static uint32_t first_meta_chunk(const struct ext4 *v) {
    return v->super->incompat & EXT4_INCOMPAT_META_BG ? v->super->first_meta_bg : v->chunk_count;
}

// The super block and descriptors at the start of a group.
uint32_t ext4_base_meta_blocks(const struct ext4 *v, uint32_t group) {
    uint32_t chunk = group / v->descriptors_per_block, in_chunk = group % v->descriptors_per_block;
    bool has_super = ext4_group_has_super(v, group);
    if (chunk < first_meta_chunk(v)) return has_super ? 1 + first_meta_chunk(v) + v->super->reserved_gdt_blocks : 0;
    return has_super + (in_chunk == 0 || in_chunk == 1 || in_chunk == v->descriptors_per_block - 1);
}

static uint64_t chunk_block(const struct ext4 *v, uint32_t chunk) {
    if (chunk < first_meta_chunk(v)) return (v->block_size == 1024) + 1 + chunk;  // behind the super block
    uint32_t group = chunk * v->descriptors_per_block;
    return ext4_group_first(v, group) + ext4_group_has_super(v, group);
}

static uint16_t checksum(const struct ext4 *v, uint32_t group, const struct ext4_descriptor *d) {
    size_t at = offsetof(struct ext4_descriptor, checksum), after = at + sizeof d->checksum;
    const uint8_t *bytes = (const uint8_t *)d;
    if (v->checksums) {
        uint16_t zero = 0;
        uint32_t crc = crc32c(crc32c(v->seed, &group, sizeof group), bytes, at);
        crc = crc32c(crc, &zero, sizeof zero);
        return (uint16_t)crc32c(crc, bytes + after, v->descriptor_size - after);
    }
    uint16_t crc = ext4_crc16(ext4_crc16(0xffff, v->super->uuid, sizeof v->super->uuid), &group, sizeof group);
    crc = ext4_crc16(crc, bytes, at);
    return v->wide ? ext4_crc16(crc, bytes + after, v->descriptor_size - after) : crc;
}

static uint64_t wide(uint32_t low, uint32_t high) { return low | (uint64_t)high << 32; }

static void decode(const struct ext4 *v, const struct ext4_descriptor *d, struct ext4_group *g) {
    bool more = v->descriptor_size >= sizeof *d, lazy = v->checksums || v->old_checksums;
    g->block_bitmap = wide(d->block_bitmap_lo, more ? d->block_bitmap_hi : 0);
    g->inode_bitmap = wide(d->inode_bitmap_lo, more ? d->inode_bitmap_hi : 0);
    g->inode_table = wide(d->inode_table_lo, more ? d->inode_table_hi : 0);
    g->free_blocks = d->free_blocks_lo | (more ? (uint32_t)d->free_blocks_hi << 16 : 0);
    g->free_inodes = d->free_inodes_lo | (more ? (uint32_t)d->free_inodes_hi << 16 : 0);
    g->directories = d->directories_lo | (more ? (uint32_t)d->directories_hi << 16 : 0);
    g->unused_inodes = lazy ? d->unused_inodes_lo | (more ? (uint32_t)d->unused_inodes_hi << 16 : 0) : 0;
    g->flags = lazy ? d->flags : EXT4_GROUP_ZEROED;
    g->longest_run = UINT32_MAX;
}

static const char *problem(const struct ext4 *v, uint32_t group, const struct ext4_descriptor *d, const struct ext4_group *g) {
    uint64_t first = v->first_data_block + 1, end = v->blocks;
    if (!(v->super->incompat & EXT4_INCOMPAT_FLEX_BG)) {
        first = ext4_group_first(v, group) + (group == 0);
        end = ext4_group_first(v, group) + ext4_group_blocks(v, group);
    }
    if ((v->checksums || v->old_checksums) && d->checksum != checksum(v, group, d)) return "checksum";
    if (g->block_bitmap < first || g->block_bitmap >= end) return "block bitmap outside";
    if (g->inode_bitmap < first || g->inode_bitmap >= end || g->inode_bitmap == g->block_bitmap) return "inode bitmap outside";
    if (g->inode_table < first || g->inode_table >= end || end - g->inode_table < v->table_blocks) return "inode table outside";
    if (g->free_blocks > ext4_group_blocks(v, group) || g->free_inodes > v->inodes_per_group ||
        g->unused_inodes > v->inodes_per_group || g->directories > v->inodes_per_group)
        return "counts too large";
    return NULL;
}

static int load_chunk(struct ext4 *v, uint32_t chunk) {
    uint32_t first = chunk * v->descriptors_per_block, count = MIN(v->descriptors_per_block, v->group_count - first);
    struct ext4_chunk *c = kzalloc(sizeof *c + count * sizeof c->groups[0]);
    if (c == NULL) return -ENOMEM;
    int error = buffer_read(v->buffers, chunk_block(v, chunk), &c->buffer);
    if (error != 0) {
        kfree(c);
        return error;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct ext4_descriptor *d = (const struct ext4_descriptor *)(c->buffer->data + i * v->descriptor_size);
        decode(v, d, &c->groups[i]);
        const char *what = problem(v, first + i, d, &c->groups[i]);
        if (what == NULL) continue;
        buffer_put(c->buffer);
        kfree(c);
        return ext4_damaged(v, "group %u: descriptor: %s", first + i, what);
    }
    v->chunks[chunk] = c;
    return 0;
}

int ext4_group(struct ext4 *v, uint32_t group, struct ext4_group **out) {
    uint32_t chunk = group / v->descriptors_per_block;
    if (unlikely(v->chunks[chunk] == NULL)) {
        int error = load_chunk(v, chunk);
        if (error != 0) return error;
    }
    *out = &v->chunks[chunk]->groups[group % v->descriptors_per_block];
    return 0;
}

int ext4_group_table(struct ext4 *v, uint32_t group, uint64_t *table, uint32_t *used) {
    struct ext4_group *g;
    mutex_lock(&v->alloc_lock);
    int error = ext4_group(v, group, &g);
    if (error == 0) {
        *table = g->inode_table;
        *used = v->inodes_per_group - g->unused_inodes;
    }
    mutex_unlock(&v->alloc_lock);
    return error;
}

int ext4_group_access(struct ext4_tx *tx, uint32_t group) {
    return ext4_access(tx, tx->volume->chunks[group / tx->volume->descriptors_per_block]->buffer);
}

static void encode(const struct ext4 *v, const struct ext4_group *g, struct ext4_descriptor *d) {
    d->free_blocks_lo = (uint16_t)g->free_blocks;
    d->free_inodes_lo = (uint16_t)g->free_inodes;
    d->directories_lo = (uint16_t)g->directories;
    if (v->checksums || v->old_checksums) {
        d->unused_inodes_lo = (uint16_t)g->unused_inodes;
        d->flags = g->flags;
    }
    if (v->descriptor_size < sizeof *d) return;
    d->free_blocks_hi = (uint16_t)(g->free_blocks >> 16);
    d->free_inodes_hi = (uint16_t)(g->free_inodes >> 16);
    d->directories_hi = (uint16_t)(g->directories >> 16);
    if (v->checksums || v->old_checksums) d->unused_inodes_hi = (uint16_t)(g->unused_inodes >> 16);
}

void ext4_group_dirty(struct ext4_tx *tx, uint32_t group, const struct buffer *block_bitmap, const struct buffer *inode_bitmap) {
    struct ext4 *v = tx->volume;
    struct ext4_chunk *c = v->chunks[group / v->descriptors_per_block];
    uint32_t i = group % v->descriptors_per_block;
    struct ext4_descriptor *d = (struct ext4_descriptor *)(c->buffer->data + i * v->descriptor_size);
    encode(v, &c->groups[i], d);
    if (v->checksums && block_bitmap != NULL) {
        uint32_t crc = crc32c(v->seed, block_bitmap->data, v->blocks_per_group / 8);
        d->block_bitmap_csum_lo = (uint16_t)crc;
        if (v->descriptor_size >= sizeof *d) d->block_bitmap_csum_hi = (uint16_t)(crc >> 16);
    }
    if (v->checksums && inode_bitmap != NULL) {
        uint32_t crc = crc32c(v->seed, inode_bitmap->data, v->inodes_per_group / 8);
        d->inode_bitmap_csum_lo = (uint16_t)crc;
        if (v->descriptor_size >= sizeof *d) d->inode_bitmap_csum_hi = (uint16_t)(crc >> 16);
    }
    if (v->checksums || v->old_checksums) d->checksum = checksum(v, group, d);
    ext4_dirty(tx, c->buffer);
}

int ext4_count_groups(struct ext4 *v) {
    uint64_t blocks = 0, inodes = 0;
    for (uint32_t group = 0; group < v->group_count; group++) {
        struct ext4_group *g;
        mutex_lock(&v->alloc_lock);
        int error = ext4_group(v, group, &g);
        if (error == 0) blocks += g->free_blocks, inodes += g->free_inodes;
        mutex_unlock(&v->alloc_lock);
        if (error != 0) return error;
        sched_preempt_point();
    }
    v->free_blocks = blocks;
    v->free_inodes = inodes;
    return 0;
}

void ext4_free_groups(struct ext4 *v) {
    for (uint32_t chunk = 0; chunk < v->chunk_count; chunk++) {
        struct ext4_chunk *c = v->chunks[chunk];
        if (c == NULL) continue;
        uint32_t count = MIN(v->descriptors_per_block, v->group_count - chunk * v->descriptors_per_block);
        for (uint32_t i = 0; i < count; i++) kfree(c->groups[i].withheld);
        buffer_put(c->buffer);
        kfree(c);
        v->chunks[chunk] = NULL;
    }
}
