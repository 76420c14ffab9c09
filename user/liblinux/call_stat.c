// stat and its like.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/local.h"
#include "user/liblinux/stat.h"

int64_t lx_stat_fd(struct lx_thread *t, uint64_t number, struct kpio_stat *out) {
    struct lx_fd fd;
    int64_t error = lx_fd_get(lx_process(t), number, &fd);
    if (error != 0) return error;
    const struct lx_fd_ops *ops = lx_fd_ops(fd.kind);
    return ops->stat == NULL ? -EBADF : ops->stat(t, &fd, out);
}

// Whether the path is empty and that is allowed: then the descriptor is meant.
static int64_t is_empty(uint64_t path, uint64_t flags, bool *empty) {
    char first = 0;
    *empty = false;
    if (!(flags & LX_AT_EMPTY_PATH)) return 0;
    int64_t error = path == 0 ? 0 : lx_copy_in(&first, path, 1);
    *empty = error == 0 && first == 0;
    return error;
}

int64_t lx_stat_path(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t flags, struct kpio_stat *out) {
    struct lx_at at;
    bool empty, follow = !(flags & LX_AT_SYMLINK_NOFOLLOW);
    int64_t result = is_empty(path, flags, &empty);
    if (result != 0) return result;
    if (empty && (int32_t)dirfd != LX_AT_FDCWD) return lx_stat_fd(t, dirfd, out);
    result = empty ? lx_at_begin_empty(t, &at, dirfd, path, flags) : lx_at_begin(t, &at, dirfd, path);
    if (result != 0) return result;
    do result = kpio_path_stat(at.handle, at.path, follow ? 0 : KPIO_PATH_NO_FOLLOW, out);
    while (follow ? lx_at_again(t, &at, result) : lx_at_again_nofollow(t, &at, result));
    return result == -EREMOTE ? lx_local_stat(t, &at, follow, out) : result;
}

static inline struct lx_timespec time_of(const struct kpio_time *time) { return (struct lx_timespec){time->seconds, time->nanoseconds}; }

static int64_t put(const struct kpio_stat *s, uint64_t at) {
    const struct lx_stat out = {
        .dev = lx_device_number(s->fs),
        .ino = s->inode,
        .nlink = s->links,
        .mode = s->mode,
        .uid = s->uid,
        .gid = s->gid,
        .rdev = lx_device_number(s->device),
        .size = (int64_t)s->size,
        .blksize = s->block_size,
        .blocks = (int64_t)s->blocks,
        .atime = time_of(&s->accessed),
        .mtime = time_of(&s->modified),
        .ctime = time_of(&s->changed),
    };
    return lx_copy_out(at, &out, sizeof out);
}

static int64_t stat_to(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t flags, uint64_t at) {
    struct kpio_stat stat;
    int64_t error = lx_stat_path(t, dirfd, path, flags, &stat);
    return error != 0 ? error : put(&stat, at);
}

LX_CALL(stat) { return stat_to(t, (uint64_t)LX_AT_FDCWD, a0, 0, a1); }
LX_CALL(lstat) { return stat_to(t, (uint64_t)LX_AT_FDCWD, a0, LX_AT_SYMLINK_NOFOLLOW, a1); }
LX_CALL(fstat) {
    struct kpio_stat stat;
    int64_t error = lx_stat_fd(t, a0, &stat);
    return error != 0 ? error : put(&stat, a1);
}
LX_CALL(newfstatat) {
    if ((uint32_t)a3 & ~(LX_AT_SYMLINK_NOFOLLOW | LX_AT_NO_AUTOMOUNT | LX_AT_EMPTY_PATH)) return -EINVAL;
    return stat_to(t, a0, a1, a3, a2);
}

// ---- statx -------------------------------------------------------------------------------------------------------------

enum { STATX_BASIC = 0x7ff, STATX_BTIME = 0x800, STATX_MNT_ID = 0x1000, STATX_RESERVED = 0x80000000 };
enum { ATTR_IMMUTABLE = 0x10, ATTR_APPEND = 0x20, ATTR_MOUNT_ROOT = 0x2000 };

static struct lx_statx_time time_x(const struct kpio_time *time) {
    return (struct lx_statx_time){.seconds = time->seconds, .nanoseconds = time->nanoseconds};
}

static int64_t put_x(const struct kpio_stat *s, uint64_t at) {
    const struct lx_statx out = {
        .mask = STATX_BASIC | STATX_MNT_ID | (s->born.seconds != 0 ? STATX_BTIME : 0),
        .blksize = s->block_size,
        .attributes = (s->flags & KPIO_STAT_IMMUTABLE ? ATTR_IMMUTABLE : 0u) | (s->flags & KPIO_STAT_APPEND ? ATTR_APPEND : 0u) |
                      (s->flags & KPIO_STAT_MOUNT_ROOT ? ATTR_MOUNT_ROOT : 0u),
        .attributes_mask = ATTR_IMMUTABLE | ATTR_APPEND | ATTR_MOUNT_ROOT,
        .nlink = s->links,
        .uid = s->uid,
        .gid = s->gid,
        .mode = (uint16_t)s->mode,
        .ino = s->inode,
        .size = s->size,
        .blocks = s->blocks,
        .atime = time_x(&s->accessed),
        .btime = time_x(&s->born),
        .ctime = time_x(&s->changed),
        .mtime = time_x(&s->modified),
        .rdev_major = (uint32_t)(s->device >> 32),
        .rdev_minor = (uint32_t)s->device,
        .dev_major = (uint32_t)(s->fs >> 32),
        .dev_minor = (uint32_t)s->fs,
        .mount = s->mount,
    };
    return lx_copy_out(at, &out, sizeof out);
}

