#include "kernel/fs/ext4/htree.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "lib/crc32c.h"

bool ext4_is_indexed(const struct ext4_node *dir) {
    return ext4_raw(dir)->flags & EXT4_INODE_INDEX && ext4_of(&dir->inode)->super->compat & EXT4_COMPAT_DIR_INDEX;
}

unsigned ext4_hash_version(const struct ext4 *v, unsigned version) {
    return version < EXT4_HASH_UNSIGNED && v->super->flags & EXT4_FLAG_UNSIGNED_HASH ? version + EXT4_HASH_UNSIGNED : version;
}

static int damaged(struct ext4_node *dir, const char *what) {
    return ext4_damaged(ext4_of(&dir->inode), "directory %llu: index: %s", (unsigned long long)dir->inode.number, what);
}

// ---- checksums: of the entries in use, and the tail after the last possible one -----------------------------------------------

static uint32_t checksum(const struct ext4_node *dir, const struct buffer *b, uint32_t offset, struct ext4_htree_tail **tail) {
    const struct ext4_htree_entry *entries = (const struct ext4_htree_entry *)(b->data + offset);
    uint32_t zero = 0;
    *tail = (struct ext4_htree_tail *)(b->data + offset + entries->limit * sizeof *entries);
    uint32_t crc = crc32c(dir->seed, b->data, offset + entries->count * sizeof *entries);
    return crc32c(crc32c(crc, *tail, 4), &zero, 4);
}

void ext4_htree_seal(struct ext4_tx *tx, struct ext4_node *dir, struct buffer *b, uint32_t offset) {
    struct ext4_htree_tail *tail;
    if (tx->volume->checksums) {
        uint32_t crc = checksum(dir, b, offset, &tail);
        tail->checksum = crc;
    }
    ext4_set_verified(b);
    ext4_dirty(tx, b);
}

int ext4_htree_check_sum(struct ext4_node *dir, struct buffer *b, uint32_t offset) {
    struct ext4_htree_tail *tail;
    if (ext4_test_state(b, BUFFER_VERIFIED)) return 0;
    if (ext4_of(&dir->inode)->checksums) {
        uint32_t crc = checksum(dir, b, offset, &tail);
        if (tail->checksum != crc) return damaged(dir, "checksum");
    }
    ext4_set_verified(b);
    return 0;
}

// ---- the way down -------------------------------------------------------------------------------------------------------------

static uint32_t limit_at(const struct ext4 *v, uint32_t offset) {
    return (v->block_size - offset - (v->checksums ? (uint32_t)sizeof(struct ext4_htree_tail) : 0)) / sizeof(struct ext4_htree_entry);
}

// Enters a block of the index whose entries begin at `offset`.
static int enter(struct ext4_node *dir, struct ext4_htree_level *l, uint32_t offset) {
    l->entries = (struct ext4_htree_entry *)(l->buffer->data + offset);
    l->count = l->entries->count;
    l->index = 0;
    if (l->entries->limit != limit_at(ext4_of(&dir->inode), offset) || l->count == 0 || l->count > l->entries->limit)
        return damaged(dir, "count");
    return ext4_htree_check_sum(dir, l->buffer, offset);
}

int ext4_htree_open(struct ext4_node *dir, struct ext4_htree *tree) {
    struct ext4 *v = ext4_of(&dir->inode);
    struct ext4_htree_level *l = &tree->levels[0];
    int error = ext4_directory_block(dir, 0, true, &l->buffer);
    if (error != 0) return error;
    const struct ext4_htree_root *root = (const struct ext4_htree_root *)(l->buffer->data + EXT4_HTREE_ROOT_OFFSET);
    uint32_t levels = v->super->incompat & EXT4_INCOMPAT_LARGE_DIR ? 3 : 2;
    tree->depth = root->levels;
    tree->version = ext4_hash_version(v, root->hash_version);
    if (root->zero != 0 || root->info_length != sizeof *root || root->levels >= levels || root->flags & 1) error = damaged(dir, "root");
    else if (root->hash_version > EXT4_HASH_TEA) error = damaged(dir, "hash version");
    else error = enter(dir, l, EXT4_HTREE_ROOT_OFFSET + sizeof *root);
    if (error != 0) buffer_put(l->buffer);
    return error;
}

static void search(struct ext4_htree_level *l, uint32_t hash) {
    uint32_t low = 1, high = l->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (l->entries[middle].hash > hash) high = middle;
        else low = middle + 1;
    }
    l->index = low - 1;
}

