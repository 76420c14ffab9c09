// Blocks: promised to dirty data, set aside when a place is chosen, recorded with the transaction that says what they hold;
// freed, and handed out again once the transaction that freed them has committed.
//
//     free ─promise─▶ (a number) ─set aside─▶ withheld in memory ─record─▶ in the bitmap
//       ▲                                        │ give back                 │ free
//       └────────────────────────────────────────┴── commit ◀── withheld ◀───┘
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/ext4/ext4.h"
#include "kernel/fs/ext4/freed.h"
#include "kernel/mm/slub.h"
#include "kernel/sched/sched.h"
#include "lib/bitmap.h"

bool ext4_run_is_valid(const struct ext4 *v, uint64_t start, uint64_t count) {
    return start > v->first_data_block && range_fits(start, count, v->blocks) && count != 0;
}

// ---- the numbers --------------------------------------------------------------------------------------------------------------

int ext4_promise(struct ext4 *v, uint64_t blocks) {
    spin_lock(&v->counters);
    uint64_t taken = v->delayed + v->set_aside + v->kept;
    bool room = v->free_blocks >= taken && v->free_blocks - taken >= blocks;
    if (room) v->delayed += blocks;
    spin_unlock(&v->counters);
    return room ? 0 : -ENOSPC;
}

void ext4_unpromise(struct ext4 *v, uint64_t blocks) {
    spin_lock(&v->counters);
    v->delayed -= MIN(blocks, v->delayed);
    spin_unlock(&v->counters);
}

static void count_recorded(struct ext4 *v, uint32_t blocks) {
    spin_lock(&v->counters);
    v->free_blocks -= MIN(blocks, v->free_blocks);
    v->set_aside -= MIN(blocks, v->set_aside);
    spin_unlock(&v->counters);
}

// ---- withheld blocks ----------------------------------------------------------------------------------------------------------

static int withhold(struct ext4 *v, struct ext4_group *g, uint32_t first, uint32_t count) {
    if (g->withheld == NULL) g->withheld = kzalloc(BITMAP_WORDS((size_t)v->blocks_per_group) * 8);
    if (g->withheld == NULL) return -ENOMEM;
    bitmap_set_range(g->withheld, first, count);
    g->withheld_count += count;
    if (first == g->block_hint) g->block_hint += count;
    return 0;
}

static void let_go(struct ext4_group *g, uint32_t first, uint32_t count) {
    bitmap_clear_range(g->withheld, first, count);
    g->withheld_count -= MIN(count, g->withheld_count);
    g->block_hint = MIN(g->block_hint, first);
    g->longest_run = UINT32_MAX;
    if (g->withheld_count != 0) return;
    kfree(g->withheld);
    g->withheld = NULL;
}

void ext4_let_go(struct ext4 *v, uint64_t start, uint32_t count) {
    struct ext4_group *g;
    uint64_t relative = start - v->first_data_block;
    uint32_t group = (uint32_t)(relative / v->blocks_per_group);
    if (ext4_group(v, group, &g) == 0 && g->withheld != NULL) let_go(g, (uint32_t)(relative % v->blocks_per_group), count);
}

// ---- searching ----------------------------------------------------------------------------------------------------------------

// The next bit from `from` on that is free (flip: all ones) or not (0) in both maps together.
static uint32_t next_bit(const uint64_t *disk, const uint64_t *withheld, uint32_t bits, uint32_t from, uint64_t flip) {
    if (from >= bits) return bits;
    uint32_t word = from / 64;
    uint64_t value = ((disk[word] | (withheld != NULL ? withheld[word] : 0)) ^ flip) & (~0ull << (from % 64));
    while (value == 0) {
        if (++word * 64 >= bits) return bits;
        value = (disk[word] | (withheld != NULL ? withheld[word] : 0)) ^ flip;
    }
    return MIN(word * 64 + (uint32_t)__builtin_ctzll(value), bits);
}

// A run of `want` free bits in [from, bits), or the longest shorter one. Its length, 0: none.
static uint32_t find_run(const uint64_t *disk, const uint64_t *withheld, uint32_t bits, uint32_t from, uint32_t want, uint32_t *first) {
    uint32_t best = 0;
    while (best < want) {
        uint32_t start = next_bit(disk, withheld, bits, from, ~0ull);
        if (start >= bits) break;
        uint32_t end = next_bit(disk, withheld, MIN(bits, start + want), start, 0);
        if (end - start > best) best = end - start, *first = start;
        from = end;
    }
    return best;
}

