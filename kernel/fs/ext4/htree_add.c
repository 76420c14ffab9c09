// Growing an htree: a full leaf is split by hash, a full index node in the middle, and a full root goes one level down.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/htree.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define ROOT_ENTRIES_OFFSET (EXT4_HTREE_ROOT_OFFSET + (uint32_t)sizeof(struct ext4_htree_root))

static uint32_t entries_offset(uint32_t depth) { return depth == 0 ? ROOT_ENTRIES_OFFSET : EXT4_DIRENT_HEADER; }
static bool is_full(const struct ext4_htree_level *l) { return l->count >= l->entries->limit; }

static void insert_child(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree_level *l, uint32_t depth, uint32_t hash,
                         uint32_t block) {
    uint32_t at = l->index + 1;
    memmove(&l->entries[at + 1], &l->entries[at], (l->count - at) * sizeof *l->entries);
    l->entries[at] = (struct ext4_htree_entry){.hash = hash, .block = block};
    l->entries->count = (uint16_t)++l->count;
    ext4_htree_seal(tx, dir, l->buffer, entries_offset(depth));
}

// ---- leaves -------------------------------------------------------------------------------------------------------------------

// Copies these entries into an empty block, tightly; the last one gets the rest.
static void fill_leaf(struct ext4_node *dir, struct buffer *to, const uint8_t *from, const struct ext4_sorted *entries, uint32_t count) {
    uint32_t at = 0, area = ext4_dirent_area(dir);
    ext4_directory_init_block(dir, to);
    for (uint32_t i = 0; i < count; i++) {
        const struct ext4_dirent *e = (const struct ext4_dirent *)(from + entries[i].offset);
        uint32_t length = ext4_dirent_bytes(e->name_length);
        memcpy(to->data + at, e, length);
        ext4_dirent_at(to, at)->length = (uint16_t)(i + 1 == count ? area - at : length);
        at += length;
    }
}

// The number of entries that stay: as many from the front as fill half of what is used.
static uint32_t half(const uint8_t *data, const struct ext4_sorted *entries, uint32_t count) {
    uint32_t total = 0, front = 0, stay = 0;
    for (uint32_t i = 0; i < count; i++)
        total += ext4_dirent_bytes(((const struct ext4_dirent *)(data + entries[i].offset))->name_length);
    for (; stay + 1 < count && front < total / 2; stay++)
        front += ext4_dirent_bytes(((const struct ext4_dirent *)(data + entries[stay].offset))->name_length);
    return MAX(stay, 1u);
}

static int split_sorted(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree *tree, struct buffer *leaf, uint8_t *copy,
                        const struct ext4_sorted *entries, uint32_t count) {
    struct ext4_htree_level *parent = &tree->levels[tree->depth];
    struct buffer *right;
    uint32_t block, stay = half(copy, entries, count);
    int error = ext4_access(tx, leaf);
    if (error == 0) error = ext4_access(tx, parent->buffer);
    if (error == 0) error = ext4_directory_append(tx, dir, &block, &right);
    if (error != 0) return error;
    memcpy(copy, leaf->data, tx->volume->block_size);
    fill_leaf(dir, right, copy, entries + stay, count - stay);
    fill_leaf(dir, leaf, copy, entries, stay);
    ext4_directory_seal(tx, dir, right);
    ext4_directory_seal(tx, dir, leaf);
    bool continued = entries[stay].hash.major == entries[stay - 1].hash.major;
    insert_child(tx, dir, parent, tree->depth, entries[stay].hash.major | continued, block);
    buffer_put(right);
    return 0;
}

static int split_leaf(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree *tree, struct buffer *leaf) {
    struct ext4_sorted *entries;
    int count = ext4_htree_sort(dir, leaf, tree->version, &entries);
    if (count < 0) return count;
    uint8_t *copy = kmalloc(tx->volume->block_size);
    int error = copy == NULL ? -ENOMEM : 0;
    if (error == 0 && count < 2)
        error = ext4_damaged(tx->volume, "directory %llu: a full leaf without entries", (unsigned long long)dir->inode.number);
    if (error == 0) {
        memcpy(copy, leaf->data, tx->volume->block_size);
        error = split_sorted(tx, dir, tree, leaf, copy, entries, (uint32_t)count);
    }
    kfree(copy);
    kfree(entries);
    return error;
}