static int descend(struct ext4_node *dir, struct ext4_htree *tree, uint32_t depth) {
    struct ext4_htree_level *l = &tree->levels[depth];
    int error = ext4_directory_block(dir, ext4_htree_child(l - 1), true, &l->buffer);
    if (error != 0) return error;
    const struct ext4_dirent *fake = ext4_dirent_at(l->buffer, 0);
    if (fake->inode != 0 || fake->length != ext4_of(&dir->inode)->block_size) error = damaged(dir, "node");
    else error = enter(dir, l, EXT4_DIRENT_HEADER);
    if (error != 0) buffer_put(l->buffer);
    return error;
}

static void put_levels(struct ext4_htree *tree, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) buffer_put(tree->levels[i].buffer);
}
void ext4_htree_put(struct ext4_htree *tree) { put_levels(tree, tree->depth + 1); }

int ext4_htree_walk(struct ext4_node *dir, uint32_t hash, struct ext4_htree *tree) {
    search(&tree->levels[0], hash);
    for (uint32_t depth = 1; depth <= tree->depth; depth++) {
        int error = descend(dir, tree, depth);
        if (error != 0) {
            put_levels(tree, depth);
            return error;
        }
        search(&tree->levels[depth], hash);
    }
    return 0;
}

int ext4_htree_next(struct ext4_node *dir, struct ext4_htree *tree, uint32_t *hash) {
    uint32_t depth = tree->depth;
    while (tree->levels[depth].index + 1 >= tree->levels[depth].count)
        if (depth-- == 0) return -ENOENT;
    struct ext4_htree_level *l = &tree->levels[depth];
    l->index++;
    *hash = l->entries[l->index].hash;
    while (depth++ < tree->depth) {
        struct buffer *old = tree->levels[depth].buffer;
        int error = descend(dir, tree, depth);
        if (error != 0) {
            tree->levels[depth].buffer = old;
            return error;
        }
        buffer_put(old);
    }
    return 0;
}

int ext4_htree_find(struct ext4_node *dir, struct ext4_name name, struct ext4_slot *out) {
    struct ext4_htree tree;
    struct ext4_hash hash;
    int error = ext4_htree_open(dir, &tree);
    if (error != 0) return error;
    error = ext4_hash(ext4_of(&dir->inode), tree.version, name, &hash);
    if (error != 0) {
        buffer_put(tree.levels[0].buffer);
        return error;
    }
    error = ext4_htree_walk(dir, hash.major, &tree);
    if (error != 0) return error;
    uint32_t begins = 0;
    do {
        struct buffer *b;
        out->block = ext4_htree_child(&tree.levels[tree.depth]);
        error = ext4_directory_block(dir, out->block, false, &b);
        if (error != 0) break;
        if (ext4_dirent_find(dir, b, name, out)) {
            ext4_htree_put(&tree);
            return 0;
        }
        buffer_put(b);
        error = ext4_htree_next(dir, &tree, &begins);
    } while (error == 0 && begins == (hash.major | 1));
    ext4_htree_put(&tree);
    return error == 0 ? -ENOENT : error;
}

// ---- entries in the order of hashes -------------------------------------------------------------------------------------------

static bool comes_before(const struct ext4_sorted *a, const struct ext4_sorted *b) {
    return a->hash.major != b->hash.major ? a->hash.major < b->hash.major : a->hash.minor < b->hash.minor;
}

// Shell's sort: short, without recursion, and good enough for the few hundred entries of a block.
static void sort(struct ext4_sorted *entries, uint32_t count) {
    for (uint32_t gap = 121; gap != 0; gap /= 3)
        for (uint32_t i = gap; i < count; i++) {
            struct ext4_sorted moved = entries[i];
            uint32_t at = i;
            for (; at >= gap && comes_before(&moved, &entries[at - gap]); at -= gap) entries[at] = entries[at - gap];
            entries[at] = moved;
        }
}

int ext4_htree_sort(struct ext4_node *dir, const struct buffer *b, unsigned version, struct ext4_sorted **out) {
    uint32_t area = ext4_dirent_area(dir), count = 0;
    struct ext4_sorted *entries = kmalloc(area / 12 * sizeof *entries);
    if (entries == NULL) return -ENOMEM;
    for (uint32_t offset = 0; area - offset >= 12;) {
        const struct ext4_dirent *e = ext4_dirent_at(b, offset);
        if (e->length < 12 || e->length > area - offset || e->length % 4 != 0 || ext4_dirent_bytes(e->name_length) > e->length) break;
        bool dots = e->name_length <= 2 && e->name[0] == '.' && (e->name_length == 1 || e->name[1] == '.');
        if (e->inode != 0 && e->name_length != 0 && !dots) {
            struct ext4_sorted *s = &entries[count++];
            s->offset = offset;
            if (ext4_hash(ext4_of(&dir->inode), version, (struct ext4_name){e->name, e->name_length}, &s->hash) != 0) {
                kfree(entries);
                return damaged(dir, "hash version");
            }
        }
        offset += e->length;
    }
    sort(entries, count);
    *out = entries;
    return (int)count;
}
