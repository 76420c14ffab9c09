// Changes of the extent tree. First comes all that can fail (room in the leaf, write access to the blocks), then the change.
// Nodes grow one step at a time, each of which leaves a good tree.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/extent.h"
#include "lib/string.h"

static int damaged(struct ext4_node *node, const char *what) {
    return ext4_damaged(ext4_of(&node->inode), "inode %llu: extents: %s", (unsigned long long)node->inode.number, what);
}

static int access_level(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_level *l) {
    return l->buffer != NULL ? ext4_access(tx, l->buffer) : ext4_inode_access(tx, node);
}

static int access_path(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_path *path) {
    int error = 0;
    for (uint32_t depth = 0; depth <= path->depth && error == 0; depth++) error = access_level(tx, node, &path->levels[depth]);
    return error;
}

static void seal(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_level *l) {
    if (l->buffer == NULL) {
        ext4_seal_inode(tx, node);
        return;
    }
    if (tx->volume->checksums) *ext4_extent_tail(l->header) = ext4_extent_checksum(node, l->header);
    ext4_set_verified(l->buffer);
    ext4_dirty(tx, l->buffer);
}

static void set_length(struct ext4_extent *e, uint32_t length, bool unwritten) {
    e->length = (uint16_t)(length + (unwritten ? EXT4_EXTENT_LENGTH : 0));
}
static void set_start(struct ext4_extent *e, uint64_t start) {
    e->start_lo = (uint32_t)start;
    e->start_hi = (uint16_t)(start >> 32);
}
static void set_leaf(struct ext4_extent_index *i, uint64_t leaf) {
    *i = (struct ext4_extent_index){.block = i->block, .leaf_lo = (uint32_t)leaf, .leaf_hi = (uint16_t)(leaf >> 32)};
}

static void open_gap(struct ext4_level *l, uint32_t at) {
    struct ext4_extent *entries = ext4_extents(l);
    memmove(&entries[at + 1], &entries[at], (l->header->entries - at) * sizeof *entries);
    l->header->entries++;
}
static void close_gap(struct ext4_level *l, uint32_t at) {
    struct ext4_extent *entries = ext4_extents(l);
    l->header->entries--;
    memmove(&entries[at], &entries[at + 1], (l->header->entries - at) * sizeof *entries);
}

// The first entry of the leaf has changed: so do the keys above, as long as they are first in their node.
static void update_keys(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path) {
    uint32_t key = ext4_extents(ext4_leaf(path))[0].block;
    for (uint32_t depth = path->depth; depth-- > 0;) {
        struct ext4_level *l = &path->levels[depth];
        ext4_indices(l)[l->index].block = key;
        seal(tx, node, l);
        if (l->index != 0) break;
    }
}

// ---- growing ------------------------------------------------------------------------------------------------------------------

static int new_node(struct ext4_tx *tx, struct ext4_node *node, uint32_t depth, struct ext4_level *out) {
    struct ext4 *v = tx->volume;
    uint64_t block;
    int error = ext4_allocate_block(tx, ext4_goal(node, 0), true, &block);
    if (error != 0) return error;
    error = ext4_new_block(tx, block, &out->buffer);
    if (error != 0) {
        int undone = ext4_free_blocks(tx, block, 1, true);
        return undone != 0 ? undone : error;
    }
    out->header = (struct ext4_extent_header *)out->buffer->data;
    *out->header = (struct ext4_extent_header){.magic = EXT4_EXTENT_MAGIC, .depth = (uint16_t)depth,
                                               .max = (uint16_t)((v->block_size - sizeof *out->header) / sizeof(struct ext4_extent))};
    ext4_add_blocks(node, 1);
    return 0;
}

// The root is full: its entries move into a block, and it points to that.
static int grow_root(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path) {
    struct ext4_level *root = &path->levels[0], below;
    if (path->depth == EXT4_EXTENT_DEPTH) return -EFBIG;
    int error = access_level(tx, node, root);
    if (error == 0) error = new_node(tx, node, path->depth, &below);
    if (error != 0) return error;
    uint32_t entries = root->header->entries;
    memcpy(below.header + 1, root->header + 1, entries * sizeof(struct ext4_extent));
    below.header->entries = (uint16_t)entries;
    root->header->entries = 1;
    root->header->depth++;
    set_leaf(&ext4_indices(root)[0], below.buffer->block);
    seal(tx, node, &below);
    seal(tx, node, root);
    buffer_put(below.buffer);
    return 0;
}