// Takes from this group what is wanted, or at least `enough`; from `at` on first, if that is not UINT32_MAX: it may be any
// number of blocks if it is exactly there. 0 and *run, -ENOSPC.
static int take_from(struct ext4 *v, uint32_t group, uint32_t at, uint32_t want, uint32_t enough, struct ext4_run *run) {
    struct ext4_group *g;
    struct buffer *b;
    int error = ext4_group(v, group, &g);
    if (error != 0) return error;
    if (g->free_blocks <= g->withheld_count || g->longest_run < enough || g->bad) return -ENOSPC;
    error = ext4_block_bitmap(v, group, g, &b);
    if (error != 0) return error;
    const uint64_t *disk = (const uint64_t *)b->data;
    uint32_t bits = ext4_group_blocks(v, group), first = 0, count = 0;
    bool exact = at < bits && next_bit(disk, g->withheld, bits, at, ~0ull) == at;
    if (exact) first = at, count = next_bit(disk, g->withheld, MIN(bits, at + want), at, 0) - at;
    else if (at < bits) count = find_run(disk, g->withheld, bits, at, want, &first);
    if (count < enough && !exact) {
        count = find_run(disk, g->withheld, bits, g->block_hint, want, &first);
        if (count < want) g->longest_run = count;
    }
    buffer_put(b);
    if (count == 0 || (count < enough && !exact)) return -ENOSPC;
    error = withhold(v, g, first, count);
    if (error == 0) *run = (struct ext4_run){ext4_group_first(v, group) + first, count};
    return error;
}

static int search_groups(struct ext4 *v, uint64_t goal, uint32_t want, struct ext4_run *run) {
    uint64_t relative = goal > v->first_data_block && goal < v->blocks ? goal - v->first_data_block : 0;
    uint32_t home = (uint32_t)(relative / v->blocks_per_group), at = (uint32_t)(relative % v->blocks_per_group);
    for (uint32_t enough = MIN(want, 64u);; enough = 1) {
        for (uint32_t i = 0; i < v->group_count; i++) {
            uint32_t group = (uint32_t)(((uint64_t)home + i) % v->group_count);
            int error = take_from(v, group, i == 0 ? at : UINT32_MAX, want, enough, run);
            if (error != -ENOSPC) return error;
        }
        if (enough == 1) return -ENOSPC;
    }
}

int ext4_set_aside(struct ext4 *v, uint64_t goal, uint32_t want, struct ext4_run *out) {
    mutex_lock(&v->alloc_lock);
    ext4_reuse_committed(v);
    int error = search_groups(v, goal, MIN(want, EXT4_EXTENT_LENGTH - 1), out);
    if (error == 0) {
        spin_lock(&v->counters);
        v->set_aside += out->count;
        spin_unlock(&v->counters);
    }
    mutex_unlock(&v->alloc_lock);
    return error;
}

void ext4_give_back(struct ext4 *v, struct ext4_run run) {
    mutex_lock(&v->alloc_lock);
    ext4_let_go(v, run.start, run.count);
    mutex_unlock(&v->alloc_lock);
    spin_lock(&v->counters);
    v->set_aside -= MIN(run.count, v->set_aside);
    spin_unlock(&v->counters);
}

// ---- records ------------------------------------------------------------------------------------------------------------------

// The group's bitmap and descriptor, both joined to tx. alloc_lock held.
static int join(struct ext4_tx *tx, uint32_t group, struct ext4_group **g, struct buffer **bitmap) {
    int error = ext4_group(tx->volume, group, g);
    if (error == 0) error = ext4_block_bitmap(tx->volume, group, *g, bitmap);
    if (error != 0) return error;
    error = ext4_access(tx, *bitmap);
    if (error == 0) error = ext4_group_access(tx, group);
    if (error != 0) buffer_put(*bitmap);
    return error;
}

static void leave(struct ext4_tx *tx, uint32_t group, struct buffer *bitmap) {
    ext4_dirty(tx, bitmap);
    ext4_group_dirty(tx, group, bitmap, NULL);
    buffer_put(bitmap);
}

int ext4_record_join(struct ext4_tx *tx, struct ext4_run run, struct buffer **bitmap) {
    struct ext4 *v = tx->volume;
    struct ext4_group *g;
    mutex_lock(&v->alloc_lock);
    int error = join(tx, (uint32_t)((run.start - v->first_data_block) / v->blocks_per_group), &g, bitmap);
    mutex_unlock(&v->alloc_lock);
    return error;
}

