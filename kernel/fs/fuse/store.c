// Contents that a driver puts into the page cache unasked, or wants to have of it. Nothing here waits: what stands in the way of it
// is left out.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define RETRIEVE_MOST 65536u  // in one message

// A regular file that the kernel knows, with a reference.
static struct inode *find_file(struct fuse_fs *f, uint64_t nodeid) {
    struct inode *inode = fuse_node_find(f, nodeid);
    if (inode == NULL || FS_TYPE(inode->mode) == FS_REGULAR) return inode;
    inode_put(inode);
    return NULL;
}

// What lies beyond the size that is known here is for who asks for the new one. A page that is being read right now may get what
// the file was before.
int fuse_store(struct fuse_fs *f, const uint8_t *body, uint32_t bytes) {
    struct fuse_notify_store_out out;
    uint64_t end;
    if (bytes < sizeof out) return -EINVAL;
    memcpy(&out, body, sizeof out);
    if (bytes - sizeof out != out.size || !checked_add(out.offset, out.size, &end) || end > INT64_MAX) return -EINVAL;
    struct inode *inode = find_file(f, out.nodeid);
    if (inode == NULL) return -ENOENT;
    bool beyond = end > inode_size(inode);
    if (!file_cache_store(&inode->cache, out.offset, body + sizeof out, out.size))
        __atomic_store_n(&fuse_node_of(inode)->stale_data, true, __ATOMIC_RELAXED);
    if (beyond) fuse_expire(inode);
    inode_put(inode);
    return 0;
}

int fuse_retrieve(struct fuse_fs *f, const uint8_t *body, uint32_t bytes) {
    struct fuse_notify_retrieve_out out;
    if (bytes != sizeof out) return -EINVAL;
    memcpy(&out, body, sizeof out);
    if (out.offset > INT64_MAX) return -EINVAL;
    struct inode *inode = find_file(f, out.nodeid);
    if (inode == NULL) return -ENOENT;
    const uint32_t wanted = MIN(out.size, RETRIEVE_MOST), most = MIN(wanted, f->channel->max_write);
    const uint32_t head = sizeof(struct fuse_notify_retrieve_in);
    struct fuse_request *r = fuse_request_alloc(FUSE_NOTIFY_REPLY, out.nodeid, head + most, 0);
    if (r != NULL) {
        uint32_t found = (uint32_t)file_cache_peek(&inode->cache, out.offset, (uint8_t *)fuse_arguments(r) + head, most);
        *(struct fuse_notify_retrieve_in *)fuse_arguments(r) = (struct fuse_notify_retrieve_in){.offset = out.offset, .size = found};
        r->in_bytes -= most - found;
        r->address = out.notify_unique;
        fuse_send(f->c, r);
    }
    inode_put(inode);
    return r != NULL ? 0 : -ENOMEM;
}
