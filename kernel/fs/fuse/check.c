#include "kernel/fs/fuse/check.h"

#include "abi/gen/errors.h"
#include "kernel/fs/vfs/fs.h"
#include "lib/string.h"

#define SECOND 1000000000ull

bool fuse_name_is_good(const char *name, uint64_t bytes) {
    if (bytes == 0 || bytes > FS_NAME_MAX) return false;
    if (name[0] == '.' && (bytes == 1 || (bytes == 2 && name[1] == '.'))) return false;
    for (uint64_t i = 0; i < bytes; i++)
        if (name[i] == '/' || name[i] == '\0') return false;
    return true;
}

static bool is_type(uint32_t type) {
    return type == FS_REGULAR || type == FS_DIRECTORY || type == FS_SYMLINK || type == FS_FIFO || type == FS_SOCKET ||
           type == FS_CHAR || type == FS_BLOCK;
}

bool fuse_attr_is_good(const struct fuse_attr *a, uint32_t type) {
    if (!is_type(FS_TYPE(a->mode)) || (type != 0 && FS_TYPE(a->mode) != type)) return false;
    if (a->size > INT64_MAX) return false;
    return a->atimensec < SECOND && a->mtimensec < SECOND && a->ctimensec < SECOND;
}

bool fuse_entry_is_good(const struct fuse_entry_out *e, uint64_t parent) {
    return e->nodeid != 0 && e->nodeid != FUSE_ROOT && e->nodeid != parent && fuse_attr_is_good(&e->attr, 0);
}

uint64_t fuse_valid_until(uint64_t now, uint64_t seconds, uint32_t nanoseconds) {
    uint64_t length, end;
    if (__builtin_mul_overflow(seconds, SECOND, &length) || !checked_add(length, MIN((uint64_t)nanoseconds, SECOND - 1), &end))
        return FUSE_FOREVER;
    return end == 0 ? 0 : checked_add(now, end, &end) ? end : FUSE_FOREVER;
}

int fuse_entries_next(struct fuse_entries *list, struct fuse_listed *out) {
    const uint32_t fixed = list->plus ? sizeof(struct fuse_direntplus) : sizeof(struct fuse_dirent);
    struct fuse_direntplus d;
    if (list->left < fixed) return list->left == 0 ? 0 : -EIO;
    memset(&d, 0, sizeof d);
    if (list->plus) memcpy(&d, list->at, sizeof d);
    else memcpy(&d.dirent, list->at, sizeof d.dirent);
    uint64_t record = FUSE_DIRENT_SIZE(fixed, d.dirent.namelen);
    if (d.dirent.namelen == 0 || d.dirent.namelen > FUSE_NAME_MAX || record > list->left) return -EIO;
    *out = (struct fuse_listed){
        .name = (const char *)list->at + fixed,
        .bytes = d.dirent.namelen,
        .type = d.dirent.type & 15,
        .number = d.dirent.ino,
        .next = d.dirent.off,
        .entry = d.entry,
    };
    list->at += record;
    list->left -= (uint32_t)record;
    return 1;
}
