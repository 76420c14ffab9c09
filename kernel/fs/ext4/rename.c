// Renaming, in one transaction: entries change in place where a name exists already, so that it never leads nowhere.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/namei.h"

struct move {
    struct inode *from_dir, *to_dir, *inode, *replaced;
    struct ext4_name from, to;
};

// The entry leads to another inode from now on.
static int point_to(struct ext4_tx *tx, struct inode *dir, struct ext4_slot *slot, const struct inode *inode) {
    int error = ext4_access(tx, slot->buffer);
    if (error != 0) return error;
    struct ext4_dirent *e = ext4_dirent_at(slot->buffer, slot->offset);
    e->inode = (uint32_t)inode->number;
    if (tx->volume->super->incompat & EXT4_INCOMPAT_FILETYPE) e->type = ext4_dirent_type(inode->mode);
    ext4_directory_seal(tx, ext4_node(dir), slot->buffer);
    return 0;
}

// A directory moved: its ".." leads to the new parent.
static int set_parent(struct ext4_tx *tx, struct inode *dir, const struct inode *parent) {
    struct ext4_node *node = ext4_node(dir);
    struct buffer *b;
    bool indexed = ext4_is_indexed(node);
    int error = ext4_directory_block(node, 0, indexed, &b);
    if (error != 0) return error;
    struct ext4_dirent *e = ext4_dirent_at(b, 12);
    if (ext4_dirent_at(b, 0)->length != 12 || e->name_length != 2 || e->name[0] != '.' || e->name[1] != '.')
        error = ext4_damaged(tx->volume, "directory %llu: no entry for its parent", (unsigned long long)dir->number);
    if (error == 0) error = ext4_access(tx, b);
    if (error == 0) {
        e->inode = (uint32_t)parent->number;
        if (indexed) ext4_htree_seal(tx, node, b, EXT4_HTREE_ROOT_OFFSET + sizeof(struct ext4_htree_root));
        else ext4_directory_seal(tx, node, b);
    }
    buffer_put(b);
    return error;
}

static bool is_directory(const struct inode *inode) { return FS_TYPE(inode->mode) == FS_DIRECTORY; }

static int write_all(struct ext4_tx *tx, const struct move *m) {
    int error = ext4_write_inode(tx, ext4_node(m->from_dir));
    if (error == 0 && m->to_dir != m->from_dir) error = ext4_write_inode(tx, ext4_node(m->to_dir));
    return error != 0 ? error : ext4_write_inode(tx, ext4_node(m->inode));
}

// Write access to what is changed last, so that nothing is left half done for want of memory.
static int access_all(struct ext4_tx *tx, const struct move *m) {
    int error = ext4_inode_access(tx, ext4_node(m->from_dir));
    if (error == 0) error = ext4_inode_access(tx, ext4_node(m->to_dir));
    if (error == 0) error = ext4_inode_access(tx, ext4_node(m->inode));
    return error == 0 && m->replaced != NULL ? ext4_inode_access(tx, ext4_node(m->replaced)) : error;
}

static int move_name(struct ext4_tx *tx, const struct move *m) {
    struct ext4_slot slot;
    struct fs_time now = fs_now();
    int error = access_all(tx, m);
    if (error != 0) return error;
    if (m->replaced != NULL) {
        error = ext4_find_named(m->to_dir, m->to, m->replaced, &slot);
        if (error != 0) return error;
        error = point_to(tx, m->to_dir, &slot, m->inode);
        buffer_put(slot.buffer);
    } else {
        error = ext4_add_entry(tx, ext4_node(m->to_dir), m->to, (uint32_t)m->inode->number, m->inode->mode);
    }
    if (error != 0) return error;
    error = ext4_find_named(m->from_dir, m->from, m->inode, &slot);
    if (error == 0) {
        error = ext4_remove_entry(tx, ext4_node(m->from_dir), &slot);
        buffer_put(slot.buffer);
    }
    if (error == 0 && is_directory(m->inode) && m->to_dir != m->from_dir) {
        error = set_parent(tx, m->inode, m->to_dir);
        ext4_drop_link(m->from_dir);
        ext4_add_link(m->to_dir);
    }
    if (error == 0 && m->replaced != NULL) error = ext4_lose_name(tx, m->to_dir, m->replaced, now);
    ext4_touch(m->from_dir, now);
    ext4_touch(m->to_dir, now);
    m->inode->changed = now;
    if (error == 0) error = write_all(tx, m);
    // Both names, or none, lead to it now: only a damaged volume or a device that fails comes here.
    return error != 0 ? ext4_damaged(tx->volume, "rename of inode %llu: error %d", (unsigned long long)m->inode->number, error) : 0;
}

static int exchange_names(struct ext4_tx *tx, const struct move *m) {
    struct ext4_slot from, to;
    struct fs_time now = fs_now();
    int error = access_all(tx, m);
    if (error == 0) error = ext4_find_named(m->from_dir, m->from, m->inode, &from);
    if (error != 0) return error;
    error = ext4_find_named(m->to_dir, m->to, m->replaced, &to);
    if (error == 0) {
        error = ext4_access(tx, to.buffer);
        if (error == 0) error = point_to(tx, m->from_dir, &from, m->replaced);
        if (error == 0) error = point_to(tx, m->to_dir, &to, m->inode);
        buffer_put(to.buffer);
    }
    buffer_put(from.buffer);
    if (error != 0) return error;
    if (m->from_dir != m->to_dir && is_directory(m->inode)) {
        error = set_parent(tx, m->inode, m->to_dir);
        ext4_drop_link(m->from_dir), ext4_add_link(m->to_dir);
    }
    if (m->from_dir != m->to_dir && is_directory(m->replaced) && error == 0) {
        error = set_parent(tx, m->replaced, m->from_dir);
        ext4_drop_link(m->to_dir), ext4_add_link(m->from_dir);
    }
    ext4_touch(m->from_dir, now), ext4_touch(m->to_dir, now);
    m->inode->changed = m->replaced->changed = now;
    if (error == 0) error = write_all(tx, m);
    if (error == 0) error = ext4_write_inode(tx, ext4_node(m->replaced));
    return error != 0 ? ext4_damaged(tx->volume, "exchange of inode %llu: error %d", (unsigned long long)m->inode->number, error) : 0;
}

int ext4_rename(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags) {
    struct ext4 *v = ext4_of(inode);
    struct move m = {from_dir, to_dir, inode, replaced, {from_name, (uint32_t)from_bytes}, {to_name, (uint32_t)to_bytes}};
    bool exchange = flags & FS_RENAME_EXCHANGE;
    int error = 0;
    if (exchange && replaced == NULL) return -ENOENT;
    if (is_directory(inode) && from_dir != to_dir) error = ext4_can_link(v, to_dir);
    if (exchange && is_directory(replaced) && from_dir != to_dir && error == 0) error = ext4_can_link(v, from_dir);
    if (!exchange && replaced != NULL && is_directory(replaced) && error == 0) error = ext4_directory_is_empty(ext4_node(replaced));
    for (int tries = 0; error == 0; tries++) {
        struct ext4_tx tx;
        error = ext4_begin(v, EXT4_NAME_CREDITS, &tx);
        if (error != 0) break;
        error = exchange ? exchange_names(&tx, &m) : move_name(&tx, &m);
        ext4_end(&tx);
        if (!ext4_try_again(v, error, tries)) break;
        error = 0;
    }
    return error;
}
