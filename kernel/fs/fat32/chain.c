#include "kernel/fs/fat32/fat.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

static uint32_t last_cluster(const struct fat_inode *i) {
    if (i->run_count == 0) return 0;
    const struct fat_run *r = &i->runs[i->run_count - 1];
    return r->first + r->count - 1;
}

static int run_add(struct fat_inode *i, uint32_t cluster) {
    struct fat_run *last = i->run_count > 0 ? &i->runs[i->run_count - 1] : NULL;
    if (last != NULL && last->first + last->count == cluster) {
        last->count++;
    } else {
        if (i->run_count == i->run_room) {
            uint32_t room = i->run_room != 0 ? 2 * i->run_room : 4;
            struct fat_run *more = kmalloc(room * sizeof *more);
            if (more == NULL) return -ENOMEM;
            if (i->run_count > 0) memcpy(more, i->runs, i->run_count * sizeof *more);
            kfree(i->runs);
            i->runs = more;
            i->run_room = room;
        }
        i->runs[i->run_count++] = (struct fat_run){.at = i->clusters, .first = cluster, .count = 1};
    }
    i->clusters++;
    return 0;
}

static void run_drop(struct fat_inode *i) {
    if (--i->runs[i->run_count - 1].count == 0) i->run_count--;
    i->clusters--;
}

uint32_t fat_chain_most(struct fat_inode *i) {
    // Behind its end may be what is no longer the file's: the rest of a cut, which the table joins to it for two syncs still.
    if (i->cut_before == 0 && !fat_volume_of_inode(i)->was_dirty) return UINT32_MAX;
    return i->whole ? i->clusters : i->limit;
}

// A power cut kept the link, and not what was to be the new end. Only where that may not be put right (fat_count_free).
static int leads_nowhere(struct fat_volume *v, uint32_t cluster) {
    uint32_t value;
    if (!v->was_dirty || !(v->fs.flags & FS_MOUNT_READ_ONLY)) return 0;
    int error = fat_table_get(v, cluster, &value);
    return error ? error : value == 0;
}

// Follows the chain by one cluster: 1, or 0 at its end.
static int step(struct fat_inode *i) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint32_t last = last_cluster(i), next = i->first;
    int error = last == 0 ? 0 : fat_table_get(v, last, &next);
    if (error) return error;
    if ((last == 0 && next == 0) || next >= FAT_EOC || i->clusters == i->limit) {
        i->whole = true;
        return 0;
    }
    if (!fat_cluster_is_valid(v, next))
        return fs_damaged(&v->fs, "inode %lu: cluster %u leads to %u, which is none", i->inode.number, last, next);
    int nowhere = last == 0 ? 0 : leads_nowhere(v, next);
    if (nowhere != 0) {
        i->whole = nowhere > 0;
        return nowhere > 0 ? 0 : nowhere;
    }
    if (next == i->mark) return fs_damaged(&v->fs, "inode %lu: its chain has a loop at cluster %u", i->inode.number, next);
    error = run_add(i, next);
    if (error) return error;
    if (i->clusters >= 2 * i->mark_at) {
        i->mark = next;
        i->mark_at = i->clusters;
    }
    return 1;
}

int fat_chain_find(struct fat_inode *i, uint32_t at, uint32_t *cluster, uint32_t *count) {
    for (uint32_t steps = 0; at >= i->clusters; steps++) {
        int more = i->whole ? 0 : step(i);
        if (more <= 0) return more;
        if (steps % 4096 == 4095) (void)sched_preempt_point();
    }
    uint32_t low = 0, high = i->run_count - 1;
    while (low < high) {
        uint32_t middle = (low + high + 1) / 2;
        if (i->runs[middle].at <= at) low = middle;
        else high = middle - 1;
    }
    const struct fat_run *r = &i->runs[low];
    *cluster = r->first + (at - r->at);
    *count = r->count - (at - r->at);
    return 1;
}

// ---- growing and cutting ------------------------------------------------------------------------------------------------------

int fat_cluster_zero(struct fat_volume *v, uint32_t cluster, unsigned flags) {
    uint64_t sector = fat_cluster_block(v, cluster) << (v->block_shift - SECTOR_SHIFT);
    return block_write_repeated(v->fs.device, sector, v->scratch->zero, sizeof v->scratch->zero, fat_cluster_bytes(v), flags);
}

