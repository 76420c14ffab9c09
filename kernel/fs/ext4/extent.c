#include "kernel/fs/ext4/extent.h"

#include "abi/gen/errors.h"
#include "lib/crc32c.h"

#define ROOT_ENTRIES 4u

uint32_t ext4_extent_checksum(const struct ext4_node *node, const struct ext4_extent_header *header) {
    return crc32c(node->seed, header, sizeof *header * (1 + (size_t)header->max));
}

static uint32_t node_entries(const struct ext4 *v) {
    return (v->block_size - (uint32_t)sizeof(struct ext4_extent_header)) / (uint32_t)sizeof(struct ext4_extent);
}

// What has to hold for memory safety, at each visit.
static bool header_is_good(const struct ext4_extent_header *h, uint32_t max, uint32_t depth) {
    return h->magic == EXT4_EXTENT_MAGIC && h->max == max && h->entries <= max && h->depth == depth;
}

static const char *leaf_problem(const struct ext4 *v, const struct ext4_level *l) {
    uint64_t end = 0;
    for (uint32_t i = 0; i < l->header->entries; i++) {
        const struct ext4_extent *e = &ext4_extents(l)[i];
        if (ext4_extent_length(e) == 0) return "extent of length 0";
        if (e->block < end) return "extents out of order";
        end = ext4_extent_end(e);
        if (end > 1ull << 32) return "extent beyond the largest file";
        if (!ext4_run_is_valid(v, ext4_extent_start(e), ext4_extent_length(e))) return "extent outside the volume";
    }
    return NULL;
}

static const char *index_problem(const struct ext4 *v, const struct ext4_level *l) {
    if (l->header->entries == 0) return "empty index";
    for (uint32_t i = 0; i < l->header->entries; i++) {
        const struct ext4_extent_index *x = &ext4_indices(l)[i];
        if (i > 0 && x->block <= x[-1].block) return "index out of order";
        if (!ext4_run_is_valid(v, ext4_index_leaf(x), 1)) return "index outside the volume";
    }
    return NULL;
}

static int check_node(struct ext4_node *node, const struct ext4_level *l, bool is_leaf) {
    struct ext4 *v = ext4_of(&node->inode);
    const char *what = is_leaf ? leaf_problem(v, l) : index_problem(v, l);
    if (what == NULL && l->buffer != NULL) {
        if (v->checksums && *ext4_extent_tail(l->header) != ext4_extent_checksum(node, l->header)) what = "checksum";
        else ext4_set_verified(l->buffer);
    }
    if (what == NULL) return 0;
    return ext4_damaged(v, "inode %llu: extent tree: %s", (unsigned long long)node->inode.number, what);
}

// The last entry whose block is <= the one wanted, -1 if there is none. All entries begin with their block.
static int32_t search(const struct ext4_level *l, uint32_t block) {
    const struct ext4_extent *entries = ext4_extents(l);
    int32_t low = 0, high = l->header->entries;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (entries[middle].block <= block) low = middle + 1;
        else high = middle;
    }
    return low - 1;
}

static int enter_child(struct ext4_node *node, struct ext4_path *path, uint32_t depth) {
    struct ext4 *v = ext4_of(&node->inode);
    struct ext4_level *parent = &path->levels[depth - 1], *l = &path->levels[depth];
    uint64_t child = ext4_index_leaf(&ext4_indices(parent)[parent->index]);
    if (!ext4_run_is_valid(v, child, 1))
        return ext4_damaged(v, "inode %llu: extent index outside the volume", (unsigned long long)node->inode.number);
    int error = buffer_read(v->buffers, child, &l->buffer);
    if (error != 0) return error;
    l->header = (struct ext4_extent_header *)l->buffer->data;
    error = !header_is_good(l->header, node_entries(v), path->depth - depth)
                ? ext4_damaged(v, "inode %llu: extent node at block %llu", (unsigned long long)node->inode.number,
                               (unsigned long long)child)
                : 0;
    if (error == 0 && !ext4_test_state(l->buffer, BUFFER_VERIFIED)) error = check_node(node, l, depth == path->depth);
    if (error != 0) buffer_put(l->buffer);
    return error;
}

int ext4_path_find(struct ext4_node *node, uint32_t block, struct ext4_path *path) {
    struct ext4_level *l = &path->levels[0];
    l->buffer = NULL;
    l->header = (struct ext4_extent_header *)ext4_raw(node)->block;
    path->depth = l->header->depth;
    if (path->depth > EXT4_EXTENT_DEPTH || !header_is_good(l->header, ROOT_ENTRIES, path->depth))
        return ext4_damaged(ext4_of(&node->inode), "inode %llu: root of the extent tree", (unsigned long long)node->inode.number);
    int error = check_node(node, l, path->depth == 0);
    for (uint32_t depth = 0; error == 0; depth++, l++) {
        l->index = search(l, block);
        if (depth == path->depth) return 0;
        if (l->index < 0) l->index = 0;
        error = enter_child(node, path, depth + 1);
        if (error == 0) continue;
        path->depth = depth;
        ext4_path_put(path);
    }
    return error;
}

void ext4_path_put(struct ext4_path *path) {
    for (uint32_t i = 1; i <= path->depth; i++) buffer_put(path->levels[i].buffer);
}

uint64_t ext4_path_next(const struct ext4_path *path) {
    for (uint32_t depth = path->depth + 1; depth-- > 0;) {
        const struct ext4_level *l = &path->levels[depth];
        if (l->index + 1 < l->header->entries) return ext4_extents(l)[l->index + 1].block;
    }
    return 1ull << 32;
}

static int map_from_path(struct ext4_node *node, struct ext4_path *path, uint32_t block, uint32_t count, struct ext4_map *out) {
    const struct ext4_level *l = ext4_leaf(path);
    const struct ext4_extent *e = l->index >= 0 ? &ext4_extents(l)[l->index] : NULL;
    *out = (struct ext4_map){.block = block};
    uint64_t end;
    if (e != NULL && block < ext4_extent_end(e)) {
        end = ext4_extent_end(e);
        out->start = ext4_extent_start(e) + (block - e->block);
        out->unwritten = ext4_extent_unwritten(e);
    } else {
        end = ext4_path_next(path);
    }
    if (end <= block)
        return ext4_damaged(ext4_of(&node->inode), "inode %llu: extents out of order", (unsigned long long)node->inode.number);
    out->count = (uint32_t)MIN(end - block, count);
    if (out->start != 0 && !ext4_run_is_valid(ext4_of(&node->inode), out->start, out->count))
        return ext4_damaged(ext4_of(&node->inode), "inode %llu: extent outside the volume", (unsigned long long)node->inode.number);
    return 0;
}

int ext4_extent_map(struct ext4_node *node, uint32_t block, uint32_t count, struct ext4_map *out) {
    struct ext4_path path;
    int error = ext4_path_find(node, block, &path);
    if (error != 0) return error;
    error = map_from_path(node, &path, block, count, out);
    ext4_path_put(&path);
    return error;
}

void ext4_extent_init(struct ext4_raw_inode *raw) {
    struct ext4_extent_header *h = (struct ext4_extent_header *)raw->block;
    *h = (struct ext4_extent_header){.magic = EXT4_EXTENT_MAGIC, .max = ROOT_ENTRIES};
    raw->flags |= EXT4_INODE_EXTENTS;
}
