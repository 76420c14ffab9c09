// Names: create, link, unlink, rename. Each is one transaction.
#include "kernel/fs/ext4/namei.h"

#include "abi/gen/errors.h"
#include "kernel/core/random.h"
#include "lib/string.h"

// ---- links: a directory with more than can be counted says 1 ------------------------------------------------------------------

int ext4_can_link(const struct ext4 *v, const struct inode *inode) {
    bool directory = FS_TYPE(inode->mode) == FS_DIRECTORY;
    if (inode->links < EXT4_LINKS_MAX || (directory && v->super->ro_compat & EXT4_RO_DIR_NLINK)) return 0;
    return -EMLINK;
}
void ext4_add_link(struct inode *inode) {
    if (FS_TYPE(inode->mode) != FS_DIRECTORY) inode->links++;
    else if (inode->links != 1) inode->links = inode->links >= EXT4_LINKS_MAX - 1 ? 1 : inode->links + 1;
}
void ext4_drop_link(struct inode *inode) {
    if (inode->links > (FS_TYPE(inode->mode) == FS_DIRECTORY ? 2u : 0u)) inode->links--;
}

void ext4_touch(struct inode *inode, struct fs_time now) { inode->modified = inode->changed = now; }

// The last name went: the inode waits on the orphan list for its last user.
static int orphan(struct ext4_tx *tx, struct inode *inode) {
    inode->links = 0;
    int error = ext4_orphan_add(tx, ext4_node(inode));
    if (error == 0) inode_mark_deleted(inode);
    return error;
}

// ---- create -------------------------------------------------------------------------------------------------------------------

static void encode_device(struct ext4_raw_inode *raw, uint64_t device) {
    uint32_t major = (uint32_t)(device >> 32), minor = (uint32_t)device;
    if (major < 256 && minor < 256) raw->block[0] = major << 8 | minor;
    else raw->block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
}

static void fill_raw(const struct ext4 *v, const struct ext4_node *dir, struct ext4_node *node, const struct inode_new *init) {
    struct ext4_raw_inode *raw = ext4_raw(node);
    uint32_t type = FS_TYPE(init->mode);
    memset(raw, 0, v->inode_size);
    if (v->inode_size > EXT4_INODE_SMALL) {
        uint32_t want = MAX(v->super->want_extra_isize, (uint32_t)sizeof *raw - EXT4_INODE_SMALL);
        raw->extra_isize = (uint16_t)(MIN(want, v->inode_size - EXT4_INODE_SMALL) & ~3u);
        if (raw->extra_isize >= 32 && ext4_raw(dir)->flags & EXT4_INODE_PROJECT) raw->project = ext4_raw(dir)->project;
    }
    raw->mode = (uint16_t)init->mode;
    raw->generation = node->inode.generation;
    raw->flags = ext4_raw(dir)->flags & EXT4_INODE_INHERITED;
    if (type == FS_CHAR || type == FS_BLOCK) encode_device(raw, init->device);
    if ((type == FS_REGULAR || type == FS_DIRECTORY) && v->super->incompat & EXT4_INCOMPAT_EXTENTS) ext4_extent_init(raw);
}

static int make_directory(struct ext4_tx *tx, struct ext4_node *node, const struct ext4_node *parent) {
    struct buffer *b;
    uint32_t block;
    uint8_t type = tx->volume->super->incompat & EXT4_INCOMPAT_FILETYPE ? ext4_dirent_type(FS_DIRECTORY) : 0;
    int error = ext4_directory_append(tx, node, &block, &b);
    if (error != 0) return error;
    ext4_directory_init_block(node, b);
    ext4_dirent_write(ext4_dirent_at(b, 0), 12, (struct ext4_name){".", 1}, (uint32_t)node->inode.number, type);
    ext4_dirent_write(ext4_dirent_at(b, 12), ext4_dirent_area(node) - 12, (struct ext4_name){"..", 2},
                      (uint32_t)parent->inode.number, type);
    ext4_directory_seal(tx, node, b);
    buffer_put(b);
    node->inode.links = 2;
    return 0;
}

