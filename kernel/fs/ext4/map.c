// Which block of a file lies where: the two ways in which ext4 keeps that, behind one face.
#include "kernel/fs/ext4/ext4.h"

int ext4_map(struct ext4_node *node, uint32_t block, uint32_t count, struct ext4_map *out) {
    return ext4_has_extents(node) ? ext4_extent_map(node, block, count, out) : ext4_indirect_map(node, block, count, out);
}

int ext4_map_insert(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_map *map) {
    return ext4_has_extents(node) ? ext4_extent_insert(tx, node, map) : ext4_indirect_insert(tx, node, map);
}

int ext4_map_remove(struct ext4_tx *tx, struct ext4_node *node, uint32_t from, uint64_t to, bool *done) {
    return ext4_has_extents(node) ? ext4_extent_remove(tx, node, from, to, done)
                                  : ext4_indirect_remove(tx, node, from, to, done);
}

// Indirect maps know no unwritten blocks: nothing to convert.
int ext4_map_convert(struct ext4_tx *tx, struct ext4_node *node, uint32_t block, uint32_t count, bool unwritten) {
    return ext4_has_extents(node) ? ext4_extent_convert(tx, node, block, count, unwritten) : 0;
}

int ext4_map_next(struct ext4_node *node, uint64_t block, uint64_t *out) {
    while (block <= UINT32_MAX) {
        struct ext4_map map;
        int error = ext4_map(node, (uint32_t)block, UINT32_MAX, &map);
        if (error != 0) return error;
        if (map.start != 0) {
            *out = block;
            return 0;
        }
        block += map.count;
    }
    *out = UINT64_MAX;
    return 0;
}

// The four extents of an inode that has no blocks of extents always fit into one transaction.
bool ext4_removed_at_once(const struct ext4_node *node) {
    return ext4_has_extents(node) && ((const struct ext4_extent_header *)ext4_raw(node)->block)->depth == 0;
}