// ---- index blocks -------------------------------------------------------------------------------------------------------------

static int append_node(struct ext4_tx *tx, struct ext4_node *dir, uint32_t *block, struct buffer **out,
                       struct ext4_htree_entry **entries) {
    const struct ext4 *v = tx->volume;
    int error = ext4_directory_append(tx, dir, block, out);
    if (error != 0) return error;
    *ext4_dirent_at(*out, 0) = (struct ext4_dirent){.length = (uint16_t)v->block_size};
    *entries = (struct ext4_htree_entry *)((*out)->data + EXT4_DIRENT_HEADER);
    uint32_t bytes = v->block_size - EXT4_DIRENT_HEADER - (v->checksums ? (uint32_t)sizeof(struct ext4_htree_tail) : 0);
    (*entries)->limit = (uint16_t)(bytes / sizeof **entries);
    return 0;
}

// All entries of the root move into a new block below it.
static int deepen(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree *tree) {
    struct ext4_htree_level *root = &tree->levels[0];
    struct ext4_htree_entry *entries;
    struct buffer *b;
    uint32_t block, levels = tx->volume->super->incompat & EXT4_INCOMPAT_LARGE_DIR ? 3 : 2;
    if (tree->depth + 1 >= levels) return -ENOSPC;
    int error = ext4_access(tx, root->buffer);
    if (error == 0) error = append_node(tx, dir, &block, &b, &entries);
    if (error != 0) return error;
    uint16_t limit = entries->limit;
    memcpy(entries, root->entries, root->count * sizeof *entries);
    entries->limit = limit;
    root->entries->count = 1;
    root->entries[0].block = block;
    ((struct ext4_htree_root *)(root->buffer->data + EXT4_HTREE_ROOT_OFFSET))->levels++;
    ext4_htree_seal(tx, dir, b, EXT4_DIRENT_HEADER);
    ext4_htree_seal(tx, dir, root->buffer, ROOT_ENTRIES_OFFSET);
    buffer_put(b);
    return 0;
}

// A full node whose parent has room: the second half moves into a new one.
static int split_node(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree *tree, uint32_t depth) {
    struct ext4_htree_level *full = &tree->levels[depth], *parent = full - 1;
    struct ext4_htree_entry *entries;
    struct buffer *b;
    uint32_t block, stay = full->count / 2;
    int error = ext4_access(tx, full->buffer);
    if (error == 0) error = ext4_access(tx, parent->buffer);
    if (error == 0) error = append_node(tx, dir, &block, &b, &entries);
    if (error != 0) return error;
    uint16_t limit = entries->limit;
    uint32_t hash = full->entries[stay].hash;
    memcpy(entries, &full->entries[stay], (full->count - stay) * sizeof *entries);
    entries->limit = limit;
    entries->count = (uint16_t)(full->count - stay);
    full->entries->count = (uint16_t)stay;
    full->count = stay;
    ext4_htree_seal(tx, dir, b, EXT4_DIRENT_HEADER);
    ext4_htree_seal(tx, dir, full->buffer, EXT4_DIRENT_HEADER);
    insert_child(tx, dir, parent, depth - 1, hash, block);
    buffer_put(b);
    return 0;
}

// One step towards room for another leaf.
static int grow(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree *tree, struct buffer *leaf) {
    uint32_t depth = tree->depth;
    if (!is_full(&tree->levels[depth])) return split_leaf(tx, dir, tree, leaf);
    while (depth > 0 && is_full(&tree->levels[depth - 1])) depth--;
    return depth == 0 ? deepen(tx, dir, tree) : split_node(tx, dir, tree, depth);
}