// The inode itself: number, place in the table, attributes. *out is held on success.
static int make_inode(struct ext4_tx *tx, struct ext4_node *dir, const struct inode_new *init, struct inode **out) {
    struct ext4 *v = tx->volume;
    bool directory = FS_TYPE(init->mode) == FS_DIRECTORY;
    uint32_t number;
    struct inode *inode;
    int error = ext4_allocate_inode(tx, dir, directory, &number);
    if (error != 0) return error;
    error = inode_enter(&v->fs, number, &inode);
    if (error == 0) {
        struct ext4_node *node = ext4_node(inode);
        inode->mode = init->mode;
        inode->links = 1;
        inode->uid = init->uid, inode->gid = init->gid;
        inode->device = init->device;
        inode->generation = (uint32_t)random_u64();
        inode->accessed = inode->modified = inode->changed = inode->born = fs_now();
        error = ext4_bind_inode(node);
        if (error == 0) error = ext4_inode_access(tx, node);
        if (error == 0) {
            ext4_set_seed(node);
            fill_raw(v, dir, node, init);
            ext4_set_ops(inode);
            *out = inode;
            return 0;
        }
        __atomic_fetch_or(&inode->flags, INODE_BAD, __ATOMIC_RELEASE);
        inode_put(inode);
    }
    int undone = ext4_free_inode(tx, number, directory);
    return undone != 0 ? undone : error;
}

static int create_in(struct ext4_tx *tx, struct ext4_node *dir, struct ext4_name name, const struct inode_new *init,
                     struct inode *inode) {
    struct ext4_node *node = ext4_node(inode);
    bool directory = FS_TYPE(init->mode) == FS_DIRECTORY;
    int error = ext4_inode_access(tx, dir);  // behind the entry nothing may fail
    if (error == 0 && directory) error = make_directory(tx, node, dir);
    else if (error == 0 && FS_TYPE(init->mode) == FS_SYMLINK) error = ext4_make_link(tx, node, init->target, init->target_bytes);
    if (error == 0) error = ext4_add_entry(tx, dir, name, (uint32_t)inode->number, init->mode);
    if (error != 0) return error;
    if (directory) ext4_add_link(&dir->inode);
    ext4_touch(&dir->inode, inode->born);
    error = ext4_write_inode(tx, dir);
    return error != 0 ? error : ext4_write_inode(tx, node);
}

static int create_once(struct ext4 *v, struct ext4_node *dir, struct ext4_name name, const struct inode_new *init, struct inode **out) {
    struct ext4_tx tx;
    struct inode *inode = NULL;
    int error = ext4_begin(v, EXT4_NAME_CREDITS, &tx);
    if (error != 0) return error;
    error = make_inode(&tx, dir, init, &inode);
    if (error == 0) {
        error = create_in(&tx, dir, name, init, inode);
        if (error != 0) {  // no name leads to it: it goes as a deleted one does
            int undone = orphan(&tx, inode);
            if (undone == 0) undone = ext4_write_inode(&tx, ext4_node(inode));
            if (undone != 0) error = undone;
        }
    }
    ext4_end(&tx);
    if (error == 0) *out = inode;
    else if (inode != NULL) inode_put(inode);
    return error;
}

// Blocks freed lately come back with a commit: what finds no room is tried once more after one.
bool ext4_try_again(struct ext4 *v, int error, int tries) {
    return error == -ENOSPC && tries == 0 && v->journal != NULL && v->freed != NULL && ext4_commit(v) == 0;
}

