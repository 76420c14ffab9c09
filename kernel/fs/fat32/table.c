#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define READ_AHEAD 64u

static uint64_t block_of(const struct fat_volume *v, unsigned table, uint32_t cluster) {
    return v->table_start + (uint64_t)table * v->table_blocks + ((uint64_t)cluster * 4 >> v->block_shift);
}

// The block of the active table that holds the cluster's entry: borrowed. Where it cannot be read a mirror serves.
static int look(struct fat_volume *v, uint32_t cluster, struct buffer **out) {
    uint64_t block = block_of(v, v->active, cluster);
    if (v->table_buffer == NULL || v->table_buffer->block != block) {
        struct buffer *b;
        int error = buffer_read(v->buffers, block, &b);
        for (unsigned table = 0; error == -EIO && v->mirrored && table < v->tables; table++)
            if (table != v->active) error = buffer_read(v->buffers, block_of(v, table, cluster), &b);
        if (error) return error;
        if (v->table_buffer != NULL) buffer_put(v->table_buffer);
        v->table_buffer = b;
    }
    *out = v->table_buffer;
    return 0;
}

static uint32_t *entry_in(const struct fat_volume *v, struct buffer *b, uint32_t cluster) {
    return (uint32_t *)(void *)(b->data + ((uint64_t)cluster * 4 & (v->block_bytes - 1)));
}

int fat_table_get(struct fat_volume *v, uint32_t cluster, uint32_t *value) {
    struct buffer *b;
    int error = look(v, cluster, &b);
    if (!error) *value = *entry_in(v, b, cluster) & FAT_MASK;
    return error;
}

// The upper four bits belong to others.
static void entry_set(const struct fat_volume *v, struct buffer *b, uint32_t cluster, uint32_t value) {
    uint32_t *entry = entry_in(v, b, cluster);
    *entry = (*entry & ~FAT_MASK) | value;
    buffer_mark_dirty(b);
}

int fat_table_set(struct fat_volume *v, uint32_t cluster, uint32_t value) {
    struct buffer *b;
    int error = look(v, cluster, &b);
    if (error) return error;
    entry_set(v, b, cluster, value);
    v->tables_changed = true;
    for (unsigned table = 0; v->mirrored && table < v->tables; table++) {
        struct buffer *mirror;
        uint64_t block = block_of(v, table, cluster);
        if (block == b->block || buffer_read(v->buffers, block, &mirror) != 0) continue;  // a mirror lost is none needed
        entry_set(v, mirror, cluster, value);
        buffer_put(mirror);
    }
    return 0;
}

int fat_cluster_alloc(struct fat_volume *v, uint32_t near, uint32_t *cluster) {
    uint32_t at = fat_cluster_is_valid(v, near + 1) ? near + 1 : fat_cluster_is_valid(v, v->hint) ? v->hint : 2;
    for (uint32_t looked = 0; looked < v->end - 2; looked++) {
        uint32_t value;
        int error = fat_table_get(v, at, &value);
        if (!error && value == 0) error = fat_table_set(v, at, FAT_MASK);
        if (error) return error;
        if (value == 0) {
            if (v->free > 0) v->free--;
            v->hint = at;
            v->info_changed = true;
            *cluster = at;
            return 0;
        }
        if (++at == v->end) at = 2;
        if (looked % 4096 == 4095) (void)sched_preempt_point();
    }
    v->free = 0;
    return -ENOSPC;
}

int fat_count_free(struct fat_volume *v) {
    uint32_t count = 0, per_block = v->block_bytes / 4;
    for (uint32_t cluster = 2; cluster < v->end; cluster++) {
        uint32_t value;
        if (cluster % (per_block * READ_AHEAD / 2) == 2 % (per_block * READ_AHEAD / 2))
            buffer_read_ahead(v->buffers, block_of(v, v->active, cluster),
                              MIN(READ_AHEAD, v->table_blocks - (uint32_t)((uint64_t)cluster * 4 >> v->block_shift)));
        int error = fat_table_get(v, cluster, &value);
        if (error) return error;
        count += value == 0;
        if (cluster % 65536 == 0) (void)sched_preempt_point();
    }
    v->free = count;
    return 0;
}

// ---- freeing --------------------------------------------------------------------------------------------------------------

// Nothing on the disk leads here any more, but for last_kept.
static void chain_free(struct fat_volume *v, uint32_t first, uint32_t last_kept) {
    uint32_t next;
    if (last_kept != 0 && fat_table_get(v, last_kept, &next) == 0 && next == first &&
        fat_table_set(v, last_kept, FAT_MASK) != 0)
        return;
    for (uint32_t cluster = first, steps = 0; fat_cluster_is_valid(v, cluster) && steps < v->end; cluster = next, steps++) {
        if (fat_table_get(v, cluster, &next) != 0) return;
        if (next == 0) {
            (void)fs_damaged(&v->fs, "cluster %u is free, and part of a chain: two files share it", cluster);
            return;
        }
        if (fat_table_set(v, cluster, 0) != 0) return;
        buffer_forget(v->buffers, fat_cluster_block(v, cluster), 1u << (v->cluster_shift - v->block_shift));
        v->free++;
        v->info_changed = true;
        if (steps % 4096 == 4095) (void)sched_preempt_point();
    }
}

void fat_free_chains(struct fat_volume *v) {
    struct fat_freed *f;
    while ((f = list_pop_front_entry(&v->freed, struct fat_freed, node)) != NULL) {
        chain_free(v, f->first, f->last_kept);
        kfree(f);
    }
}

void fat_free_later(struct fat_volume *v, uint32_t first, uint32_t last_kept) {
    if (!fat_cluster_is_valid(v, first)) return;
    struct fat_freed *f = kzalloc(sizeof *f);
    if (f == NULL) {  // at once, then; when even that fails the space is lost until the next check
        if (fat_sync(v) == 0) chain_free(v, first, last_kept);
        return;
    }
    f->first = first;
    f->last_kept = last_kept;
    list_push_back(&v->freed, &f->node);
}

bool fat_has_room(struct fat_volume *v, uint64_t clusters) {
    if (clusters + v->reserved > v->free && !list_is_empty(&v->freed)) (void)fat_sync(v);
    return clusters + v->reserved <= v->free;
}
