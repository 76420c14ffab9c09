// ioctl: of the driver's own making, as far as its number tells what memory it means. It never sees other memory of the caller's: what
// the protocol calls unrestricted, where a driver names the memory that it wants, is for devices that are trusted with all of it.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

static int64_t take(struct fs_control *c, const uint8_t *answer, int64_t bytes) {
    struct fuse_ioctl_out out;
    memcpy(&out, answer, sizeof out);
    if (out.flags & FUSE_IOCTL_RETRY || out.result <= -512) return -EIO;
    c->out_bytes = (uint32_t)bytes - (uint32_t)sizeof out;
    memcpy(c->data, answer + sizeof out, c->out_bytes);
    return out.result == -ENOSYS ? -ENOTTY : fuse_error(out.result);
}

int64_t fuse_control(struct inode *inode, void *opened, struct fs_control *c) {
    struct fuse_node *node = fuse_node_of(inode);
    struct fuse_handle *h = opened;
    const struct fuse_ioctl_in in = {
        .fh = h->fh, .cmd = c->command, .arg = c->argument, .in_size = c->in_bytes, .out_size = c->out_bytes};
    struct fuse_question q = {
        .opcode = FUSE_IOCTL, .node = node, .handle = h, .in = &in, .in_bytes = sizeof in, .data = c->data, .data_bytes = c->in_bytes,
        .out_least = sizeof(struct fuse_ioctl_out), .out_most = (uint32_t)sizeof(struct fuse_ioctl_out) + c->out_bytes};
    int64_t result = fuse_handle_check(h, node);
    if (result != 0) return result;
    q.out = kmalloc(q.out_most);
    if (q.out == NULL) return -ENOMEM;
    result = fuse_ask(fuse_of_node(node), &q);
    if (result >= 0) result = take(c, q.out, result);
    else c->out_bytes = 0;
    kfree(q.out);
    return result == -ENOSYS ? -ENOTTY : result;
}