static int grow_by_one(struct fat_inode *i) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint32_t cluster, last = last_cluster(i);
    int error = fat_cluster_alloc(v, last, &cluster);
    if (error) return error;
    // Durable before the table leads there, which may be written at any time.
    if (FS_TYPE(i->inode.mode) == FS_DIRECTORY) error = fat_cluster_zero(v, cluster, BLOCK_FUA);
    if (!error) error = run_add(i, cluster);
    if (!error && last != 0) error = fat_table_set(v, last, cluster);
    if (error) {
        if (last_cluster(i) == cluster) run_drop(i);
        if (fat_table_set(v, cluster, 0) == 0) v->free++;
        return error;
    }
    if (last == 0) i->first = cluster;
    i->inode.blocks += fat_cluster_bytes(v) >> SECTOR_SHIFT;
    return 0;
}

// What was cut off, and is needed by the entry on the disk still, is the file's again: the chain must lead nowhere else.
static int take_back(struct fat_inode *i, uint32_t clusters) {
    struct fat_volume *v = fat_volume_of_inode(i);
    while (i->clusters < clusters) {
        struct fat_freed *f = fat_cut_find(v, last_cluster(i));
        if (f == NULL) return 0;
        int error = run_add(i, f->first);
        if (error) return error;
        error = fat_cut_shorten(v, f);
        if (error) {
            run_drop(i);
            return error;
        }
        i->inode.blocks += fat_cluster_bytes(v) >> SECTOR_SHIFT;
    }
    return 0;
}

int fat_chain_grow(struct fat_inode *i, uint32_t clusters) {
    uint32_t cluster, count;
    if (clusters == 0) return 0;
    int found = fat_chain_find(i, clusters - 1, &cluster, &count), error = 0;
    if (found != 0) return found < 0 ? found : 0;
    uint32_t before = i->clusters;
    if (i->cut_before == fat_volume_of_inode(i)->syncs + 1) error = take_back(i, clusters);
    while (i->clusters < clusters && !error) {
        error = grow_by_one(i);
        if (i->clusters % 256 == 0) (void)sched_preempt_point();
    }
    if (error && i->clusters > before) (void)fat_chain_cut(i, before);
    return error;
}

int fat_chain_cut(struct fat_inode *i, uint32_t clusters) {
    struct fat_volume *v = fat_volume_of_inode(i);
    uint32_t first, count, last = 0;
    int found = fat_chain_find(i, clusters, &first, &count);
    if (found <= 0) return found;
    if (clusters > 0) {
        found = fat_chain_find(i, clusters - 1, &last, &count);
        if (found <= 0) return found;
    }
    int error = fat_cut_later(v, last, first, fat_chain_most(i) - clusters);
    if (error) return error;
    if (clusters > 0) i->cut_before = v->syncs + 1;
    while (i->run_count > 0 && i->runs[i->run_count - 1].at >= clusters) i->run_count--;
    if (i->run_count > 0) i->runs[i->run_count - 1].count = clusters - i->runs[i->run_count - 1].at;
    i->clusters = clusters;
    i->whole = true;  // what the table says behind is the freed chain
    if (clusters == 0) i->first = 0;
    i->inode.blocks = (uint64_t)clusters << (v->cluster_shift - SECTOR_SHIFT);
    return 0;
}

int fat_chain_zero(struct fat_inode *i, uint64_t from, uint64_t to) {
    struct fat_volume *v = fat_volume_of_inode(i);
    while (from < to) {
        uint32_t cluster, count, inside = (uint32_t)(from & (fat_cluster_bytes(v) - 1));
        int found = fat_chain_find(i, (uint32_t)(from >> v->cluster_shift), &cluster, &count);
        if (found <= 0) return found < 0 ? found : -EIO;
        uint64_t bytes = MIN(to - from, ((uint64_t)count << v->cluster_shift) - inside);
        uint64_t sector = (fat_cluster_block(v, cluster) << (v->block_shift - SECTOR_SHIFT)) + (inside >> SECTOR_SHIFT);
        int error = block_write_repeated(v->fs.device, sector, v->scratch->zero, sizeof v->scratch->zero, bytes, 0);
        if (error) return error;
        from += bytes;
    }
    return 0;
}