// Puts the entry into the leaf where it belongs, or makes one step towards room and says -EAGAIN.
static int add_or_grow(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_htree *tree, struct ext4_name name, uint32_t inode,
                       uint8_t type) {
    struct buffer *leaf;
    int error = ext4_directory_block(dir, ext4_htree_child(&tree->levels[tree->depth]), false, &leaf);
    if (error != 0) return error;
    uint32_t offset = ext4_dirent_room(dir, leaf, ext4_dirent_bytes(name.bytes));
    if (offset != UINT32_MAX) {
        error = ext4_access(tx, leaf);
        if (error == 0) {
            ext4_dirent_put(leaf, offset, name, inode, type);
            ext4_directory_seal(tx, dir, leaf);
        }
    } else {
        error = grow(tx, dir, tree, leaf);
        if (error == 0) error = -EAGAIN;
    }
    buffer_put(leaf);
    return error;
}

int ext4_htree_add(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, uint32_t inode, uint8_t type) {
    // At most: a deeper root, split nodes, split leaves until the name fits.
    for (int steps = 0; steps < 12; steps++) {
        struct ext4_htree tree;
        struct ext4_hash hash;
        int error = ext4_htree_open(dir, &tree);
        if (error != 0) return error;
        error = ext4_hash(tx->volume, tree.version, name, &hash);
        if (error != 0) {
            buffer_put(tree.levels[0].buffer);
            return error;
        }
        error = ext4_htree_walk(dir, hash.major, &tree);
        if (error != 0) return error;
        error = add_or_grow(tx, dir, &tree, name, inode, type);
        ext4_htree_put(&tree);
        if (error != -EAGAIN) return error;
    }
    return -ENOSPC;
}

// ---- the first index ----------------------------------------------------------------------------------------------------------

static void write_root(const struct ext4 *v, struct buffer *root, uint32_t leaf) {
    ext4_dirent_at(root, 12)->length = (uint16_t)(v->block_size - 12);
    memset(root->data + EXT4_HTREE_ROOT_OFFSET, 0, v->block_size - EXT4_HTREE_ROOT_OFFSET);
    *(struct ext4_htree_root *)(root->data + EXT4_HTREE_ROOT_OFFSET) =
        (struct ext4_htree_root){.hash_version = v->super->hash_version, .info_length = sizeof(struct ext4_htree_root)};
    struct ext4_htree_entry *entries = (struct ext4_htree_entry *)(root->data + ROOT_ENTRIES_OFFSET);
    uint32_t bytes = v->block_size - ROOT_ENTRIES_OFFSET - (v->checksums ? (uint32_t)sizeof(struct ext4_htree_tail) : 0);
    entries->limit = (uint16_t)(bytes / sizeof *entries);
    entries->count = 1;
    entries->block = leaf;
}

int ext4_htree_make(struct ext4_tx *tx, struct ext4_node *dir) {
    struct ext4 *v = tx->volume;
    struct buffer *root, *leaf;
    struct ext4_sorted *entries;
    uint32_t block;
    int error = ext4_directory_block(dir, 0, false, &root);
    if (error != 0) return error;
    const struct ext4_dirent *parent = ext4_dirent_at(root, 12);
    if (ext4_dirent_at(root, 0)->length != 12 || ext4_dirent_at(root, 0)->name_length != 1 || parent->name_length != 2 ||
        v->super->hash_version > EXT4_HASH_TEA) {
        buffer_put(root);
        return ext4_damaged(v, "directory %llu: no \".\" and \"..\" at its start", (unsigned long long)dir->inode.number);
    }
    int count = ext4_htree_sort(dir, root, ext4_hash_version(v, v->super->hash_version), &entries);
    error = MIN(count, 0);
    if (error == 0) {
        error = ext4_access(tx, root);
        if (error == 0) error = ext4_inode_access(tx, dir);
        if (error == 0) error = ext4_directory_append(tx, dir, &block, &leaf);
        if (error == 0) {
            fill_leaf(dir, leaf, root->data, entries, (uint32_t)count);
            ext4_directory_seal(tx, dir, leaf);
            write_root(v, root, block);
            ext4_htree_seal(tx, dir, root, ROOT_ENTRIES_OFFSET);
            ext4_raw(dir)->flags |= EXT4_INODE_INDEX;
            buffer_put(leaf);
        }
        kfree(entries);
    }
    buffer_put(root);
    return error;
}