void ext4_record(struct ext4_tx *tx, struct ext4_run run, struct buffer *bitmap) {
    struct ext4 *v = tx->volume;
    struct ext4_group *g;
    uint64_t relative = run.start - v->first_data_block;
    uint32_t group = (uint32_t)(relative / v->blocks_per_group), first = (uint32_t)(relative % v->blocks_per_group);
    mutex_lock(&v->alloc_lock);
    verify(ext4_group(v, group, &g) == 0);  // it was read by whoever set the blocks aside
    bitmap_set_range((uint64_t *)bitmap->data, first, run.count);
    g->free_blocks -= MIN(run.count, g->free_blocks);
    g->flags &= (uint16_t)~EXT4_GROUP_BLOCKS_UNUSED;
    uint32_t hint = g->block_hint, longest = g->longest_run;
    let_go(g, first, run.count);
    g->block_hint = hint;
    g->longest_run = longest;
    count_recorded(v, run.count);
    leave(tx, group, bitmap);
    mutex_unlock(&v->alloc_lock);
}

int ext4_allocate_block(struct ext4_tx *tx, uint64_t goal, bool from_kept, uint64_t *out) {
    struct ext4 *v = tx->volume;
    struct ext4_run run;
    int error = from_kept ? 0 : ext4_promise(v, 1);
    if (error != 0) return error;
    error = ext4_set_aside(v, goal, 1, &run);
    if (!from_kept) ext4_unpromise(v, 1);
    if (error != 0) return error;
    struct buffer *bitmap;
    error = ext4_record_join(tx, run, &bitmap);
    if (error != 0) {
        ext4_give_back(v, run);
        return error;
    }
    ext4_record(tx, run, bitmap);
    *out = run.start;
    return 0;
}

// ---- freeing ------------------------------------------------------------------------------------------------------------------

static bool is_metadata(const struct ext4 *v, uint32_t group, const struct ext4_group *g, uint64_t start, uint32_t count) {
    uint64_t end = start + count, base = ext4_group_first(v, group);
    return start < base + ext4_base_meta_blocks(v, group) || (start <= g->block_bitmap && g->block_bitmap < end) ||
           (start <= g->inode_bitmap && g->inode_bitmap < end) || (start < g->inode_table + v->table_blocks && g->inode_table < end);
}

static int forget(struct ext4_tx *tx, uint64_t start, uint32_t count) {
    int error = 0;
    for (uint32_t i = 0; i < count && error == 0; i++) error = ext4_forget(tx, start + i);
    return error;
}

static int free_in_group(struct ext4_tx *tx, uint32_t group, uint32_t first, uint32_t count, bool metadata) {
    struct ext4 *v = tx->volume;
    struct ext4_group *g;
    struct buffer *b;
    int error = join(tx, group, &g, &b);
    if (error != 0) return error;
    uint64_t start = ext4_group_first(v, group) + first;
    if (next_bit((const uint64_t *)b->data, NULL, first + count, first, ~0ull) != first + count || is_metadata(v, group, g, start, count))
        error = ext4_damaged(v, "block %llu: freed, but not in use", (unsigned long long)start);
    bool withheld = error == 0 && v->journal != NULL;
    if (withheld) error = withhold(v, g, first, count);
    if (error == 0 && metadata) {
        error = forget(tx, start, count);
        if (error != 0 && withheld) let_go(g, first, count);
    }
    if (error != 0) {
        buffer_put(b);
        return error;
    }
    bitmap_clear_range((uint64_t *)b->data, first, count);
    g->free_blocks += count;
    if (v->journal != NULL) {
        ext4_note_freed(tx, start, count);
    } else {
        g->block_hint = MIN(g->block_hint, first);
        g->longest_run = UINT32_MAX;
    }
    spin_lock(&v->counters);
    v->free_blocks += count;
    spin_unlock(&v->counters);
    leave(tx, group, b);
    return 0;
}

int ext4_free_blocks(struct ext4_tx *tx, uint64_t start, uint64_t count, bool metadata) {
    struct ext4 *v = tx->volume;
    int error = 0;
    if (!ext4_run_is_valid(v, start, count)) return ext4_damaged(v, "block %llu: freed, but outside", (unsigned long long)start);
    while (count != 0 && error == 0) {
        uint64_t relative = start - v->first_data_block;
        uint32_t first = (uint32_t)(relative % v->blocks_per_group), piece = (uint32_t)MIN(count, v->blocks_per_group - first);
        mutex_lock(&v->alloc_lock);
        error = free_in_group(tx, (uint32_t)(relative / v->blocks_per_group), first, piece, metadata);
        mutex_unlock(&v->alloc_lock);
        start += piece;
        count -= piece;
    }
    return error;
}
