// Extended attributes: first in the inode, behind its fields; what finds no room there in one block, which inodes with the same
// attributes may share. Such a block is never changed while it is shared.
#include "kernel/fs/ext4/xattr.h"

#include "abi/gen/errors.h"
#include "kernel/mm/slub.h"
#include "lib/crc32c.h"
#include "lib/string.h"

#define BLOCK_FIRST ((uint32_t)sizeof(struct ext4_xattr_header))

static uint64_t block_of(const struct ext4_node *node) {
    const struct ext4_raw_inode *raw = ext4_raw(node);
    return raw->xattr_block_lo | (uint64_t)raw->xattr_block_hi << 32;
}
static void set_block(struct ext4_node *node, uint64_t block) {
    struct ext4_raw_inode *raw = ext4_raw(node);
    raw->xattr_block_lo = (uint32_t)block;
    raw->xattr_block_hi = (uint16_t)(block >> 32);
}

static uint32_t checksum(const struct ext4 *v, uint64_t block, const struct ext4_xattr_header *h) {
    size_t at = offsetof(struct ext4_xattr_header, checksum);
    uint32_t zero = 0, crc = crc32c(crc32c(crc32c(v->seed, &block, 8), h, at), &zero, 4);
    return crc32c(crc, (const uint8_t *)h + at + 4, v->block_size - at - 4);
}

static int damaged(struct ext4_node *node, const char *what) {
    return ext4_damaged(ext4_of(&node->inode), "inode %llu: attributes: %s", (unsigned long long)node->inode.number, what);
}

// The room behind the inode's fields: its size, 0 if there is none. It begins with a magic number if it is in use.
static uint32_t inode_room(const struct ext4_node *node, uint8_t **out) {
    const struct ext4 *v = ext4_of(&node->inode);
    if (v->inode_size == EXT4_INODE_SMALL || ext4_raw(node)->extra_isize == 0) return 0;
    uint32_t used = EXT4_INODE_SMALL + ext4_raw(node)->extra_isize;
    *out = node->table->data + node->table_offset + used;
    return v->inode_size >= used + 8 + sizeof(struct ext4_xattr_entry) ? v->inode_size - used : 0;
}

static struct ext4_xattr_area inode_area(uint8_t *room, uint32_t bytes) {
    return (struct ext4_xattr_area){room + 4, 0, bytes - 4, false};
}
static struct ext4_xattr_area block_area(const struct ext4 *v, uint8_t *data) {
    return (struct ext4_xattr_area){data, BLOCK_FIRST, v->block_size, true};
}

// The attributes in the inode: -ENODATA if it has none.
static int open_inode_area(struct ext4_node *node, struct ext4_xattr_area *out) {
    uint8_t *room;
    uint32_t bytes = inode_room(node, &room);
    if (bytes == 0 || *(const uint32_t *)room != EXT4_XATTR_MAGIC) return -ENODATA;
    *out = inode_area(room, bytes);
    return ext4_xattr_check(out) == 0 ? 0 : damaged(node, "entry in the inode");
}

// Those in the block: -ENODATA if there is none. The buffer is held on success.
static int open_block(struct ext4_node *node, struct buffer **out, struct ext4_xattr_area *area) {
    struct ext4 *v = ext4_of(&node->inode);
    uint64_t block = block_of(node);
    if (block == 0) return -ENODATA;
    if (!ext4_run_is_valid(v, block, 1)) return damaged(node, "block outside");
    int error = buffer_read(v->buffers, block, out);
    if (error != 0) return error;
    const struct ext4_xattr_header *h = (const struct ext4_xattr_header *)(*out)->data;
    const char *what = NULL;
    *area = block_area(v, (*out)->data);
    if (h->magic != EXT4_XATTR_MAGIC || h->blocks != 1 || h->references == 0) what = "header";
    else if (v->checksums && !ext4_test_state(*out, BUFFER_VERIFIED) && h->checksum != checksum(v, block, h)) what = "checksum";
    else if (ext4_xattr_check(area) != 0) what = "entry";
    if (what == NULL) {
        ext4_set_verified(*out);
        return 0;
    }
    buffer_put(*out);
    return damaged(node, what);
}

// ---- reading ------------------------------------------------------------------------------------------------------------------

static int64_t get_from(const struct ext4_xattr_area *a, const struct ext4_xattr_name *name, void *value, size_t size) {
    uint32_t at = ext4_xattr_find(a, name);
    if (at == UINT32_MAX) return -ENODATA;
    const struct ext4_xattr_entry *e = ext4_xattr_at(a, at);
    if (size == 0) return e->value_size;
    if (size < e->value_size) return -ERANGE;
    memcpy(value, a->base + e->value_offset, e->value_size);
    return e->value_size;
}

