#include "apps/fs/memory/memory.h"

#include <stdio.h>

static void memory_forget(struct fs *fs, uint64_t node, uint64_t count) {
    struct node *n = node_find(node);
    if (n == NULL) return;
    n->lookups -= count < n->lookups ? count : n->lookups;
    node_settle(n);
}

static int32_t memory_attributes(struct fs *fs, uint64_t node, struct fuse_attr *out) {
    const struct node *n = node_find(node);
    if (n == NULL) return -FS_ESTALE;
    *out = n->attr;
    return 0;
}

static int32_t memory_change(struct fs *fs, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *out) {
    struct node *n = node_find(node);
    const bool resized = in->valid & FATTR_SIZE;
    if (n == NULL) return -FS_ESTALE;
    if (in->valid & FATTR_MODE) n->attr.mode = FS_TYPE(n->attr.mode) | (in->mode & 07777);
    if (in->valid & FATTR_UID) n->attr.uid = in->uid;
    if (in->valid & FATTR_GID) n->attr.gid = in->gid;
    if (resized) data_resize(n, in->size);
    node_touch(n, resized);
    if (in->valid & FATTR_ATIME) n->attr.atime = in->atime, n->attr.atimensec = in->atimensec;
    if (in->valid & FATTR_MTIME) n->attr.mtime = in->mtime, n->attr.mtimensec = in->mtimensec;
    *out = n->attr;
    return 0;
}

static int32_t memory_statistics(struct fs *fs, struct fuse_statfs_out *out) {
    const uint64_t nodes = nodes_free();
    out->blocks = 1u << 20;
    out->bfree = out->bavail = 1u << 19;
    out->files = 1000000;
    out->ffree = nodes;
    return 0;
}

static const struct fs_operations operations = {
    .lookup = memory_lookup, .forget = memory_forget, .attributes = memory_attributes, .change = memory_change,
    .statistics = memory_statistics, .read = memory_read, .write = memory_write, .allocate = memory_allocate, .seek = memory_seek,
    .list = memory_list, .read_link = memory_read_link, .make = memory_make, .link = memory_link, .unlink = memory_unlink,
    .rename = memory_rename, .get_extended = memory_get_extended, .list_extended = memory_list_extended,
    .set_extended = memory_set_extended, .remove_extended = memory_remove_extended,
};

int main(int argc, char **argv) {
    struct fs fs = {.operations = &operations, .valid_ns = 1000000000, .flags = FUSE_DO_READDIRPLUS, .single_writer = true};
    if (!nodes_begin()) {
        fputs("no memory\n", stderr);
        return 1;
    }
    return fs_run(&fs, argc, argv);
}