int ext4_create(struct inode *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct ext4 *v = ext4_of(dir);
    if (ext4_read_only(v)) return -EROFS;
    int error = FS_TYPE(init->mode) == FS_DIRECTORY ? ext4_can_link(v, dir) : 0;
    for (int tries = 0; error == 0; tries++) {
        error = create_once(v, ext4_node(dir), (struct ext4_name){name, (uint32_t)bytes}, init, out);
        if (!ext4_try_again(v, error, tries)) break;
        error = 0;
    }
    return error;
}

// ---- link, unlink -------------------------------------------------------------------------------------------------------------

int ext4_link(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    struct ext4 *v = ext4_of(dir);
    struct ext4_tx tx;
    int error = ext4_can_link(v, inode);
    for (int tries = 0; error == 0; tries++) {
        error = ext4_begin(v, EXT4_NAME_CREDITS, &tx);
        if (error != 0) break;
        error = ext4_inode_access(&tx, ext4_node(inode));
        if (error == 0) error = ext4_inode_access(&tx, ext4_node(dir));
        if (error == 0)
            error = ext4_add_entry(&tx, ext4_node(dir), (struct ext4_name){name, (uint32_t)bytes}, (uint32_t)inode->number,
                                   inode->mode);
        if (error == 0) {
            struct fs_time now = fs_now();
            if (inode->links == 0) error = ext4_orphan_remove(&tx, ext4_node(inode));
            ext4_add_link(inode);
            inode->changed = now;
            ext4_touch(dir, now);
            if (error == 0) error = ext4_write_inode(&tx, ext4_node(dir));
            if (error == 0) error = ext4_write_inode(&tx, ext4_node(inode));
            ext4_end(&tx);
            break;
        }
        ext4_end(&tx);
        if (!ext4_try_again(v, error, tries)) break;
        error = 0;
    }
    return error;
}

// The inode loses a name, at `now`.
int ext4_lose_name(struct ext4_tx *tx, struct inode *dir, struct inode *inode, struct fs_time now) {
    bool directory = FS_TYPE(inode->mode) == FS_DIRECTORY;
    int error = 0;
    inode->changed = now;
    if (directory) ext4_drop_link(dir);
    else ext4_drop_link(inode);
    if (directory || inode->links == 0) error = orphan(tx, inode);
    return error != 0 ? error : ext4_write_inode(tx, ext4_node(inode));
}

int ext4_find_named(struct inode *dir, struct ext4_name name, const struct inode *inode, struct ext4_slot *out) {
    int error = ext4_find_entry(ext4_node(dir), name, out);
    if (error != 0) return error;
    if (ext4_dirent_at(out->buffer, out->offset)->inode == inode->number) return 0;
    buffer_put(out->buffer);
    return ext4_damaged(ext4_of(dir), "directory %llu: an entry names another inode than it did", (unsigned long long)dir->number);
}

int ext4_unlink(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    struct ext4_slot slot;
    struct ext4_tx tx;
    int error = FS_TYPE(inode->mode) == FS_DIRECTORY ? ext4_directory_is_empty(ext4_node(inode)) : 0;
    if (error == 0) error = ext4_begin(ext4_of(dir), EXT4_NAME_CREDITS, &tx);
    if (error != 0) return error;
    error = ext4_inode_access(&tx, ext4_node(inode));
    if (error == 0) error = ext4_inode_access(&tx, ext4_node(dir));
    if (error == 0) error = ext4_access(&tx, tx.volume->super_buffer);  // the head of the orphans
    if (error == 0) error = ext4_find_named(dir, (struct ext4_name){name, (uint32_t)bytes}, inode, &slot);
    if (error == 0) {
        error = ext4_remove_entry(&tx, ext4_node(dir), &slot);
        buffer_put(slot.buffer);
    }
    if (error == 0) {
        struct fs_time now = fs_now();
        ext4_touch(dir, now);
        error = ext4_lose_name(&tx, dir, inode, now);
        if (error == 0) error = ext4_write_inode(&tx, ext4_node(dir));
    }
    ext4_end(&tx);
    return error;
}
