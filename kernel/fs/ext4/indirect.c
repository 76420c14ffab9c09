// Files as ext2 and ext3 map them: 12 pointers in the inode, then blocks of pointers behind one, two and three levels.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"

#define DIRECT 12u

// The way to a block: which pointer of the inode, then which one of each block of pointers.
struct way {
    uint32_t slots[4];
    uint32_t levels;  // blocks of pointers on the way
};

static int find_way(const struct ext4 *v, uint32_t block, struct way *way) {
    uint32_t bits = v->block_bits - 2;
    uint64_t rest = block;
    if (rest < DIRECT) {
        *way = (struct way){{block}, 0};
        return 0;
    }
    rest -= DIRECT;
    for (uint32_t levels = 1; levels <= 3; levels++) {
        if (rest >> (bits * levels) == 0) {
            *way = (struct way){{DIRECT + levels - 1}, levels};
            for (uint32_t i = 1; i <= levels; i++) way->slots[i] = rest >> (bits * (levels - i)) & (v->pointers_per_block - 1);
            return 0;
        }
        rest -= 1ull << (bits * levels);
    }
    return -EFBIG;
}

// Consecutive entries that continue pointer[0]: the run's length.
static uint32_t run_length(const uint32_t *pointers, uint32_t limit) {
    uint32_t count = 1;
    if (pointers[0] == 0)
        while (count < limit && pointers[count] == 0) count++;
    else
        while (count < limit && pointers[count] == pointers[0] + count) count++;
    return count;
}

static int damaged_pointer(struct ext4_node *node, uint32_t pointer) {
    return ext4_damaged(ext4_of(&node->inode), "inode %llu: pointer to block %u", (unsigned long long)node->inode.number, pointer);
}

int ext4_indirect_map(struct ext4_node *node, uint32_t block, uint32_t count, struct ext4_map *out) {
    struct ext4 *v = ext4_of(&node->inode);
    struct way way;
    *out = (struct ext4_map){.block = block, .count = count};
    if (find_way(v, block, &way) != 0) return 0;  // beyond the largest file: a hole
    uint32_t *pointers = ext4_raw(node)->block, slots = DIRECT;
    struct buffer *b = NULL;
    int error = 0;
    for (uint32_t i = 0;; i++) {
        uint32_t pointer = pointers[way.slots[i]];
        if (pointer != 0 && !ext4_run_is_valid(v, pointer, 1)) error = damaged_pointer(node, pointer);
        if (error == 0 && i == way.levels) {
            out->start = pointer;
            out->count = run_length(&pointers[way.slots[i]], MIN(count, slots - way.slots[i]));
            if (pointer != 0 && !ext4_run_is_valid(v, pointer, out->count)) error = damaged_pointer(node, pointer);
        } else if (error == 0 && pointer == 0) {  // the whole block of pointers is missing
            uint32_t span = 1u << MIN((v->block_bits - 2) * (way.levels - i), 31u);
            uint32_t inside = 0;
            for (uint32_t k = i + 1; k <= way.levels; k++) inside = inside << (v->block_bits - 2) | way.slots[k];
            out->count = MIN(count, span - (inside & (span - 1)));
        }
        if (error != 0 || i == way.levels || pointer == 0) break;
        struct buffer *next;
        error = buffer_read(v->buffers, pointer, &next);
        if (b != NULL) buffer_put(b);
        b = error == 0 ? next : NULL;
        if (error != 0) break;
        pointers = (uint32_t *)b->data;
        slots = v->pointers_per_block;
    }
    if (b != NULL) buffer_put(b);
    return error;
}

uint64_t ext4_indirect_limit(const struct ext4 *v) {
    uint64_t per = v->pointers_per_block;
    return DIRECT + per + per * per + per * per * per;
}

// ---- changes ------------------------------------------------------------------------------------------------------------------

// The pointers on the way to a block; places[0] is in the inode.
struct place {
    struct buffer *buffer;  // held; NULL: the inode
    uint32_t *pointer;
};

static int access_place(struct ext4_tx *tx, struct ext4_node *node, const struct place *p) {
    return p->buffer != NULL ? ext4_access(tx, p->buffer) : ext4_inode_access(tx, node);
}
static void seal_place(struct ext4_tx *tx, struct ext4_node *node, const struct place *p) {
    if (p->buffer != NULL) ext4_dirty(tx, p->buffer);
    else ext4_seal_inode(tx, node);
}

// A block of pointers for an empty pointer.
static int make_pointers(struct ext4_tx *tx, struct ext4_node *node, const struct place *p, struct buffer **out) {
    uint64_t block;
    int error = access_place(tx, node, p);
    if (error == 0) error = ext4_allocate_block(tx, ext4_goal(node, 0), true, &block);
    if (error != 0) return error;
    error = block > UINT32_MAX ? -EFBIG : ext4_new_block(tx, block, out);
    if (error != 0) {
        int undone = ext4_free_blocks(tx, block, 1, true);
        return undone != 0 ? undone : error;
    }
    *p->pointer = (uint32_t)block;
    ext4_dirty(tx, *out);
    seal_place(tx, node, p);
    ext4_add_blocks(node, 1);
    return 0;
}

