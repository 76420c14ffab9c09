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
    for (unsigned table = 0; v->mirrored && table < v->tables; table++) {
        struct buffer *mirror;
        uint64_t block = block_of(v, table, cluster);
        error = block == b->block ? 0 : buffer_read(v->buffers, block, &mirror);
        if (error == -ENOMEM) return error;
        if (error || block == b->block) continue;  // a mirror that is lost is none needed
        entry_set(v, mirror, cluster, value);
        buffer_put(mirror);
    }
    entry_set(v, b, cluster, value);
    v->tables_changed = true;
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

// A power cut kept the link, and not what was to be the new end. Once the cluster is another's the link would be a fault.
static int link_check(struct fat_volume *v, uint32_t cluster, uint32_t next) {
    uint32_t value;
    if (!v->was_dirty || v->fs.flags & FS_MOUNT_READ_ONLY || !fat_cluster_is_valid(v, next)) return 0;
    int error = fat_table_get(v, next, &value);
    return error || value != 0 ? error : fat_table_set(v, cluster, FAT_MASK);
}

int fat_count_free(struct fat_volume *v) {
    uint32_t count = 0, per_block = v->block_bytes / 4;
    for (uint32_t cluster = 2; cluster < v->end; cluster++) {
        uint32_t value;
        if (cluster % (per_block * READ_AHEAD / 2) == 2 % (per_block * READ_AHEAD / 2))
            buffer_read_ahead(v->buffers, block_of(v, v->active, cluster),
                              MIN(READ_AHEAD, v->table_blocks - (uint32_t)((uint64_t)cluster * 4 >> v->block_shift)));
        int error = fat_table_get(v, cluster, &value);
        if (!error) error = link_check(v, cluster, value);
        if (error) return error;
        count += value == 0;
        if (cluster % 65536 == 0) (void)sched_preempt_point();
    }
    v->free = count;
    return 0;
}

// ---- freeing --------------------------------------------------------------------------------------------------------------

// Nothing on the disk leads here any more.
static void chain_free(struct fat_volume *v, uint32_t first, uint32_t most) {
    uint32_t next;
    for (uint32_t cluster = first, steps = 0; fat_cluster_is_valid(v, cluster) && steps < MIN(most, v->end); cluster = next, steps++) {
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

// The entry that ends at last_kept is on the disk. Whether the table says so now, in memory.
static bool chain_end(struct fat_volume *v, const struct fat_freed *f) {
    uint32_t next;
    int error = fat_table_get(v, f->last_kept, &next);
    return !error && (next != f->first || fat_table_set(v, f->last_kept, FAT_MASK) == 0);
}

void fat_free_chains(struct fat_volume *v) {
    struct list waiting = LIST_INIT(waiting);
    struct fat_freed *f;
    while ((f = list_pop_front_entry(&v->freed, struct fat_freed, node)) != NULL) {
        if (f->last_kept != 0 && !f->ended && chain_end(v, f)) {
            f->ended = true;
            list_push_back(&waiting, &f->node);
            continue;
        }
        if (f->last_kept == 0 || f->ended) chain_free(v, f->first, f->most);  // else it is lost space
        kfree(f);
    }
    while ((f = list_pop_front_entry(&waiting, struct fat_freed, node)) != NULL) list_push_back(&v->freed, &f->node);
}

int fat_cut_later(struct fat_volume *v, uint32_t last_kept, uint32_t first, uint32_t most) {
    struct fat_freed *f = kmalloc(sizeof *f);
    if (f == NULL) return -ENOMEM;
    *f = (struct fat_freed){.first = first, .last_kept = last_kept, .most = most};
    list_push_back(&v->freed, &f->node);
    return 0;
}

struct fat_freed *fat_cut_find(struct fat_volume *v, uint32_t last_kept) {
    list_for_each_entry(f, &v->freed, struct fat_freed, node)
        if (last_kept != 0 && f->last_kept == last_kept && !f->ended) return f;
    return NULL;
}

int fat_cut_shorten(struct fat_volume *v, struct fat_freed *f) {
    uint32_t next;
    int error = fat_table_get(v, f->first, &next);
    if (error) return error;
    f->last_kept = f->first;
    f->first = next;
    if (--f->most > 0 && fat_cluster_is_valid(v, next)) return 0;
    list_remove(&f->node);
    kfree(f);
    return 0;
}

void fat_free_later(struct fat_volume *v, uint32_t first, uint32_t most) {
    if (!fat_cluster_is_valid(v, first) || fat_cut_later(v, 0, first, most) == 0) return;
    // Without memory at once, then; when even that fails the space is lost until the next check.
    if (fat_sync(v) == 0) chain_free(v, first, most);
}

// What was cut off is free after the second sync.
bool fat_has_room(struct fat_volume *v, uint64_t clusters) {
    for (unsigned i = 0; i < 2 && clusters + v->reserved > v->free && !list_is_empty(&v->freed); i++)
        if (fat_sync(v) != 0) break;
    return clusters + v->reserved <= v->free;
}
