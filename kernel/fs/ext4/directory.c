// Directories: find, add and remove an entry, and list; with an htree or without one.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/ext4.h"

static uint32_t block_count(const struct ext4_node *dir) {
    return (uint32_t)(dir->inode.size >> ext4_of(&dir->inode)->block_bits);
}

int ext4_find_entry(struct ext4_node *dir, struct ext4_name name, struct ext4_slot *out) {
    if (ext4_is_indexed(dir)) return ext4_htree_find(dir, name, out);
    for (uint32_t block = 0; block < block_count(dir); block++) {
        struct buffer *b;
        int error = ext4_directory_block(dir, block, false, &b);
        if (error != 0) return error;
        out->block = block;
        if (ext4_dirent_find(dir, b, name, out)) return 0;
        buffer_put(b);
    }
    return -ENOENT;
}

int ext4_lookup(struct inode *inode, const char *text, size_t bytes, uint64_t *number) {
    struct ext4_node *dir = ext4_node(inode);
    struct ext4_slot slot;
    int error = ext4_find_entry(dir, (struct ext4_name){text, (uint32_t)bytes}, &slot);
    if (error != 0) return error;
    uint32_t found = ext4_dirent_at(slot.buffer, slot.offset)->inode;
    buffer_put(slot.buffer);
    if (!ext4_inode_is_valid(ext4_of(inode), found))
        return ext4_damaged(ext4_of(inode), "directory %llu: entry for inode %u", (unsigned long long)inode->number, found);
    *number = found;
    return 0;
}

static bool is_dots(const struct ext4_dirent *e) {
    return e->name[0] == '.' && (e->name_length == 1 || (e->name_length == 2 && e->name[1] == '.'));
}

// A cookie is the place of an entry in the directory, in bytes. Records may have been joined since: the block is walked from
// its start.
static bool list_block(const struct ext4_node *dir, const struct buffer *b, uint64_t base, uint64_t cookie, fs_emit *emit,
                       void *context) {
    uint32_t area = ext4_dirent_area(dir);
    for (uint32_t offset = 0; area - offset >= 12;) {
        const struct ext4_dirent *e = ext4_dirent_at(b, offset);
        if (e->length < 12 || e->length > area - offset || ext4_dirent_bytes(e->name_length) > e->length) break;
        uint64_t next = base + offset + e->length;
        if (base + offset >= cookie && e->inode != 0 && e->name_length != 0 && !is_dots(e) &&
            !emit(context, e->name, e->name_length, e->inode, ext4_dirent_mode(e->type), next))
            return false;
        offset += e->length;
    }
    return true;
}

int ext4_read_directory(struct inode *inode, uint64_t cookie, fs_emit *emit, void *context) {
    struct ext4_node *dir = ext4_node(inode);
    struct ext4 *v = ext4_of(inode);
    // In the order of hashes also while there is one block: it may become an htree before the reader comes back.
    if (v->super->compat & EXT4_COMPAT_DIR_INDEX && (ext4_is_indexed(dir) || block_count(dir) == 1))
        return ext4_htree_list(dir, cookie, emit, context);
    for (uint64_t block = cookie >> v->block_bits; block < block_count(dir); block++) {
        struct buffer *b;
        int error = ext4_directory_block(dir, (uint32_t)block, false, &b);
        if (error != 0) return error;
        bool more = list_block(dir, b, block << v->block_bits, cookie, emit, context);
        buffer_put(b);
        if (!more) break;
    }
    return 0;
}

static bool found_one(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next_cookie) {
    *(bool *)context = true;
    return false;
}

int ext4_directory_is_empty(struct ext4_node *dir) {
    bool found = false;
    int error = ext4_read_directory(&dir->inode, 0, found_one, &found);
    return error != 0 ? error : found ? -ENOTEMPTY : 0;
}

// ---- changes ------------------------------------------------------------------------------------------------------------------

int ext4_directory_append(struct ext4_tx *tx, struct ext4_node *dir, uint32_t *block, struct buffer **out) {
    struct ext4 *v = tx->volume;
    struct ext4_map map = {.block = block_count(dir), .count = 1};
    if (map.block >= UINT32_MAX >> 4) return -ENOSPC;  // indices have 28 bits
    int error = ext4_inode_access(tx, dir);
    if (error == 0) error = ext4_allocate_block(tx, ext4_goal(dir, map.block), false, &map.start);
    if (error != 0) return error;
    error = ext4_new_block(tx, map.start, out);
    if (error == 0) {
        error = ext4_map_insert(tx, dir, &map);
        if (error != 0) buffer_put(*out);
    }
    if (error != 0) {
        int undone = ext4_free_blocks(tx, map.start, 1, true);
        return undone != 0 ? undone : error;
    }
    dir->goal = map.start + 1;
    dir->inode.size += v->block_size;
    ext4_add_blocks(dir, 1);
    *block = map.block;
    return 0;
}

// Room in one block of a directory without index, the one used last first.
static int add_linear(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, uint32_t inode, uint8_t type) {
    uint32_t blocks = block_count(dir), start = dir->insert_block < blocks ? dir->insert_block : 0;
    for (uint32_t i = 0; i < blocks; i++) {
        struct buffer *b;
        uint32_t block = (start + i) % blocks;
        int error = ext4_directory_block(dir, block, false, &b);
        if (error != 0) return error;
        uint32_t offset = ext4_dirent_room(dir, b, ext4_dirent_bytes(name.bytes));
        if (offset != UINT32_MAX) {
            error = ext4_access(tx, b);
            if (error == 0) {
                ext4_dirent_put(b, offset, name, inode, type);
                ext4_directory_seal(tx, dir, b);
                dir->insert_block = block;
            }
        }
        buffer_put(b);
        if (offset != UINT32_MAX || error != 0) return error;
    }
    return -ENOSPC;
}

static int add_block(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, uint32_t inode, uint8_t type) {
    struct buffer *b;
    int error = ext4_directory_append(tx, dir, &dir->insert_block, &b);
    if (error != 0) return error;
    ext4_directory_init_block(dir, b);
    ext4_dirent_put(b, 0, name, inode, type);
    ext4_directory_seal(tx, dir, b);
    buffer_put(b);
    return 0;
}

int ext4_add_entry(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, uint32_t inode, uint32_t mode) {
    struct ext4 *v = tx->volume;
    uint8_t type = v->super->incompat & EXT4_INCOMPAT_FILETYPE ? ext4_dirent_type(mode) : 0;
    if (ext4_is_indexed(dir)) return ext4_htree_add(tx, dir, name, inode, type);
    int error = add_linear(tx, dir, name, inode, type);
    if (error != -ENOSPC) return error;
    if (block_count(dir) == 1 && v->super->compat & EXT4_COMPAT_DIR_INDEX) {
        error = ext4_htree_make(tx, dir);
        return error != 0 ? error : ext4_htree_add(tx, dir, name, inode, type);
    }
    return add_block(tx, dir, name, inode, type);
}

int ext4_remove_entry(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_slot *slot) {
    int error = ext4_access(tx, slot->buffer);
    if (error != 0) return error;
    struct ext4_dirent *e = ext4_dirent_at(slot->buffer, slot->offset);
    if (slot->previous != slot->offset) ext4_dirent_at(slot->buffer, slot->previous)->length += e->length;
    e->inode = 0;
    dir->insert_block = slot->block;
    ext4_directory_seal(tx, dir, slot->buffer);
    return 0;
}