static void put_places(struct place *places, uint32_t count) {
    for (uint32_t i = 1; i <= count; i++) buffer_put(places[i].buffer);
}

// The places on the way; `make`: blocks of pointers that are missing are made, else -ENOENT.
static int walk(struct ext4_tx *tx, struct ext4_node *node, const struct way *way, bool make, struct place places[4]) {
    struct ext4 *v = tx->volume;
    places[0] = (struct place){NULL, &ext4_raw(node)->block[way->slots[0]]};
    for (uint32_t i = 1; i <= way->levels; i++) {
        uint32_t pointer = *places[i - 1].pointer;
        int error = pointer == 0 ? (make ? make_pointers(tx, node, &places[i - 1], &places[i].buffer) : -ENOENT)
                    : ext4_run_is_valid(v, pointer, 1) ? buffer_read(v->buffers, pointer, &places[i].buffer)
                                                       : damaged_pointer(node, pointer);
        if (error != 0) {
            put_places(places, i - 1);
            return error;
        }
        places[i].pointer = (uint32_t *)places[i].buffer->data + way->slots[i];
    }
    return 0;
}

static int set_pointer(struct ext4_tx *tx, struct ext4_node *node, uint32_t block, uint32_t value) {
    struct way way;
    struct place places[4];
    int error = find_way(tx->volume, block, &way);
    if (error == 0) error = walk(tx, node, &way, value != 0, places);
    if (error != 0) return error;
    const struct place *last = &places[way.levels];
    error = access_place(tx, node, last);
    if (error == 0) {
        *last->pointer = value;
        seal_place(tx, node, last);
    }
    put_places(places, way.levels);
    return error;
}

int ext4_indirect_insert(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map) {
    if (map->start + map->count > UINT32_MAX) return -EFBIG;
    for (uint32_t i = 0; i < map->count; i++) {
        int error = set_pointer(tx, node, map->block + i, (uint32_t)map->start + i);
        if (error == 0) continue;
        while (i-- > 0)
            if (set_pointer(tx, node, map->block + i, 0) != 0)
                return ext4_damaged(tx->volume, "inode %llu: pointers cannot be taken back", (unsigned long long)node->inode.number);
        return error;
    }
    return 0;
}

static bool is_empty(const struct buffer *b, uint32_t pointers) {
    const uint32_t *p = (const uint32_t *)b->data;
    for (uint32_t i = 0; i < pointers; i++)
        if (p[i] != 0) return false;
    return true;
}

// Clears the pointers of a run, and frees the blocks of pointers that become empty.
static int clear_run(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *run) {
    struct way way;
    struct place places[4];
    int error = find_way(tx->volume, run->block, &way);
    if (error == 0) error = walk(tx, node, &way, false, places);
    if (error != 0) return error;
    for (uint32_t i = 0; i <= way.levels && error == 0; i++) error = access_place(tx, node, &places[i]);
    if (error == 0) error = ext4_free_blocks(tx, run->start, run->count, ext4_data_is_metadata(node));
    if (error == 0) {
        ext4_add_blocks(node, -(int64_t)run->count);
        for (uint32_t i = 0; i < run->count; i++) places[way.levels].pointer[i] = 0;
        seal_place(tx, node, &places[way.levels]);
    }
    for (uint32_t i = way.levels; i > 0 && error == 0 && is_empty(places[i].buffer, tx->volume->pointers_per_block); i--) {
        error = ext4_free_blocks(tx, places[i].buffer->block, 1, true);
        if (error != 0) break;
        *places[i - 1].pointer = 0;
        seal_place(tx, node, &places[i - 1]);
        ext4_add_blocks(node, -1);
    }
    put_places(places, way.levels);
    return error;
}

int ext4_indirect_remove(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to, bool *done) {
    uint64_t end = MIN(to, ext4_indirect_limit(tx->volume)), block = from;
    end = MIN(end, 1ull << 32);
    for (uint32_t budget = EXT4_REMOVE_CREDITS - 8; block < end && budget >= 12; ) {
        struct ext4_map map;
        int error = ext4_indirect_map(node, (uint32_t)block, (uint32_t)MIN(end - block, UINT32_MAX), &map);
        if (error != 0) return error;
        uint64_t in_group = (map.start - tx->volume->first_data_block) % tx->volume->blocks_per_group;
        if (map.start != 0) map.count = (uint32_t)MIN(map.count, tx->volume->blocks_per_group - in_group);
        if (map.start != 0) error = clear_run(tx, node, &map);
        if (error != 0) return error;
        if (map.start != 0) budget -= 12;
        block += map.count;
    }
    *done = block >= end;
    return 0;
}
