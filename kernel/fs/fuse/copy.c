// From one file of the driver's to another without the data coming by here.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"

#define COPY_MOST (16u << 20)  // in one request, which has a deadline

static int64_t ask(struct fuse_node *from, struct fuse_handle *from_h, uint64_t from_offset, struct fuse_node *to,
                   const struct fuse_handle *to_h, uint64_t to_offset, uint64_t bytes) {
    const struct fuse_copy_file_range_in in = {
        .fh_in = from_h->fh, .off_in = from_offset, .nodeid_out = to->nodeid, .fh_out = to_h->fh, .off_out = to_offset, .len = bytes};
    struct fuse_write_out out;
    const struct fuse_question q = {
        .opcode = FUSE_COPY_FILE_RANGE, .node = from, .handle = from_h, .in = &in, .in_bytes = sizeof in, .out = &out,
        .out_least = sizeof out, .out_most = sizeof out};
    int64_t result = fuse_ask(fuse_of_node(from), &q);
    if (result >= 0) return out.size <= bytes ? (int64_t)out.size : -EIO;
    return result == -ENOSYS || result == -EXDEV ? -EOPNOTSUPP : result;
}

// The driver has it: what is cached of the range is not that.
static int took(struct fuse_node *node, uint64_t offset, uint64_t bytes) {
    struct inode *inode = &node->inode;
    fuse_note_change(node);
    node->wrote = true;
    fuse_expire(inode);
    int error = file_cache_reset(&inode->cache, offset, MAX(inode->cache.size, offset + bytes));
    if (error != 0) __atomic_store_n(&node->stale_data, true, __ATOMIC_RELAXED);
    return error;
}

int64_t fuse_copy(struct inode *from_inode, void *from_opened, uint64_t from_offset, struct inode *to_inode, void *to_opened,
                  uint64_t to_offset, uint64_t bytes) {
    struct fuse_node *from = fuse_node_of(from_inode), *to = fuse_node_of(to_inode);
    if (fuse_is_missing(fuse_of_node(from), FUSE_COPY_FILE_RANGE)) return -EOPNOTSUPP;
    if (to_offset >= to_inode->fs->max_file_bytes) return -EFBIG;
    bytes = MIN(bytes, to_inode->fs->max_file_bytes - to_offset);
    bytes = MIN(bytes, (uint64_t)COPY_MOST);
    int64_t result = fuse_handle_check(from_opened, from);
    if (result == 0) result = fuse_handle_check(to_opened, to);
    if (result == 0) result = file_cache_sync(&from_inode->cache, from_offset, bytes);
    if (result == 0) result = file_cache_sync(&to_inode->cache, 0, UINT64_MAX);
    if (result == 0) result = ask(from, from_opened, from_offset, to, to_opened, to_offset, bytes);
    if (result <= 0) return result;
    int error = took(to, to_offset, (uint64_t)result);
    return error != 0 ? error : result;
}