// A full node whose parent has room: the entries behind the middle move into a new one; only the last when it grows at its end.
static int split(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path, uint32_t depth) {
    struct ext4_level *parent = &path->levels[depth - 1], *full = &path->levels[depth], right;
    int error = access_level(tx, node, parent);
    if (error == 0) error = access_level(tx, node, full);
    if (error == 0) error = new_node(tx, node, path->depth - depth, &right);
    if (error != 0) return error;
    uint32_t entries = full->header->entries, moved = full->index == (int32_t)entries - 1 ? 1 : entries / 2;
    memcpy(right.header + 1, &ext4_extents(full)[entries - moved], moved * sizeof(struct ext4_extent));
    right.header->entries = (uint16_t)moved;
    full->header->entries = (uint16_t)(entries - moved);
    open_gap(parent, (uint32_t)parent->index + 1);
    ext4_indices(parent)[parent->index + 1].block = ext4_extents(&right)[0].block;
    set_leaf(&ext4_indices(parent)[parent->index + 1], right.buffer->block);
    seal(tx, node, &right);
    seal(tx, node, full);
    seal(tx, node, parent);
    buffer_put(right.buffer);
    return 0;
}

static bool is_full(const struct ext4_level *l) { return l->header->entries >= l->header->max; }

// The way to `block`, with room for `need` more entries in its leaf.
static int find_with_room(struct ext4_tx *tx, struct ext4_node *node, uint32_t block, uint32_t need, struct ext4_path *path) {
    for (uint32_t steps = 0; steps < 4 * (EXT4_EXTENT_DEPTH + 1); steps++) {
        int error = ext4_path_find(node, block, path);
        if (error != 0) return error;
        if (ext4_leaf(path)->header->max - ext4_leaf(path)->header->entries >= (int32_t)need) return 0;
        uint32_t depth = path->depth;
        while (depth > 0 && is_full(&path->levels[depth - 1])) depth--;
        error = depth == 0 ? grow_root(tx, node, path) : split(tx, node, path, depth);
        ext4_path_put(path);
        if (error != 0) return error;
    }
    return damaged(node, "no room after splitting");
}

// ---- inserting ----------------------------------------------------------------------------------------------------------------

static bool can_merge(const struct ext4_extent *a, const struct ext4_extent *b) {
    uint32_t most = ext4_extent_unwritten(a) ? EXT4_EXTENT_LENGTH - 1 : EXT4_EXTENT_LENGTH;
    return ext4_extent_unwritten(a) == ext4_extent_unwritten(b) && ext4_extent_end(a) == b->block &&
           ext4_extent_start(a) + ext4_extent_length(a) == ext4_extent_start(b) &&
           ext4_extent_length(a) + ext4_extent_length(b) <= most;
}

// Joins entry `at` with the one behind it, if they are one extent.
static bool merge(struct ext4_level *l, int32_t at) {
    if (at < 0 || at + 1 >= l->header->entries) return false;
    struct ext4_extent *e = &ext4_extents(l)[at];
    if (!can_merge(e, e + 1)) return false;
    set_length(e, ext4_extent_length(e) + ext4_extent_length(e + 1), ext4_extent_unwritten(e));
    close_gap(l, (uint32_t)at + 1);
    return true;
}

// Puts an extent behind entry path->index of the leaf, which has room and access. Joins neighbours.
static void put(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path, const struct ext4_map *map) {
    struct ext4_level *l = ext4_leaf(path);
    uint32_t at = (uint32_t)(l->index + 1);
    open_gap(l, at);
    struct ext4_extent *e = &ext4_extents(l)[at];
    e->block = map->block;
    set_length(e, map->count, map->unwritten);
    set_start(e, map->start);
    merge(l, (int32_t)at);
    if (!merge(l, (int32_t)at - 1)) l->index = (int32_t)at;
    seal(tx, node, l);
    if (at == 0 && path->depth > 0) update_keys(tx, node, path);
}

int ext4_extent_insert(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map) {
    struct ext4_path path;
    int error = ext4_path_find(node, map->block, &path);
    if (error != 0) return error;
    struct ext4_level *l = ext4_leaf(&path);
    struct ext4_extent added = {.block = map->block};
    set_length(&added, map->count, map->unwritten);
    set_start(&added, map->start);
    bool grows = l->index >= 0 && can_merge(&ext4_extents(l)[l->index], &added);
    if (!grows && is_full(l)) {
        ext4_path_put(&path);
        error = find_with_room(tx, node, map->block, 1, &path);
        if (error != 0) return error;
        l = ext4_leaf(&path);
    }
    if ((l->index >= 0 && ext4_extent_end(&ext4_extents(l)[l->index]) > map->block) ||
        ext4_path_next(&path) < (uint64_t)map->block + map->count)
        error = damaged(node, "inserted over another");
    if (error == 0) error = l->index < 0 ? access_path(tx, node, &path) : access_level(tx, node, l);
    if (error == 0 && grows) {
        struct ext4_extent *e = &ext4_extents(l)[l->index];
        set_length(e, ext4_extent_length(e) + map->count, map->unwritten);
        merge(l, l->index);
        seal(tx, node, l);
    } else if (error == 0) {
        put(tx, node, &path, map);
    }
    ext4_path_put(&path);
    return error;
}

