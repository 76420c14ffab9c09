// Names: what leads where, and changes of that.
#include "abi/gen/errors.h"
#include "kernel/fs/fuse/fuse.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define LINUX_READ_WRITE 2u
#define LINUX_CREATE 0100u
#define LINUX_EXCLUSIVE 0200u

// Asks something whose answer names a node. Then *out, or with e->nodeid 0 NULL.
static int ask_entry(struct fuse_question *q, bool resizes, struct fuse_entry_out *e, void *rest, struct inode **out) {
    struct fuse_node *dir = q->node;
    struct fuse_fs *f = fuse_of_node(dir);
    int error = fuse_check_node(dir);
    struct fuse_forget *forget = error == 0 ? fuse_forget_take(f) : NULL;
    if (forget == NULL) return error != 0 ? error : -ENOMEM;
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out opened;
    } answer;
    q->out = rest != NULL ? (void *)&answer : e;
    q->out_least = q->out_most = rest != NULL ? sizeof answer : sizeof *e;
    int64_t result = fuse_ask(f, q);
    if (result >= 0 && rest != NULL) {
        *e = answer.entry;
        memcpy(rest, &answer.opened, sizeof answer.opened);
    }
    *out = NULL;
    if (result < 0 || e->nodeid == 0) {
        fuse_forget_leave(f, forget);
        return result < 0 ? (int)result : 0;
    }
    return fuse_node_get(dir, e, forget, resizes, out);
}

// Of a name, as this driver knows it.
static uint64_t key_of(const struct fuse_node *dir, const char *name, size_t bytes) {
    uint64_t key = 0xcbf29ce484222325ull ^ dir->epoch * 0x9e3779b97f4a7c15ull;
    for (size_t i = 0; i < bytes; i++) key = (key ^ (uint8_t)name[i]) * 0x100000001b3ull;
    return key | 1;
}

bool fuse_was_free(const struct inode *inode, const char *name, size_t bytes) {
    const struct fuse_node *dir = container_of(inode, const struct fuse_node, inode);
    return __atomic_load_n(&dir->absent, __ATOMIC_RELAXED) == key_of(dir, name, bytes);
}

static coldpath void note_free(struct inode *dir, const char *name, size_t bytes) {
    __atomic_store_n(&fuse_node_of(dir)->absent, key_of(fuse_node_of(dir), name, bytes), __ATOMIC_RELAXED);
}

int fuse_find(struct inode *dir, const char *name, size_t bytes, struct inode **out, nanos_t *until) {
    struct fuse_entry_out e;
    struct fuse_question q = {.opcode = FUSE_LOOKUP, .node = fuse_node_of(dir), .name = {name}, .name_bytes = {bytes}};
    int error = ask_entry(&q, true, &e, NULL, out);
    *until = 0;
    if (unlikely(error != 0 && error != -ENOENT)) return error;
    if (error == 0) *until = fuse_valid_until(arch_now(), e.entry_valid, e.entry_valid_nsec);
    if (unlikely(*out == NULL)) note_free(dir, name, bytes);
    return 0;
}

// What comes of a change. Whether it was done cannot be known where the answer was lost, with the driver or with who waited for it.
static int changed(int error, struct inode *dir, const char *name, size_t bytes) {
    bool lost = error == -ENOTCONN || error == -ETIMEDOUT || error == -EINTR || error == -EIO;
    if (lost) fuse_forget_name(dir, name, bytes);
    return error == -ENOSYS ? -EOPNOTSUPP : error;
}

// ---- new ones -----------------------------------------------------------------------------------------------------------

// The directory's times and links are the driver's to know; so are those of what lost or got a name.
static void touch(struct inode *dir) {
    fuse_note_names(dir);
    fuse_expire(dir);
}