int64_t ext4_xattr_get(struct inode *inode, const char *text, void *value, size_t size) {
    struct ext4_node *node = ext4_node(inode);
    struct ext4_xattr_area area;
    struct ext4_xattr_name name;
    struct buffer *b;
    int error = ext4_xattr_parse(text, &name);
    if (error != 0) return error;
    error = open_inode_area(node, &area);
    int64_t result = error == 0 ? get_from(&area, &name, value, size) : error;
    if (result != -ENODATA) return result;
    error = open_block(node, &b, &area);
    if (error != 0) return error;
    result = get_from(&area, &name, value, size);
    buffer_put(b);
    return result;
}

// Adds the names to the list at `used`, as far as it has room. Returns where it ends.
static size_t list_area(const struct ext4_xattr_area *a, char *list, size_t size, size_t used) {
    uint32_t at = a->first;
    while (at + 4 <= a->end && *(const uint32_t *)(a->base + at) != 0) {
        const struct ext4_xattr_entry *e = ext4_xattr_at(a, at);
        size_t bytes = ext4_xattr_print(e->name_index, e->name, e->name_length, NULL);
        if (bytes != 0 && used + bytes + 1 <= size) {
            ext4_xattr_print(e->name_index, e->name, e->name_length, list + used);
            list[used + bytes] = 0;
        }
        if (bytes != 0) used += bytes + 1;
        at += ext4_xattr_entry_bytes(e->name_length);
    }
    return used;
}

int64_t ext4_xattr_list(struct inode *inode, char *list, size_t size) {
    struct ext4_node *node = ext4_node(inode);
    struct ext4_xattr_area area;
    struct buffer *b;
    size_t used = 0;
    int error = open_inode_area(node, &area);
    if (error == 0) used = list_area(&area, list, size, used);
    else if (error != -ENODATA) return error;
    error = open_block(node, &b, &area);
    if (error == 0) {
        used = list_area(&area, list, size, used);
        buffer_put(b);
    } else if (error != -ENODATA) {
        return error;
    }
    return size != 0 && used > size ? -ERANGE : (int64_t)used;
}

// ---- writing: on copies, which then take the place of what was ----------------------------------------------------------------

static int drop_reference(struct ext4_tx *tx, struct ext4_node *node, struct buffer *b) {
    struct ext4_xattr_header *h = (struct ext4_xattr_header *)b->data;
    int error = 0;
    if (h->references > 1) {
        error = ext4_access(tx, b);
        if (error != 0) return error;
        h->references--;
        if (tx->volume->checksums) h->checksum = checksum(tx->volume, b->block, h);
        ext4_dirty(tx, b);
    } else {
        error = ext4_free_blocks(tx, b->block, 1, true);
    }
    if (error != 0) return error;
    set_block(node, 0);
    ext4_add_blocks(node, -1);
    return 0;
}

int ext4_xattr_release(struct ext4_tx *tx, struct ext4_node *node) {
    struct ext4_xattr_area area;
    struct buffer *b;
    mutex_lock(&tx->volume->xattr_lock);
    int error = open_block(node, &b, &area);
    if (error == 0) {
        error = ext4_inode_access(tx, node);
        if (error == 0) error = drop_reference(tx, node, b);
        buffer_put(b);
    }
    mutex_unlock(&tx->volume->xattr_lock);
    return error == -ENODATA ? 0 : error;
}

static int new_block(struct ext4_tx *tx, struct ext4_node *node, struct buffer **out) {
    uint64_t block;
    int error = ext4_allocate_block(tx, ext4_goal(node, 0), false, &block);
    if (error != 0) return error;
    error = ext4_new_block(tx, block, out);
    if (error != 0) {
        int undone = ext4_free_blocks(tx, block, 1, true);
        return undone != 0 ? undone : error;
    }
    ext4_add_blocks(node, 1);
    return 0;
}

