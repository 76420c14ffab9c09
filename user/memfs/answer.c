// Each request, answered.
#include "abi/gen/errors.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/memfs/memfs.h"

#define TYPE(mode) ((mode) & 0170000u)
#define DIRECTORY 0040000u
#define REGULAR 0100000u
#define SYMLINK 0120000u
#define NODES_MAX 1000000u

static bool is_directory(const struct memfs_node *n) { return TYPE(n->mode) == DIRECTORY; }

static int64_t put_entry(struct memfs *m, struct memfs_node *n, const struct fuse_call *call) {
    memfs_entry_out(m, n, (struct fuse_entry_out *)call->reply);
    return sizeof(struct fuse_entry_out);
}

static int64_t put_attr(struct memfs *m, const struct memfs_node *n, const struct fuse_call *call) {
    struct fuse_attr_out *out = (struct fuse_attr_out *)call->reply;
    *out = (struct fuse_attr_out){.attr_valid = m->valid_ns / 1000000000, .attr_valid_nsec = (uint32_t)(m->valid_ns % 1000000000)};
    memfs_attr(n, &out->attr);
    return sizeof *out;
}

static int64_t put_open(const struct memfs *m, const struct fuse_call *call, uint64_t at) {
    *(struct fuse_open_out *)(call->reply + at) = (struct fuse_open_out){.open_flags = m->direct ? FOPEN_DIRECT_IO : FOPEN_KEEP_CACHE};
    return (int64_t)(at + sizeof(struct fuse_open_out));
}

// ---- names --------------------------------------------------------------------------------------------------------------

static int64_t lookup(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call) {
    struct memfs_entry *e = memfs_lookup(dir, call->body);
    return e != NULL ? put_entry(m, e->child, call) : -ENOENT;
}

static int64_t make(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call, uint32_t mode, const char *name,
                    struct memfs_node **out) {
    if (memfs_lookup(dir, name) != NULL) return -EEXIST;
    if (dir->links == 0) return -ENOENT;
    struct memfs_node *n = m->count < NODES_MAX ? memfs_make(m, mode) : NULL;
    if (n == NULL) return -ENOSPC;
    int64_t error = memfs_enter(dir, name, n);
    if (error != 0) {
        n->links = 0;
        memfs_settle(m, n);
        return error;
    }
    if (out != NULL) *out = n;
    return put_entry(m, n, call);
}

static int64_t mknod(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call) {
    const struct fuse_mknod_in *in = call->body;
    struct memfs_node *n;
    int64_t result = make(m, dir, call, in->mode, (const char *)(in + 1), &n);
    if (result < 0) return result;
    n->rdev = in->rdev;
    memfs_attr(n, &((struct fuse_entry_out *)call->reply)->attr);
    return result;
}

static int64_t create(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call) {
    const struct fuse_create_in *in = call->body;
    int64_t result = make(m, dir, call, REGULAR | (in->mode & 07777), (const char *)(in + 1), NULL);
    return result < 0 ? result : put_open(m, call, (uint64_t)result);
}

static int64_t symlink(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call) {
    const char *name = call->body, *target = name + strlen(name) + 1;
    struct memfs_node *n;
    char *text = heap_alloc(strlen(target) + 1);
    if (text == NULL) return -ENOSPC;
    int64_t result = make(m, dir, call, SYMLINK | 0777, name, &n);
    if (result < 0) {
        heap_free(text);
        return result;
    }
    memcpy(text, target, strlen(target) + 1);
    n->target = text;
    n->size = strlen(target);
    memfs_attr(n, &((struct fuse_entry_out *)call->reply)->attr);
    return result;
}

static int64_t link(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call) {
    const struct fuse_link_in *in = call->body;
    const char *name = (const char *)(in + 1);
    struct memfs_node *n = memfs_find(m, in->oldnodeid);
    if (n == NULL) return -ENOENT;
    if (memfs_lookup(dir, name) != NULL) return -EEXIST;
    int64_t error = memfs_enter(dir, name, n);
    if (error != 0) return error;
    n->links++;
    memfs_touch(n, false);
    return put_entry(m, n, call);
}

// A name less for what an entry leads to, which is gone already.
static void lost(struct memfs *m, struct memfs_node *n) {
    n->links = is_directory(n) ? 0 : n->links - 1;
    memfs_touch(n, false);
    memfs_settle(m, n);
}

static int64_t unlink(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call, bool directory) {
    struct memfs_entry *e = memfs_lookup(dir, call->body);
    if (e == NULL) return -ENOENT;
    struct memfs_node *n = e->child;
    if (is_directory(n) != directory) return directory ? -ENOTDIR : -EISDIR;
    if (directory && !list_is_empty(&n->entries)) return -ENOTEMPTY;
    memfs_remove(dir, e);
    lost(m, n);
    return 0;
}

