#include "apps/fs/tar/tar.h"

#include <stdio.h>
#include <string.h>

#define HOUR 3600000000000ull

FS_WORDS("stateless");

static int32_t tar_lookup(struct fs *fs, uint64_t dir, const char *name, struct fuse_attr *out) {
    const struct tar_node *d = tree_node(dir);
    if (d == NULL || !tree_is_directory(d)) return d == NULL ? -FS_ESTALE : -FS_ENOTDIR;
    const struct tar_node *n = tree_find(d, name, strlen(name));
    if (n == NULL) return -FS_ENOENT;
    *out = n->attr;
    return 0;
}

static int32_t tar_attributes(struct fs *fs, uint64_t node, struct fuse_attr *out) {
    const struct tar_node *n = tree_node(node);
    if (n == NULL) return -FS_ESTALE;
    *out = n->attr;
    return 0;
}

static int32_t tar_change(struct fs *fs, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *out) { return -FS_EROFS; }

static int32_t tar_statistics(struct fs *fs, struct fuse_statfs_out *out) {
    out->blocks = (uint64_t)fs_disk_size() / 4096;
    out->files = tree_count();
    return 0;
}

// Right from the disk into the reply.
static int32_t tar_read(struct fs *fs, uint64_t node, uint64_t offset, uint32_t bytes, struct fs_reply *reply) {
    const struct tar_node *n = tree_node(node);
    if (n == NULL || FS_TYPE(n->attr.mode) != FS_REGULAR) return n == NULL ? -FS_ESTALE : -FS_EINVAL;
    if (offset >= n->attr.size) return 0;
    if (bytes > n->attr.size - offset) bytes = (uint32_t)(n->attr.size - offset);
    uint8_t *room = fs_reply_room(reply, bytes);
    const int32_t error = room != NULL ? fs_disk_read(n->offset + offset, room, bytes) : -FS_EIO;
    if (error == 0) fs_reply_filled(reply, bytes);
    return error;
}

// A cookie is the number of the node that stood there: what follows it are its later siblings.
static int32_t tar_list(struct fs *fs, uint64_t dir, uint64_t after, struct fs_list *list) {
    const struct tar_node *d = tree_node(dir), *last = tree_node(after);
    if (d == NULL || !tree_is_directory(d)) return d == NULL ? -FS_ESTALE : -FS_ENOTDIR;
    if (after != 0 && (last == NULL || last->parent != d)) return -FS_EINVAL;
    for (const struct tar_node *n = after != 0 ? last->next : d->first; n != NULL; n = n->next)
        if (!fs_list_add(list, n->attr.ino, n->attr.ino, n->attr.mode, n->name)) break;
    return 0;
}

static int32_t tar_read_link(struct fs *fs, uint64_t node, struct fs_reply *reply) {
    const struct tar_node *n = tree_node(node);
    if (n == NULL || n->target == NULL) return n == NULL ? -FS_ESTALE : -FS_EINVAL;
    return fs_reply_show(reply, n->target, (uint32_t)n->attr.size) ? 0 : -FS_EIO;
}

static const struct fs_operations operations = {
    .lookup = tar_lookup, .attributes = tar_attributes, .change = tar_change, .statistics = tar_statistics, .read = tar_read,
    .list = tar_list, .read_link = tar_read_link};

int main(int argc, char **argv) {
    struct fs fs = {.operations = &operations, .valid_ns = HOUR, .flags = FUSE_DO_READDIRPLUS, .single_writer = true};
    if (!tree_begin() || !archive_read()) return 1;
    return fs_run(&fs, argc, argv);
}