// The block becomes what the copy says: in place if it is this inode's alone, else in a new one. old: held, or NULL.
static int store_block(struct ext4_tx *tx, struct ext4_node *node, struct buffer *old, struct ext4_xattr_area *copy) {
    struct ext4_xattr_header *h = (struct ext4_xattr_header *)copy->base;
    if (ext4_xattr_is_empty(copy)) return old != NULL ? drop_reference(tx, node, old) : 0;
    bool alone = old != NULL && ((const struct ext4_xattr_header *)old->data)->references == 1;
    struct buffer *b = old;
    int error = alone ? ext4_access(tx, old) : new_block(tx, node, &b);
    if (error != 0) return error;
    *h = (struct ext4_xattr_header){.magic = EXT4_XATTR_MAGIC, .references = 1, .blocks = 1, .hash = ext4_xattr_block_hash(copy)};
    if (tx->volume->checksums) h->checksum = checksum(tx->volume, b->block, h);
    memcpy(b->data, copy->base, tx->volume->block_size);
    ext4_set_verified(b);
    ext4_dirty(tx, b);
    uint64_t block = b->block;
    if (!alone) {
        if (old != NULL) error = drop_reference(tx, node, old);
        set_block(node, block);
        buffer_put(b);
    }
    return error;
}

// Takes the attribute out of both copies, and puts the new value where it fits. 0, -ENODATA, -EEXIST, -ENOSPC.
static int edit(struct ext4_xattr_area *inode, struct ext4_xattr_area *block, const struct ext4_xattr_name *name, const void *value,
                size_t size, unsigned flags, bool *block_changed) {
    bool found = false;
    for (int i = 0; i < 2; i++) {
        struct ext4_xattr_area *a = i == 0 ? inode : block;
        uint32_t at = a->base != NULL ? ext4_xattr_find(a, name) : UINT32_MAX;
        if (at == UINT32_MAX) continue;
        found = true;
        ext4_xattr_cut(a, at);
        if (a == block) *block_changed = true;
    }
    if (found && flags & FS_XATTR_CREATE) return -EEXIST;
    if (!found && (flags & FS_XATTR_REPLACE || value == NULL)) return -ENODATA;
    if (value == NULL) return 0;
    if (size > 65535) return -ENOSPC;
    if (inode->base != NULL && ext4_xattr_put(inode, name, value, (uint32_t)size)) return 0;
    *block_changed = true;
    return ext4_xattr_put(block, name, value, (uint32_t)size) ? 0 : -ENOSPC;
}

// copy: one block for the block's attributes, then room for the inode's.
static int change_in(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_xattr_name *name, const void *value, size_t size,
                     unsigned flags, uint8_t *copy) {
    struct ext4 *v = tx->volume;
    struct ext4_xattr_area inode = {0}, block;
    struct buffer *old = NULL;
    uint8_t *room = NULL;
    uint32_t bytes = inode_room(node, &room);
    bool block_changed = false;
    int error = open_inode_area(node, &inode);
    if (error != 0 && error != -ENODATA) return error;
    if (bytes != 0) {
        if (error == 0) memcpy(copy + v->block_size, room, bytes);
        *(uint32_t *)(copy + v->block_size) = EXT4_XATTR_MAGIC;
        inode = inode_area(copy + v->block_size, bytes);
    }
    error = open_block(node, &old, &block);
    if (error == 0) memcpy(copy, old->data, v->block_size);
    else if (error != -ENODATA) return error;
    block = block_area(v, copy);
    error = edit(&inode, &block, name, value, size, flags, &block_changed);
    if (error == 0) error = ext4_inode_access(tx, node);
    if (error == 0 && block_changed) error = store_block(tx, node, old, &block);
    if (error == 0) {
        if (bytes != 0) memcpy(room, copy + v->block_size, bytes);
        node->inode.changed = fs_now();
        error = ext4_write_inode(tx, node);
    }
    if (old != NULL) buffer_put(old);
    return error;
}

static int change(struct inode *inode, const char *text, const void *value, size_t size, unsigned flags) {
    struct ext4 *v = ext4_of(inode);
    struct ext4_xattr_name name;
    struct ext4_tx tx;
    int error = ext4_xattr_parse(text, &name);
    if (error != 0) return error;
    uint8_t *copy = kzalloc(v->block_size + v->inode_size);
    if (copy == NULL) return -ENOMEM;
    error = ext4_begin(v, 12, &tx);
    if (error == 0) {
        mutex_lock(&v->xattr_lock);
        error = change_in(&tx, ext4_node(inode), &name, value, size, flags, copy);
        mutex_unlock(&v->xattr_lock);
        ext4_end(&tx);
    }
    kfree(copy);
    return error;
}

int ext4_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags) {
    return change(inode, name, size != 0 ? value : "", size, flags);
}
int ext4_xattr_remove(struct inode *inode, const char *name) { return change(inode, name, NULL, 0, 0); }