static int64_t exchange(struct memfs_node *from, struct memfs_entry *a, struct memfs_node *to, struct memfs_entry *b) {
    struct memfs_node *first = a->child, *second = b->child;
    from->links += (uint32_t)is_directory(second) - (uint32_t)is_directory(first);
    to->links += (uint32_t)is_directory(first) - (uint32_t)is_directory(second);
    a->child = second;
    b->child = first;
    if (is_directory(first)) first->parent = to;
    if (is_directory(second)) second->parent = from;
    memfs_touch(first, false);
    memfs_touch(second, false);
    memfs_touch(from, true);
    memfs_touch(to, true);
    return 0;
}

static int64_t rename(struct memfs *m, struct memfs_node *from, const char *name, uint64_t newdir, uint32_t flags) {
    const char *new_name = name + strlen(name) + 1;
    struct memfs_node *to = memfs_find(m, newdir);
    struct memfs_entry *e = memfs_lookup(from, name), *old = to != NULL ? memfs_lookup(to, new_name) : NULL;
    if (to == NULL || e == NULL) return -ENOENT;
    if (flags & FUSE_RENAME_EXCHANGE) return old != NULL ? exchange(from, e, to, old) : -ENOENT;
    if (old != NULL && flags & FUSE_RENAME_NOREPLACE) return -EEXIST;
    struct memfs_node *n = e->child, *replaced = old != NULL ? old->child : NULL;
    if (replaced == n) return 0;
    if (replaced != NULL && is_directory(replaced) && !list_is_empty(&replaced->entries)) return -ENOTEMPTY;
    int64_t error = memfs_enter(to, new_name, n);
    if (error != 0) return error;
    memfs_remove(from, e);
    if (old != NULL) memfs_remove(to, old);
    if (replaced != NULL) lost(m, replaced);
    memfs_touch(n, false);
    return 0;
}

// ---- attributes -----------------------------------------------------------------------------------------------------------

static int64_t setattr(struct memfs *m, struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_setattr_in *in = call->body;
    bool resized = in->valid & FATTR_SIZE;
    if (in->valid & FATTR_MODE) n->mode = TYPE(n->mode) | (in->mode & 07777);
    if (in->valid & FATTR_UID) n->uid = in->uid;
    if (in->valid & FATTR_GID) n->gid = in->gid;
    if (resized) memfs_resize(n, in->size);
    memfs_touch(n, resized);
    if (in->valid & FATTR_ATIME) n->accessed = (struct memfs_time){in->atime, in->atimensec};
    if (in->valid & FATTR_MTIME) n->modified = (struct memfs_time){in->mtime, in->mtimensec};
    return put_attr(m, n, call);
}

static int64_t statfs(struct memfs *m, const struct fuse_call *call) {
    *(struct fuse_statfs_out *)call->reply = (struct fuse_statfs_out){
        .blocks = 1u << 20, .bfree = 1u << 19, .bavail = 1u << 19, .files = NODES_MAX, .ffree = NODES_MAX - m->count,
        .bsize = PAGE_BYTES, .namelen = 255, .frsize = PAGE_BYTES};
    return sizeof(struct fuse_statfs_out);
}

static int64_t forget(struct memfs *m, uint64_t number, uint64_t lookups) {
    struct memfs_node *n = memfs_find(m, number);
    if (n == NULL) return FUSE_REPLY_NONE;
    n->lookups -= MIN(n->lookups, lookups);
    memfs_settle(m, n);
    return FUSE_REPLY_NONE;
}

static int64_t forget_many(struct memfs *m, const struct fuse_call *call) {
    const struct fuse_batch_forget_in *in = call->body;
    const struct fuse_forget_one *one = (const struct fuse_forget_one *)(in + 1);
    for (uint32_t i = 0; i < in->count; i++) (void)forget(m, one[i].nodeid, one[i].nlookup);
    return FUSE_REPLY_NONE;
}

// ---- content --------------------------------------------------------------------------------------------------------------

static int64_t read(const struct memfs *m, struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_read_in *in = call->body;
    // What another thread changes meanwhile may be another file's by the time it is read.
    if (m->alone && memfs_show(n, in->offset, in->size, call)) return 0;
    return memfs_read(n, in->offset, MIN(in->size, call->room), call->reply);
}

static int64_t write(struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_write_in *in = call->body;
    struct memfs_time modified = n->modified;
    int64_t done = memfs_write(n, in->offset, in->size, (const uint8_t *)(in + 1));
    if (done < 0) return done;
    // What the kernel kept back until now was written at a time that it will tell.
    if (in->write_flags & FUSE_WRITE_CACHE && call->header->pid == 0 && modified.seconds > n->modified.seconds) n->modified = modified;
    *(struct fuse_write_out *)call->reply = (struct fuse_write_out){.size = (uint32_t)done};
    return sizeof(struct fuse_write_out);
}

static int64_t allocate(struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_fallocate_in *in = call->body;
    bool keeps = in->mode & 1, punches = in->mode & 2, zeroes = in->mode & 16;
    if (in->mode & ~19u) return -EOPNOTSUPP;
    if (punches || zeroes) memfs_punch(n, in->offset, in->length);
    if (!keeps && in->offset + in->length > n->size) n->size = in->offset + in->length;
    memfs_touch(n, true);
    return 0;
}

