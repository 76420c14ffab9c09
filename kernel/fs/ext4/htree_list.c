// Listing in the order of hashes: what stays while others come and go keeps its place. A cookie is a place in that order:
//
//     63      62 .. 32           31 .. 8              7 .. 0
//     0   hash.major >> 1   hash.minor >> 8   number among names with equal hashes
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/htree.h"
#include "kernel/mm/slub.h"

#define EQUAL_MASK 0xffull

static uint64_t place(struct ext4_hash hash) { return (uint64_t)(hash.major >> 1) << 32 | (hash.minor & ~(uint32_t)EQUAL_MASK); }
static uint32_t hash_at(uint64_t cookie) { return (uint32_t)(cookie >> 32) << 1; }

// *last is the place of the entry before. False: no more wanted.
static int list_leaf(struct ext4_node *dir, const struct buffer *b, unsigned version, uint64_t cookie, uint64_t *last, fs_emit *emit,
                     void *context) {
    struct ext4_sorted *entries;
    int count = ext4_htree_sort(dir, b, version, &entries);
    bool more = true;
    if (count < 0) return count;
    for (int i = 0; i < count && more; i++) {
        uint64_t here = place(entries[i].hash);
        if (*last != UINT64_MAX && here == (*last & ~EQUAL_MASK)) here = MIN(*last + 1, here | EQUAL_MASK);
        *last = here;
        const struct ext4_dirent *e = ext4_dirent_at(b, entries[i].offset);
        if (here >= cookie) more = emit(context, e->name, e->name_length, e->inode, ext4_dirent_mode(e->type), here + 1);
    }
    kfree(entries);
    return more;
}

static int list_single(struct ext4_node *dir, uint64_t cookie, fs_emit *emit, void *context) {
    struct ext4 *v = ext4_of(&dir->inode);
    struct buffer *b;
    uint64_t last = UINT64_MAX;
    int error = ext4_directory_block(dir, 0, false, &b);
    if (error != 0) return error;
    int more = list_leaf(dir, b, ext4_hash_version(v, v->super->hash_version), cookie, &last, emit, context);
    buffer_put(b);
    return MIN(more, 0);
}

int ext4_htree_list(struct ext4_node *dir, uint64_t cookie, fs_emit *emit, void *context) {
    struct ext4_htree tree;
    uint64_t last = UINT64_MAX;
    uint32_t begins;
    if (!ext4_is_indexed(dir)) return list_single(dir, cookie, emit, context);
    int error = ext4_htree_open(dir, &tree);
    if (error == 0) error = ext4_htree_walk(dir, hash_at(cookie), &tree);
    if (error != 0) return error;
    do {
        struct buffer *b;
        error = ext4_directory_block(dir, ext4_htree_child(&tree.levels[tree.depth]), false, &b);
        if (error != 0) break;
        int more = list_leaf(dir, b, tree.version, cookie, &last, emit, context);
        buffer_put(b);
        error = more < 0 ? more : more == 0 ? -ENOENT : ext4_htree_next(dir, &tree, &begins);
    } while (error == 0);
    ext4_htree_put(&tree);
    return error == -ENOENT ? 0 : error;
}
