// Inside the index of a directory: the way from the root, block 0, to the leaf that holds the names of a hash.
//
//     root {0: leaf a, h1: leaf b, h2 | 1: leaf c}      names with hash < h1 in a, < h2 in b, else in c;
//                                                       the odd h2: some names of hash h2 are in b, before those in c
#pragma once
#include "kernel/fs/ext4/ext4.h"

#define EXT4_HTREE_LEVELS 3u

struct ext4_htree_level {
    struct buffer *buffer;  // held
    struct ext4_htree_entry *entries;
    uint32_t count, index;
};
struct ext4_htree {
    struct ext4_htree_level levels[EXT4_HTREE_LEVELS];
    uint32_t depth;         // levels[depth] points to leaves
    unsigned version;       // of the hash
};

static inline uint32_t ext4_htree_child(const struct ext4_htree_level *l) { return l->entries[l->index].block & 0x0fffffff; }
unsigned ext4_hash_version(const struct ext4 *volume, unsigned version);  // with the volume's kind of characters
// The index as far as the leaf for this hash. On success ext4_htree_put gives the buffers back. -EIO, -ENOMEM.
[[nodiscard]] int ext4_htree_open(struct ext4_node *dir, struct ext4_htree *tree);  // the root only
[[nodiscard]] int ext4_htree_walk(struct ext4_node *dir, uint32_t hash, struct ext4_htree *tree);
void ext4_htree_put(struct ext4_htree *tree);
// To the next leaf; *hash is where it begins. 0, -ENOENT: there is none.
[[nodiscard]] int ext4_htree_next(struct ext4_node *dir, struct ext4_htree *tree, uint32_t *hash);

struct ext4_sorted {        // an entry of a leaf
    struct ext4_hash hash;
    uint32_t offset;
};
// The entries of a block by hash, without "." and "..": their number, or -ENOMEM. *out is kmalloc'ed.
[[nodiscard]] int ext4_htree_sort(struct ext4_node *dir, const struct buffer *b, unsigned version, struct ext4_sorted **out);