static int64_t seek(struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_lseek_in *in = call->body;
    int64_t at = memfs_seek(n, in->offset, in->whence == 3);
    if (at < 0) return at;
    *(struct fuse_lseek_out *)call->reply = (struct fuse_lseek_out){(uint64_t)at};
    return sizeof(struct fuse_lseek_out);
}

static int64_t list(struct memfs *m, struct memfs_node *dir, const struct fuse_call *call, bool plus) {
    const struct fuse_read_in *in = call->body;
    uint32_t fixed = plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent), used = 0;
    list_for_each_entry(e, &dir->entries, struct memfs_entry, node) {
        uint64_t record = FUSE_DIRENT_SIZE(fixed, e->bytes);
        if (e->cookie <= in->offset) continue;
        if (used + record > MIN(in->size, call->room)) break;
        uint8_t *at = call->reply + used;
        memset(at, 0, record);
        if (plus) memfs_entry_out(m, e->child, &((struct fuse_direntplus *)at)->entry);
        struct fuse_dirent *d = plus ? &((struct fuse_direntplus *)at)->dirent : (struct fuse_dirent *)at;
        *d = (struct fuse_dirent){e->child->number, e->cookie, e->bytes, TYPE(e->child->mode) >> 12};
        memcpy(at + fixed, e->name, e->bytes);
        used += (uint32_t)record;
    }
    return used;
}

// ---- all --------------------------------------------------------------------------------------------------------------------

static int64_t of_directory(struct memfs *m, struct memfs_node *n, const struct fuse_call *call) {
    const struct fuse_rename2_in *in = call->body;
    if (!is_directory(n)) return -ENOTDIR;
    switch (call->header->opcode) {
    case FUSE_LOOKUP: return lookup(m, n, call);
    case FUSE_MKNOD: return mknod(m, n, call);
    case FUSE_MKDIR: return make(m, n, call, DIRECTORY | (((const struct fuse_mkdir_in *)call->body)->mode & 07777),
                                 (const char *)call->body + sizeof(struct fuse_mkdir_in), NULL);
    case FUSE_CREATE: return create(m, n, call);
    case FUSE_SYMLINK: return symlink(m, n, call);
    case FUSE_LINK: return link(m, n, call);
    case FUSE_UNLINK: return unlink(m, n, call, false);
    case FUSE_RMDIR: return unlink(m, n, call, true);
    case FUSE_RENAME: return rename(m, n, (const char *)call->body + sizeof(struct fuse_rename_in), in->newdir, 0);
    case FUSE_RENAME2: return rename(m, n, (const char *)(in + 1), in->newdir, in->flags);
    case FUSE_READDIR: return list(m, n, call, false);
    default: return list(m, n, call, true);
    }
}

static int64_t of_node(struct memfs *m, struct memfs_node *n, const struct fuse_call *call) {
    switch (call->header->opcode) {
    case FUSE_GETATTR: return put_attr(m, n, call);
    case FUSE_SETATTR: return setattr(m, n, call);
    case FUSE_READLINK:
        if (n->target == NULL) return -EINVAL;
        memcpy(call->reply, n->target, n->size);
        return (int64_t)n->size;
    case FUSE_OPEN:
    case FUSE_OPENDIR: return put_open(m, call, 0);
    case FUSE_READ: return read(m, n, call);
    case FUSE_WRITE: return write(n, call);
    case FUSE_FALLOCATE: return allocate(n, call);
    case FUSE_LSEEK: return seek(n, call);
    case FUSE_GETXATTR: return memfs_xattr_get(n, call);
    case FUSE_SETXATTR: return memfs_xattr_set(n, call);
    case FUSE_LISTXATTR: return memfs_xattr_list(n, call);
    case FUSE_REMOVEXATTR: return memfs_xattr_remove(n, call);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
    case FUSE_FLUSH:
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return 0;
    case FUSE_LOOKUP:
    case FUSE_MKNOD:
    case FUSE_MKDIR:
    case FUSE_CREATE:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_RENAME:
    case FUSE_RENAME2:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: return of_directory(m, n, call);
    default: return -ENOSYS;
    }
}

static int64_t answer(struct memfs *m, const struct fuse_call *call) {
    switch (call->header->opcode) {
    case FUSE_STATFS: return statfs(m, call);
    case FUSE_BATCH_FORGET: return forget_many(m, call);
    case FUSE_FORGET: return forget(m, call->header->nodeid, ((const struct fuse_forget_in *)call->body)->nlookup);
    default: break;
    }
    struct memfs_node *n = memfs_find(m, call->header->nodeid);
    return n != NULL ? of_node(m, n, call) : -ESTALE;
}

int64_t memfs_answer(struct fuse_driver *d, const struct fuse_call *call) {
    struct memfs *m = d->context;
    mutex_lock(&m->lock);
    int64_t result = answer(m, call);
    mutex_unlock(&m->lock);
    return result;
}
