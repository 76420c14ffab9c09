// Changes of attributes and sizes, and what makes them durable.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"

#define LINUX_KEEP_SIZE 1u
#define LINUX_PUNCH_HOLE 2u
#define LINUX_ZERO_RANGE 16u
#define LINUX_SEEK_DATA 3u
#define LINUX_SEEK_HOLE 4u

static int shown(int64_t error) { return error == -ENOSYS ? -EOPNOTSUPP : (int)error; }

static int set(struct inode *inode, struct fuse_setattr_in *in) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_attr_out out;
    struct fuse_question q = {
        .opcode = FUSE_SETATTR, .node = node, .in = in, .in_bytes = sizeof *in,
        .out = &out, .out_least = sizeof out, .out_most = sizeof out};
    int error = fuse_check_node(node);
    if (error == 0 && in->valid & FATTR_SIZE && fuse_handle_any(node, true, &q.handle) == 0) in->valid |= FATTR_FH;
    in->fh = fuse_handle_number(q.handle);
    int64_t result = error == 0 ? fuse_ask(fuse_of(inode->fs), &q) : error;
    fuse_handle_put(q.handle);
    return result < 0 ? shown(result) : fuse_take_attr(node, &out.attr, out.attr_valid, out.attr_valid_nsec);
}

// A driver may do the one after the other, and a new owner takes away set-id bits where its file system is Linux's: so the owner
// comes before the mode.
static int change_owner(struct inode *inode, const struct inode_change *c) {
    struct fuse_setattr_in in = {.uid = c->uid, .gid = c->gid};
    if (c->what & FS_SET_UID) in.valid |= FATTR_UID;
    if (c->what & FS_SET_GID) in.valid |= FATTR_GID;
    return in.valid != 0 ? set(inode, &in) : 0;
}

int fuse_change(struct inode *inode, const struct inode_change *c) {
    struct fuse_setattr_in in = {0};
    int error = change_owner(inode, c);
    if (error != 0 || (c->what & ~(unsigned)(FS_SET_UID | FS_SET_GID)) == 0) return error;
    if (c->what & FS_SET_MODE) in.valid |= FATTR_MODE, in.mode = c->mode;
    in.atime = (uint64_t)c->accessed.seconds, in.atimensec = c->accessed.nanoseconds;
    in.mtime = (uint64_t)c->modified.seconds, in.mtimensec = c->modified.nanoseconds;
    if (c->what & FS_SET_ACCESSED) in.valid |= FATTR_ATIME;
    if (c->what & FS_SET_MODIFIED) in.valid |= FATTR_MTIME;
    fuse_node_of(inode)->wrote = true;  // another time is no sign of other data
    error = set(inode, &in);
    // The times that memory has kept back count no more, where they were set now.
    if (error == 0 && c->what & FS_SET_MODIFIED) inode->modified = c->modified;
    return error;
}

int fuse_resize(struct inode *inode, uint64_t size) {
    struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = size};
    fuse_note_change(fuse_node_of(inode));
    fuse_node_of(inode)->wrote = true;
    return set(inode, &in);
}

int fuse_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_fallocate_in in = {.offset = offset, .length = bytes};
    if (flags & FS_ALLOCATE_KEEP_SIZE) in.mode |= LINUX_KEEP_SIZE;
    if (flags & FS_ALLOCATE_PUNCH_HOLE) in.mode |= LINUX_PUNCH_HOLE;
    if (flags & FS_ALLOCATE_ZERO_RANGE) in.mode |= LINUX_ZERO_RANGE;
    struct fuse_question q = {.opcode = FUSE_FALLOCATE, .node = node, .in = &in, .in_bytes = sizeof in};
    int error = fuse_check_node(node);
    if (error == 0) error = fuse_handle_any(node, true, &q.handle);
    in.fh = fuse_handle_number(q.handle);
    if (error == 0) error = shown(fuse_ask(fuse_of(inode->fs), &q));
    fuse_handle_put(q.handle);
    fuse_note_change(node);
    node->wrote = true;
    fuse_expire(inode);
    return error;
}

int64_t fuse_seek(struct inode *inode, uint64_t offset, bool data) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_lseek_in in = {.offset = offset, .whence = data ? LINUX_SEEK_DATA : LINUX_SEEK_HOLE};
    struct fuse_lseek_out out;
    struct fuse_question q = {
        .opcode = FUSE_LSEEK, .node = node, .in = &in, .in_bytes = sizeof in, .out = &out, .out_least = sizeof out, .out_most = sizeof out};
    if (fuse_is_missing(fuse_of_node(node), FUSE_LSEEK)) return -EOPNOTSUPP;
    int error = fuse_check_node(node);
    if (error == 0) error = file_cache_sync(&inode->cache, 0, UINT64_MAX);
    if (error == 0) error = fuse_handle_any(node, false, &q.handle);
    in.fh = fuse_handle_number(q.handle);
    int64_t result = error == 0 ? fuse_ask(fuse_of_node(node), &q) : error;
    fuse_handle_put(q.handle);
    if (result < 0) return shown(result);
    uint64_t size = inode->cache.size;
    return out.offset < offset || out.offset > size ? -EIO : (int64_t)out.offset;
}

// What is to be synced must be open at the driver: of a directory, nothing may be.
static int sync_handle(struct fuse_node *node, struct fuse_handle **opened) {
    if (FS_TYPE(node->inode.mode) != FS_DIRECTORY) return fuse_handle_any(node, false, opened);
    int error = fuse_open_directory(node, opened);
    return error == -ENOSYS ? 0 : error;
}

int fuse_sync(struct inode *inode, bool data_only) {
    struct fuse_node *node = fuse_node_of(inode);
    bool directory = FS_TYPE(inode->mode) == FS_DIRECTORY;
    struct fuse_fsync_in in = {.fsync_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0};
    struct fuse_question q = {
        .opcode = directory ? FUSE_FSYNCDIR : FUSE_FSYNC, .node = node, .in = &in, .in_bytes = sizeof in};
    int error = fuse_check_node(node);
    if (error == 0 && fuse_is_missing(fuse_of(inode->fs), q.opcode)) return 0;
    if (error == 0) error = sync_handle(node, &q.handle);
    if (error == -EBADF) return 0;  // nobody has it open: nothing of it is kept back
    in.fh = fuse_handle_number(q.handle);
    int64_t result = error == 0 ? fuse_ask(fuse_of(inode->fs), &q) : error;
    fuse_handle_put(q.handle);
    return result == -ENOSYS ? 0 : (int)result;
}
