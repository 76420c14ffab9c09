// Lists of directories, with or without what lookup says of each name.
#include "apps/sdk/fs/reply.h"

#include <string.h>

// In front of an entry. A name that leads nowhere by now is told without.
static void put_lookup(struct fs_list *l, const char *name, struct fuse_entry_out *out) {
    memset(out, 0, sizeof *out);
    if (l->fs->operations->lookup(l->fs, l->dir, name, &out->attr) != 0) {
        memset(out, 0, sizeof *out);
        return;
    }
    fs_entry_finish(l->fs, out);
}

bool fs_list_add(struct fs_list *l, uint64_t cookie, uint64_t node, uint32_t mode, const char *name) {
    const uint32_t length = (uint32_t)strlen(name), before = l->plus ? (uint32_t)sizeof(struct fuse_entry_out) : 0;
    const uint32_t bytes = (uint32_t)FUSE_DIRENT_SIZE(before + sizeof(struct fuse_dirent), length);
    if (bytes > l->most - l->used) return false;
    uint8_t *at = l->at + l->used;
    if (l->plus) put_lookup(l, name, (struct fuse_entry_out *)(void *)at);
    memset(at + bytes - 8, 0, 8);  // what fills the last eight bytes up
    struct fuse_dirent *entry = (struct fuse_dirent *)(void *)(at + before);
    *entry = (struct fuse_dirent){node, cookie, length, FS_TYPE(mode) >> 12};
    memcpy(entry + 1, name, length);
    l->used += bytes;
    return true;
}