static int ask_made(struct fuse_question *q, uint32_t type, void *rest, struct inode **out) {
    struct fuse_entry_out e;
    int error = ask_entry(q, false, &e, rest, out);
    if (error == 0 && *out == NULL) error = -EIO;
    if (error == 0 && FS_TYPE((*out)->mode) != type) {
        inode_put(*out);
        error = -EIO;
    }
    return error;
}

static uint32_t device_of(uint64_t device) {
    uint32_t major = (uint32_t)(device >> 32), minor = (uint32_t)device;
    return (minor & 0xff) | (major & 0xfff) << 8 | (minor & 0xfff00) << 12;
}

static int make_node(struct fuse_node *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct fuse_mknod_in in = {.mode = init->mode, .rdev = device_of(init->device)};
    struct fuse_question q = {.opcode = FUSE_MKNOD, .node = dir, .in = &in, .in_bytes = sizeof in, .name = {name}, .name_bytes = {bytes}};
    return ask_made(&q, FS_TYPE(init->mode), NULL, out);
}

// A file is made and opened at once, and its handle kept for who opens it next: who made it.
static int make_file(struct fuse_node *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct fuse_create_in in = {.flags = LINUX_CREATE | LINUX_EXCLUSIVE | LINUX_READ_WRITE, .mode = init->mode};
    struct fuse_open_out opened;
    struct fuse_question q = {.opcode = FUSE_CREATE, .node = dir, .in = &in, .in_bytes = sizeof in, .name = {name}, .name_bytes = {bytes}};
    int error = ask_made(&q, FS_REGULAR, &opened, out);
    if (error == -ENOSYS) return make_node(dir, name, bytes, init, out);
    if (error != 0) return error;
    struct fuse_node *node = fuse_node_of(*out);
    struct fuse_fs *f = fuse_of_node(node);
    struct fuse_handle *h = fuse_handle_make(node, opened.fh, opened.open_flags | FOPEN_KEEP_CACHE, true);
    if (h == NULL) {
        inode_put(*out);
        return -ENOMEM;
    }
    spin_lock(&f->lock);
    struct fuse_handle *old = node->created;
    node->created = h;
    spin_unlock(&f->lock);
    fuse_handle_put(old);
    return 0;
}

static int make_directory(struct fuse_node *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct fuse_mkdir_in in = {.mode = init->mode};
    struct fuse_question q = {.opcode = FUSE_MKDIR, .node = dir, .in = &in, .in_bytes = sizeof in, .name = {name}, .name_bytes = {bytes}};
    return ask_made(&q, FS_DIRECTORY, NULL, out);
}

static int make_symlink(struct fuse_node *dir, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct fuse_question q = {.opcode = FUSE_SYMLINK, .node = dir, .name = {name, init->target}, .name_bytes = {bytes, init->target_bytes}};
    return ask_made(&q, FS_SYMLINK, NULL, out);
}

int fuse_create(struct inode *inode, const char *name, size_t bytes, const struct inode_new *init, struct inode **out) {
    struct fuse_node *dir = fuse_node_of(inode);
    uint32_t type = FS_TYPE(init->mode);
    int error;
    touch(inode);
    if (type == FS_DIRECTORY) error = make_directory(dir, name, bytes, init, out);
    else if (type == FS_SYMLINK) error = make_symlink(dir, name, bytes, init, out);
    else if (type == FS_REGULAR) error = make_file(dir, name, bytes, init, out);
    else error = make_node(dir, name, bytes, init, out);
    return changed(error, inode, name, bytes);
}

int fuse_link(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    struct fuse_link_in in = {.oldnodeid = fuse_node_of(inode)->nodeid};
    struct fuse_question q = {
        .opcode = FUSE_LINK, .node = fuse_node_of(dir), .in = &in, .in_bytes = sizeof in, .name = {name}, .name_bytes = {bytes}};
    struct fuse_entry_out e;
    struct inode *linked;
    int error = fuse_check_node(fuse_node_of(inode));
    if (error == 0) error = ask_entry(&q, false, &e, NULL, &linked);
    if (error != 0) return changed(error, dir, name, bytes);
    bool good = linked != NULL && FS_TYPE(linked->mode) == FS_TYPE(inode->mode), same = linked == inode;
    if (linked != NULL) inode_put(linked);  // not the last: the caller has one, if it is the same
    touch(dir);
    fuse_expire(inode);
    return good ? !same : -EIO;  // libfuse's nodes are names: each has its own
}