// ---- shrinking ----------------------------------------------------------------------------------------------------------------

static int free_node(struct ext4_tx *tx, struct ext4_node *node, uint64_t block) {
    int error = ext4_free_blocks(tx, block, 1, true);
    if (error == 0) ext4_add_blocks(node, -1);
    return error;
}

// The leaf is empty: it goes, and with it every parent that becomes empty. All levels have access.
static int drop_leaf(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path) {
    for (uint32_t depth = path->depth; depth > 0; depth--) {
        struct ext4_level *parent = &path->levels[depth - 1];
        int error = free_node(tx, node, path->levels[depth].buffer->block);
        if (error != 0) return error;
        close_gap(parent, (uint32_t)parent->index);
        if (parent->header->entries != 0 || depth == 1) {
            if (parent->header->entries == 0) parent->header->depth = 0;
            seal(tx, node, parent);
            if (parent->index != 0 || parent->header->entries == 0) return 0;
            for (uint32_t up = depth - 1; up > 0; up--) {  // the node's first key has changed
                struct ext4_level *above = &path->levels[up - 1];
                ext4_indices(above)[above->index].block = ext4_indices(parent)[0].block;
                seal(tx, node, above);
                if (above->index != 0) break;
            }
            return 0;
        }
    }
    return 0;
}

// A root with one child whose entries fit into it takes them over.
static int take_over(struct ext4_tx *tx, struct ext4_node *node, struct ext4_extent_header *root, const struct ext4_level *child) {
    struct ext4_extent entries[4];
    uint32_t count = child->header->entries;
    int error = ext4_inode_access(tx, node);
    memcpy(entries, child->header + 1, count * sizeof *entries);
    if (error == 0) error = free_node(tx, node, child->buffer->block);
    if (error != 0) return error;
    memcpy(root + 1, entries, count * sizeof *entries);
    root->entries = (uint16_t)count;
    root->depth--;
    ext4_seal_inode(tx, node);
    return 0;
}

// Without memory for it the tree stays as it is, which is no worse.
static int collapse(struct ext4_tx *tx, struct ext4_node *node) {
    struct ext4_extent_header *root = (struct ext4_extent_header *)ext4_raw(node)->block;
    while (root->depth != 0 && root->entries == 1) {
        struct ext4_path path;
        int error = ext4_path_find(node, 0, &path);
        if (error != 0) return error;
        bool fits = path.levels[1].header->entries <= root->max;
        if (fits) error = take_over(tx, node, root, &path.levels[1]);
        ext4_path_put(&path);
        if (!fits || error != 0) return error == -ENOMEM ? 0 : error;
    }
    return 0;
}

// Cuts [from, to) out of the leaf's entry, which has access; for its middle, room for one more.
static int cut(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path, uint32_t from, uint64_t to) {
    struct ext4_level *l = ext4_leaf(path);
    struct ext4_extent *e = &ext4_extents(l)[l->index], old = *e;
    uint32_t left = from - old.block, right = (uint32_t)(ext4_extent_end(&old) - to);
    bool first = l->index == 0;
    int error = ext4_free_blocks(tx, ext4_extent_start(&old) + left, (uint32_t)(to - from), ext4_data_is_metadata(node));
    if (error != 0) return error;
    ext4_add_blocks(node, -(int64_t)(to - from));
    if (left != 0) set_length(e, left, ext4_extent_unwritten(&old));
    if (right != 0 && left == 0) {
        e->block = (uint32_t)to;
        set_length(e, right, ext4_extent_unwritten(&old));
        set_start(e, ext4_extent_start(&old) + (to - old.block));
    }
    if (right != 0 && left != 0) {
        struct ext4_map rest = {(uint32_t)to, right, ext4_extent_start(&old) + (to - old.block), ext4_extent_unwritten(&old)};
        put(tx, node, path, &rest);
        return 0;
    }
    if (left == 0 && right == 0) close_gap(l, (uint32_t)l->index);
    if (l->header->entries == 0 && path->depth > 0) return drop_leaf(tx, node, path);
    seal(tx, node, l);
    if (first && left == 0 && path->depth > 0) update_keys(tx, node, path);
    return 0;
}

