// Inodes without a name that are still open, and files in the middle of a truncation: a list through the inodes' deletion time,
// from the super block on. Volumes with the feature orphan_file may hold more of them in that file; KPIO reads it at the mount
// and itself uses the list.
#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/crc32c.h"
#include "lib/string.h"

// The list in memory also has the spin lock: a node that leaves memory (of a volume that became read-only) must not block.
static void remember(struct ext4 *v, struct ext4_node *node) {
    spin_lock(&v->counters);
    list_push_front(&v->orphans, &node->orphan);
    spin_unlock(&v->counters);
}

void ext4_orphan_forget(struct ext4_node *node) {
    struct ext4 *v = ext4_of(&node->inode);
    spin_lock(&v->counters);
    if (list_node_is_linked(&node->orphan)) list_remove(&node->orphan);
    spin_unlock(&v->counters);
}

void ext4_orphan_leave(struct ext4_node *node) {
    struct ext4 *v = ext4_of(&node->inode);
    mutex_lock(&v->orphan_lock);
    ext4_orphan_forget(node);
    mutex_unlock(&v->orphan_lock);
}

int ext4_orphan_add(struct ext4_tx *tx, struct ext4_node *node) {
    struct ext4 *v = tx->volume;
    mutex_lock(&v->orphan_lock);
    int error = list_node_is_linked(&node->orphan) ? -EALREADY : ext4_access(tx, v->super_buffer);
    if (error == 0) error = ext4_inode_access(tx, node);
    if (error == 0) {
        ext4_raw(node)->deleted = v->super->last_orphan;
        v->super->last_orphan = (uint32_t)node->inode.number;
        remember(v, node);
        ext4_seal_super(v);
        ext4_dirty(tx, v->super_buffer);
        ext4_seal_inode(tx, node);
    }
    mutex_unlock(&v->orphan_lock);
    return error == -EALREADY ? 0 : error;
}

int ext4_orphan_remove(struct ext4_tx *tx, struct ext4_node *node) {
    struct ext4 *v = tx->volume;
    mutex_lock(&v->orphan_lock);
    if (!list_node_is_linked(&node->orphan)) {
        mutex_unlock(&v->orphan_lock);
        return 0;
    }
    struct list_node *newer = list_prev(&v->orphans, &node->orphan);
    struct ext4_node *before = newer != NULL ? list_entry(newer, struct ext4_node, orphan) : NULL;
    int error = ext4_inode_access(tx, node);
    if (error == 0) error = before != NULL ? ext4_inode_access(tx, before) : ext4_access(tx, v->super_buffer);
    if (error == 0) {
        uint32_t next = ext4_raw(node)->deleted;
        if (before != NULL) {
            ext4_raw(before)->deleted = next;
            ext4_seal_inode(tx, before);
        } else {
            v->super->last_orphan = next;
            ext4_seal_super(v);
            ext4_dirty(tx, v->super_buffer);
        }
        ext4_raw(node)->deleted = 0;
        ext4_seal_inode(tx, node);
        ext4_orphan_forget(node);
    }
    mutex_unlock(&v->orphan_lock);
    return error;
}

// ---- after a crash ------------------------------------------------------------------------------------------------------------

// Frees it if it has no name, else cuts it to its size. *next: what stood behind it in the list.
static int clear_one(struct ext4 *v, uint32_t number, bool in_list, uint32_t *next) {
    struct inode *inode;
    if (!ext4_inode_is_valid(v, number)) return ext4_damaged(v, "orphan inode %u", number);
    int error = inode_get(&v->fs, number, &inode);
    if (error == -ESTALE && !in_list) return 0;  // freed, and the crash came before the orphan file was written
    if (error != 0) return error == -ESTALE || error == -ENOENT ? ext4_damaged(v, "orphan inode %u is free", number) : error;
    struct ext4_node *node = ext4_node(inode);
    *next = ext4_raw(node)->deleted;
    if (in_list) remember(v, node);
    if (inode->links == 0) {
        inode_mark_deleted(inode);
        inode_put(inode);
        return ext4_read_only(v) ? -EIO : 0;
    }
    struct ext4_tx tx;
    error = FS_TYPE(inode->mode) == FS_REGULAR ? ext4_begin(v, EXT4_REMOVE_CREDITS + 4, &tx) : -EIO;
    if (error == 0) {
        uint64_t from = (node->disk_size + v->block_size - 1) >> v->block_bits;
        error = ext4_truncate(&tx, node, (uint32_t)MIN(from, UINT32_MAX), 1ull << 32);
        if (error == 0 && in_list) error = ext4_orphan_remove(&tx, node);
        if (tx.volume != NULL) ext4_end(&tx);
    } else {
        error = ext4_damaged(v, "orphan inode %u is no file", number);
    }
    inode_put(inode);
    return error;
}

