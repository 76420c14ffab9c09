// A file system of one file: the disk that its driver was given.
#include "apps/sdk/fs/fs.h"

#include <string.h>

#define DISK 2u

static int32_t attributes(struct fs *fs, uint64_t node, struct fuse_attr *out) {
    const bool root = node == FUSE_ROOT;
    *out = (struct fuse_attr){.ino = node, .mode = root ? FS_DIRECTORY | 0755 : FS_REGULAR | 0666, .nlink = root ? 2 : 1,
                              .size = root ? 0 : (uint64_t)fs_disk_size(), .blksize = 4096};
    return 0;
}

static int32_t lookup(struct fs *fs, uint64_t dir, const char *name, struct fuse_attr *out) {
    return strcmp(name, "disk") == 0 ? attributes(fs, DISK, out) : -FS_ENOENT;
}

static int32_t list(struct fs *fs, uint64_t dir, uint64_t after, struct fs_list *list) {
    if (after == 0) (void)fs_list_add(list, 1, DISK, FS_REGULAR, "disk");
    return 0;
}

static int32_t read_disk(struct fs *fs, uint64_t node, uint64_t offset, uint32_t bytes, struct fs_reply *reply) {
    const uint64_t size = (uint64_t)fs_disk_size();
    if (offset >= size) return 0;
    if (bytes > size - offset) bytes = (uint32_t)(size - offset);
    uint8_t *room = fs_reply_room(reply, bytes);
    if (room == NULL) return -FS_EIO;
    const int32_t error = fs_disk_read(offset, room, bytes);
    if (error == 0) fs_reply_filled(reply, bytes);
    return error;
}

static int64_t write_disk(struct fs *fs, uint64_t node, uint64_t offset, const uint8_t *data, uint32_t bytes) {
    const int32_t error = fs_disk_write(offset, data, bytes);
    return error != 0 ? error : (int64_t)bytes;
}

static int32_t sync_disk(struct fs *fs, uint64_t node) { return fs_disk_flush(); }

// Times are not kept.
static int32_t change(struct fs *fs, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *out) {
    if (in->valid & FATTR_SIZE && in->size != (uint64_t)fs_disk_size()) return -FS_EINVAL;
    return attributes(fs, node, out);
}

static const struct fs_operations operations = {.lookup = lookup, .attributes = attributes, .change = change, .list = list,
                                                .read = read_disk, .write = write_disk, .sync = sync_disk};

int main(int argc, char **argv) { return fs_run(&(struct fs){.operations = &operations, .flags = FUSE_DO_READDIRPLUS}, argc, argv); }