// Of [from, to) of an extent, the end that lies in one group: what one step frees.
static uint32_t group_part(const struct ext4 *v, const struct ext4_extent *e, uint32_t from, uint64_t to) {
    uint64_t last = ext4_extent_start(e) + (to - 1 - e->block) - v->first_data_block;
    uint64_t in_group = last % v->blocks_per_group + 1;
    return to - from > in_group ? (uint32_t)(to - in_group) : from;
}

int ext4_extent_remove(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to, bool *done) {
    struct ext4_path path;
    uint32_t budget = EXT4_REMOVE_CREDITS - 8 * (EXT4_EXTENT_DEPTH + 1);
    *done = false;
    for (; budget >= 2 && to > from; budget -= 2) {
        int error = ext4_path_find(node, (uint32_t)(to - 1), &path);
        if (error != 0) return error;
        struct ext4_level *l = ext4_leaf(&path);
        if (l->index < 0) {  // nothing here; keys are those of the first entries, so nothing before either
            ext4_path_put(&path);
            to = from;
            break;
        }
        struct ext4_extent *e = &ext4_extents(l)[l->index];
        uint64_t end = MIN(to, ext4_extent_end(e));
        if (end <= from) {
            ext4_path_put(&path);
            to = from;
            break;
        }
        uint32_t start = group_part(tx->volume, e, MAX(e->block, from), end);
        if (start > e->block && end < ext4_extent_end(e) && is_full(l)) {
            ext4_path_put(&path);
            error = find_with_room(tx, node, (uint32_t)(to - 1), 1, &path);
            if (error != 0) return error;
        }
        error = access_path(tx, node, &path);
        if (error == 0) error = cut(tx, node, &path, start, end);
        ext4_path_put(&path);
        if (error != 0) return error;
        to = start;
    }
    *done = to <= from;
    return *done ? collapse(tx, node) : 0;
}

// ---- written, unwritten -------------------------------------------------------------------------------------------------------

// Of the leaf's entry, [from, to) changes its kind; the leaf has room for two more, and access.
static void convert_part(struct ext4_tx *tx, struct ext4_node *node, struct ext4_path *path, uint32_t from, uint64_t to, bool unwritten) {
    struct ext4_level *l = ext4_leaf(path);
    struct ext4_extent *e = &ext4_extents(l)[l->index], old = *e;
    uint32_t left = from - old.block, right = (uint32_t)(ext4_extent_end(&old) - to);
    struct ext4_map part = {from, (uint32_t)(to - from), ext4_extent_start(&old) + left, unwritten};
    if (left == 0 && right == 0) {
        set_length(e, part.count, unwritten);
        merge(l, l->index);
        merge(l, l->index - 1);
        seal(tx, node, l);
        return;
    }
    if (right != 0) {
        struct ext4_map rest = {(uint32_t)to, right, ext4_extent_start(&old) + (to - old.block), !unwritten};
        if (left == 0) {  // the entry becomes the rest, the part goes before it
            e->block = rest.block;
            set_length(e, right, !unwritten);
            set_start(e, rest.start);
            l->index--;
            put(tx, node, path, &part);
            return;
        }
        set_length(e, left, !unwritten);
        int32_t at = l->index;
        put(tx, node, path, &rest);
        l->index = at;
    } else {
        set_length(e, left, !unwritten);
    }
    put(tx, node, path, &part);
}

int ext4_extent_convert(struct ext4_tx *tx, struct ext4_node *node, uint32_t block, uint32_t count, bool unwritten) {
    uint64_t at = block, end = (uint64_t)block + count;
    while (at < end) {
        struct ext4_path path;
        int error = ext4_path_find(node, (uint32_t)at, &path);
        if (error != 0) return error;
        struct ext4_level *l = ext4_leaf(&path);
        const struct ext4_extent *e = l->index >= 0 ? &ext4_extents(l)[l->index] : NULL;
        uint64_t to = e != NULL ? MIN(end, ext4_extent_end(e)) : 0;
        if (unwritten) to = MIN(to, at + EXT4_EXTENT_LENGTH - 1);
        if (to <= at) error = damaged(node, "a hole is converted");
        bool change = error == 0 && ext4_extent_unwritten(e) != unwritten;
        if (change && l->header->max - l->header->entries < 2 && (to < ext4_extent_end(e) || at > e->block)) {
            ext4_path_put(&path);
            error = find_with_room(tx, node, (uint32_t)at, 2, &path);
            if (error != 0) return error;
        }
        if (change) error = access_path(tx, node, &path);
        if (change && error == 0) convert_part(tx, node, &path, (uint32_t)at, to, unwritten);
        ext4_path_put(&path);
        if (error != 0) return error;
        at = to;
    }
    return collapse(tx, node);
}

uint32_t ext4_map_credits(const struct ext4_node *node) { return 4 * (EXT4_EXTENT_DEPTH + 2); }