// ---- fewer of them --------------------------------------------------------------------------------------------------------

int fuse_unlink(struct inode *dir, const char *name, size_t bytes, struct inode *inode) {
    bool directory = FS_TYPE(inode->mode) == FS_DIRECTORY;
    const struct fuse_question q = {
        .opcode = directory ? FUSE_RMDIR : FUSE_UNLINK, .node = fuse_node_of(dir), .name = {name}, .name_bytes = {bytes}};
    int error = fuse_check_node(fuse_node_of(dir));
    if (error == 0) error = (int)fuse_ask(fuse_of(dir->fs), &q);
    if (error != 0) return changed(error, dir, name, bytes);
    fuse_lose_name(inode);
    touch(dir);
    note_free(dir, name, bytes);
    return 0;
}

int fuse_rename(struct inode *from_dir, const char *from_name, size_t from_bytes, struct inode *inode, struct inode *to_dir,
                const char *to_name, size_t to_bytes, struct inode *replaced, unsigned flags) {
    struct fuse_rename2_in in = {.newdir = fuse_node_of(to_dir)->nodeid};
    bool exchange = flags & FS_RENAME_EXCHANGE, keeps = flags & FS_RENAME_NO_REPLACE;
    in.flags = (exchange ? FUSE_RENAME_EXCHANGE : 0u) | (keeps ? FUSE_RENAME_NOREPLACE : 0u);
    struct fuse_question q = {
        .opcode = in.flags != 0 ? FUSE_RENAME2 : FUSE_RENAME, .node = fuse_node_of(from_dir), .in = &in,
        .in_bytes = in.flags != 0 ? sizeof in : sizeof(struct fuse_rename_in),
        .name = {from_name, to_name}, .name_bytes = {from_bytes, to_bytes}};
    int error = fuse_check_node(fuse_node_of(from_dir));
    if (error == 0) error = fuse_check_node(fuse_node_of(to_dir));
    if (error == 0) error = (int)fuse_ask(fuse_of(from_dir->fs), &q);
    if (error == -ENOSYS && exchange) return -EINVAL;
    if (keeps && (error == -ENOSYS || error == -EINVAL)) {
        // A driver without flags is asked for what the name was found to be: free. The simple message begins with the same field.
        q.opcode = FUSE_RENAME;
        q.in_bytes = sizeof(struct fuse_rename_in);
        error = (int)fuse_ask(fuse_of(from_dir->fs), &q);
    }
    (void)changed(error, from_dir, from_name, from_bytes);
    if (error != 0) return changed(error, to_dir, to_name, to_bytes);
    if (replaced != NULL && !exchange) fuse_lose_name(replaced);
    else if (replaced != NULL) fuse_expire(replaced);
    fuse_expire(inode);
    touch(from_dir);
    touch(to_dir);
    return 0;
}

int64_t fuse_read_link(struct inode *inode, char *buffer, size_t size) {
    const struct fuse_question q = {
        .opcode = FUSE_READLINK, .node = fuse_node_of(inode),
        .out = buffer, .out_least = 1, .out_most = (uint32_t)MIN(size, (size_t)FS_PATH_MAX)};
    int error = fuse_check_node(fuse_node_of(inode));
    int64_t bytes = error == 0 ? fuse_ask(fuse_of(inode->fs), &q) : error;
    if (bytes > 0 && memchr(buffer, '\0', (size_t)bytes) != NULL) return -EIO;
    return bytes;
}
