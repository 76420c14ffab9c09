// What a driver says without being asked: mostly that something cached is out of date. Nothing here waits: the driver's thread is the one
// that others wait for.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/fs/vfs/name.h"
#include "lib/string.h"

struct fuse_fs *fuse_hold(struct fuse_channel *channel) {
    struct fuse_connection *c = &channel->connection;
    spin_lock(&c->idle.lock);
    struct fuse_fs *f = channel->fs;
    if (f != NULL) channel->fs_users++;
    spin_unlock(&c->idle.lock);
    return f;
}

void fuse_let_go(struct fuse_channel *channel) {
    struct fuse_connection *c = &channel->connection;
    spin_lock(&c->idle.lock);
    channel->fs_users--;
    spin_unlock(&c->idle.lock);
}

struct inode *fuse_node_find(struct fuse_fs *f, uint64_t nodeid) {
    uint64_t epoch = f->c->stateless ? 0 : f->c->epoch;
    struct inode *inode = inode_find(&f->fs, fuse_number_of(nodeid, epoch));
    if (inode != NULL && fuse_node_of(inode)->nodeid == nodeid) return inode;
    if (inode != NULL) inode_put(inode);
    return NULL;
}

static int inval_inode(struct fuse_fs *f, const uint8_t *body, uint32_t bytes) {
    struct fuse_notify_inval_inode_out out;
    if (bytes != sizeof out) return -EINVAL;
    memcpy(&out, body, sizeof out);
    struct inode *inode = fuse_node_find(f, out.ino);
    if (inode == NULL) return -ENOENT;
    // The pages go when they are next read or shown, by who may wait.
    if (out.off >= 0) __atomic_store_n(&fuse_node_of(inode)->stale_data, true, __ATOMIC_RELAXED);
    fuse_expire(inode);
    inode_put(inode);
    return 0;
}

void fuse_forget_name(struct inode *dir, const char *name, size_t bytes) {
    struct component c = {.text = name, .bytes = (uint32_t)bytes, .hash = NAME_HASH_START};
    for (size_t i = 0; i < bytes; i++) c.hash = name_hash_add(c.hash, name[i]);
    name_forget(dir, &c);
    fuse_note_names(dir);
    fuse_expire(dir);
}

static int forget_name(struct fuse_fs *f, uint64_t parent, const char *name, uint32_t namelen) {
    if (!fuse_name_is_good(name, namelen)) return -EINVAL;
    struct inode *dir = fuse_node_find(f, parent);
    if (dir == NULL) return -ENOENT;
    fuse_forget_name(dir, name, namelen);
    inode_put(dir);
    return 0;
}

// Names come with their NUL, of which namelen says nothing.
static int inval_entry(struct fuse_fs *f, const uint8_t *body, uint32_t bytes) {
    struct fuse_notify_inval_entry_out out;
    if (bytes < sizeof out) return -EINVAL;
    memcpy(&out, body, sizeof out);
    if (out.namelen > FUSE_NAME_MAX || bytes != sizeof out + out.namelen + 1) return -EINVAL;
    return forget_name(f, out.parent, (const char *)body + sizeof out, out.namelen);
}

static int deleted(struct fuse_fs *f, const uint8_t *body, uint32_t bytes) {
    struct fuse_notify_delete_out out;
    if (bytes < sizeof out) return -EINVAL;
    memcpy(&out, body, sizeof out);
    if (out.namelen > FUSE_NAME_MAX || bytes != sizeof out + out.namelen + 1) return -EINVAL;
    struct inode *child = fuse_node_find(f, out.child);
    if (child != NULL) {
        fuse_expire(child);
        inode_put(child);
    }
    return forget_name(f, out.parent, (const char *)body + sizeof out, out.namelen);
}

static int wake(struct fuse_fs *f, const uint8_t *body, uint32_t bytes) {
    struct fuse_notify_poll_wakeup_out out;
    if (bytes != sizeof out) return -EINVAL;
    memcpy(&out, body, sizeof out);
    return fuse_poll_wake(f, out.kh);
}

int fuse_notify(struct fuse_connection *c, int code, const uint8_t *body, uint32_t bytes) {
    struct fuse_channel *channel = fuse_channel_of_connection(c);
    struct fuse_fs *f = fuse_hold(channel);
    int error = -EOPNOTSUPP;
    if (f == NULL) return -ENOTCONN;
    if (code == FUSE_NOTIFY_INVAL_INODE) error = inval_inode(f, body, bytes);
    else if (code == FUSE_NOTIFY_INVAL_ENTRY) error = inval_entry(f, body, bytes);
    else if (code == FUSE_NOTIFY_DELETE) error = deleted(f, body, bytes);
    else if (code == FUSE_NOTIFY_POLL) error = wake(f, body, bytes);
    else if (code == FUSE_NOTIFY_STORE) error = fuse_store(f, body, bytes);
    else if (code == FUSE_NOTIFY_RETRIEVE) error = fuse_retrieve(f, body, bytes);
    fuse_let_go(channel);
    return error;
}