int ext4_clear_orphans(struct ext4 *v) {
    uint32_t number = v->super->last_orphan, count = 0;
    v->clearing_orphans = true;
    int error = 0;
    while (error == 0 && number != 0) {
        uint32_t next = 0;
        if (count++ > v->inodes) error = ext4_damaged(v, "the list of orphans is a ring");
        else error = clear_one(v, number, true, &next);
        // The list on the disk is shorter by one now: what is freed next stands at its head again.
        if (error == 0 && v->super->last_orphan == number) error = ext4_damaged(v, "orphan inode %u stays", number);
        number = next;
    }
    v->clearing_orphans = false;
    if (count != 0) log_info("ext4 on %s: %u orphans cleared", v->fs.device->name, count);
    return error;
}

static int clear_block(struct ext4 *v, struct ext4_node *file, uint32_t block, uint32_t *count) {
    struct ext4_map map;
    struct buffer *b;
    int error = ext4_map(file, block, 1, &map);
    if (error != 0) return error;
    if (map.start == 0 || map.unwritten) return ext4_damaged(v, "orphan file: hole");
    error = buffer_read(v->buffers, map.start, &b);
    if (error != 0) return error;
    struct ext4_orphan_tail *tail = (struct ext4_orphan_tail *)(b->data + v->block_size - sizeof *tail);
    uint32_t *numbers = (uint32_t *)b->data, entries = (v->block_size - (uint32_t)sizeof *tail) / 4;
    uint32_t crc = crc32c(crc32c(file->seed, &map.start, 8), numbers, entries * 4);
    if (tail->magic != EXT4_ORPHAN_MAGIC || (v->checksums && tail->checksum != crc))
        error = ext4_damaged(v, "orphan file: block %u", block);
    bool changed = false;
    for (uint32_t i = 0, next; i < entries && error == 0; i++) {
        if (numbers[i] == 0) continue;
        error = clear_one(v, numbers[i], false, &next);
        numbers[i] = 0;
        changed = true;
        ++*count;
    }
    if (changed && error == 0) {
        tail->checksum = crc32c(crc32c(file->seed, &map.start, 8), numbers, entries * 4);
        struct ext4_tx tx;
        error = ext4_begin(v, 1, &tx);
        if (error == 0) {
            error = ext4_access(&tx, b);
            if (error == 0) ext4_dirty(&tx, b);
            ext4_end(&tx);
        }
    }
    buffer_put(b);
    return error;
}

int ext4_clear_orphan_file(struct ext4 *v) {
    struct inode *file;
    uint32_t count = 0;
    if (!(v->super->compat & EXT4_COMPAT_ORPHAN_FILE) || !(v->super->ro_compat & EXT4_RO_ORPHAN_PRESENT)) return 0;
    int error = ext4_open_private(v, v->super->orphan_file_inode, &file);
    if (error != 0) return error;
    v->clearing_orphans = true;
    uint64_t blocks = MIN(inode_size(file) >> v->block_bits, 65536ul);
    for (uint32_t block = 0; block < blocks && error == 0; block++) error = clear_block(v, ext4_node(file), block, &count);
    v->clearing_orphans = false;
    ext4_close_private(file);
    if (count != 0) log_info("ext4 on %s: %u orphans of the orphan file cleared", v->fs.device->name, count);
    return error;
}