LX_CALL(statx) {
    const uint32_t known = LX_AT_SYMLINK_NOFOLLOW | LX_AT_NO_AUTOMOUNT | LX_AT_EMPTY_PATH | LX_AT_STATX_SYNC;
    struct kpio_stat stat;
    if ((uint32_t)a3 & STATX_RESERVED) return -EINVAL;
    if ((uint32_t)a2 & ~known || (a2 & LX_AT_STATX_SYNC) == LX_AT_STATX_SYNC) return -EINVAL;
    int64_t error = lx_stat_path(t, a0, a1, a2, &stat);
    return error != 0 ? error : put_x(&stat, a4);
}

// ---- access ------------------------------------------------------------------------------------------------------------

enum { ACCESS_EXECUTE = 1, ACCESS_WRITE = 2, ACCESS_READ = 4 };

// What an open would say: modes decide nothing but whether a file can be a program.
static int64_t may_access(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t mode, uint64_t flags) {
    struct kpio_stat stat;
    struct kpio_handle_info info;
    if ((uint32_t)mode & ~7u || (uint32_t)flags & ~(LX_AT_EACCESS | LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH)) return -EINVAL;
    int64_t error = lx_stat_path(t, dirfd, path, flags & (LX_AT_SYMLINK_NOFOLLOW | LX_AT_EMPTY_PATH), &stat);
    if (error != 0) return error;
    bool file = (stat.mode & LX_S_IFMT) != LX_S_IFDIR;
    if (mode & ACCESS_EXECUTE && file && !(stat.mode & 0111)) return -EACCES;
    if (!(mode & ACCESS_WRITE) || kpio_handle_info(lx_process(t)->root, &info) != 0) return 0;
    return info.rights & KPIO_RIGHT_WRITE ? 0 : -EROFS;
}

// ABI access: tells what open and exec would say; owners and modes do not matter to them
LX_CALL(access) { return may_access(t, (uint64_t)LX_AT_FDCWD, a0, a1, 0); }
// ABI faccessat: as access
LX_CALL(faccessat) { return may_access(t, a0, a1, a2, 0); }
// ABI faccessat2: as access
LX_CALL(faccessat2) { return may_access(t, a0, a1, a2, a3); }

// ---- file systems ----------------------------------------------------------------------------------------------------------

enum { ST_RDONLY = 1, ST_VALID = 0x20, ST_NOATIME = 0x400 };

static int64_t put_statfs(kpio_handle handle, uint64_t at) {
    struct kpio_fs_statistics s;
    int64_t error = kpio_fs_statistics(handle, &s);
    if (error != 0) return error;
    const struct lx_statfs out = {
        .type = s.type_magic,
        .bsize = (int64_t)s.block_size,
        .blocks = s.blocks,
        .bfree = s.blocks_free,
        .bavail = s.blocks_available,
        .files = s.inodes,
        .ffree = s.inodes_free,
        .fsid = s.id,
        .namelen = (int64_t)s.name_max,
        .frsize = (int64_t)s.block_size,
        .flags = ST_VALID | (s.flags & KPIO_MOUNT_READ_ONLY ? ST_RDONLY : 0) | (s.flags & KPIO_MOUNT_NO_ACCESS_TIME ? ST_NOATIME : 0),
    };
    return lx_copy_out(at, &out, sizeof out);
}

#define PROC_MAGIC  0x9fa0
#define TMPFS_MAGIC 0x01021994
static int64_t put_statfs_local(struct lx_thread *t, const struct lx_at *at, uint64_t to) {
    struct kpio_stat stat;
    int64_t error = lx_local_stat(t, at, true, &stat);
    if (error != 0) return error;
    const struct lx_statfs out = {
        .type = at->mount == &lx_local_proc ? PROC_MAGIC : TMPFS_MAGIC, .bsize = 4096, .namelen = 255, .frsize = 4096, .flags = ST_VALID};
    return lx_copy_out(to, &out, sizeof out);
}

LX_CALL(statfs) {
    struct lx_at at;
    int64_t result = lx_at_begin(t, &at, (uint64_t)LX_AT_FDCWD, a0);
    if (result != 0) return result;
    do result = kpio_path_open(at.handle, at.path, 0, 0, 0);
    while (lx_at_again(t, &at, result));
    if (result == -EREMOTE) return put_statfs_local(t, &at, a1);
    if (result < 0) return result;
    int64_t error = put_statfs((kpio_handle)(uint32_t)result, a1);
    (void)kpio_handle_close((uint32_t)result);
    return error;
}

LX_CALL(fstatfs) {
    struct lx_at at;
    int64_t error = lx_at_own(t, &at, a0, true);
    return error != 0 ? error : put_statfs(at.handle, a1);
}
