// Making, linking, renaming and removing names.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/local.h"
#include "user/liblinux/stat.h"

#define MODE_BITS 07777u

static int64_t make(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint32_t mode, uint64_t device) {
    struct lx_at at;
    int64_t result = lx_at_begin(t, &at, dirfd, path);
    if (result != 0) return result;
    do result = kpio_path_make(at.handle, at.path, mode, device, 0);
    while (lx_at_again_nofollow(t, &at, result));
    return result == -EREMOTE ? lx_local_make(t, &at) : result;
}

static int64_t make_directory(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t mode) {
    return make(t, dirfd, path, LX_S_IFDIR | ((uint32_t)mode & ~lx_process(t)->umask & 01777), 0);
}
LX_CALL(mkdir) { return make_directory(t, (uint64_t)LX_AT_FDCWD, a0, a1); }
LX_CALL(mkdirat) { return make_directory(t, a0, a1, a2); }

static int64_t make_node(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t mode, uint64_t device) {
    uint32_t type = (uint32_t)mode & LX_S_IFMT;
    if (type == 0) type = LX_S_IFREG;
    if (type == LX_S_IFDIR) return -EPERM;
    bool node = type == LX_S_IFCHR || type == LX_S_IFBLK;
    return make(t, dirfd, path, type | ((uint32_t)mode & ~lx_process(t)->umask & MODE_BITS), node ? lx_device_of((uint32_t)device) : 0);
}
// ABI mknod: device nodes show their numbers; only those of /dev/null and its like can be opened
LX_CALL(mknod) { return make_node(t, (uint64_t)LX_AT_FDCWD, a0, a1, a2); }
// ABI mknodat: as mknod
LX_CALL(mknodat) { return make_node(t, a0, a1, a2, a3); }

// ---- removing ------------------------------------------------------------------------------------------------------------

static int64_t unlink_at(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint32_t flags) {
    struct lx_at at;
    int64_t result = lx_at_begin(t, &at, dirfd, path);
    if (result != 0) return result;
    do result = kpio_path_unlink(at.handle, at.path, flags);
    while (lx_at_again_nofollow(t, &at, result));
    return result == -EREMOTE ? lx_local_change(t, &at) : result;
}
LX_CALL(unlink) { return unlink_at(t, (uint64_t)LX_AT_FDCWD, a0, 0); }
LX_CALL(rmdir) { return unlink_at(t, (uint64_t)LX_AT_FDCWD, a0, KPIO_UNLINK_DIRECTORY); }
LX_CALL(unlinkat) {
    if ((uint32_t)a2 & ~LX_AT_REMOVEDIR) return -EINVAL;
    return unlink_at(t, a0, a1, a2 & LX_AT_REMOVEDIR ? KPIO_UNLINK_DIRECTORY : 0);
}

// ---- links ----------------------------------------------------------------------------------------------------------------

static int64_t make_symlink(struct lx_thread *t, uint64_t target, uint64_t dirfd, uint64_t path) {
    struct lx_at at;
    if (target == 0) return -EFAULT;
    int64_t result = lx_at_begin(t, &at, dirfd, path);
    if (result != 0) return result;
    do result = kpio_path_symlink(at.handle, at.path, (const char *)target, 0);
    while (lx_at_again_nofollow(t, &at, result));
    return result == -EREMOTE ? lx_local_make(t, &at) : result;
}
LX_CALL(symlink) { return make_symlink(t, a0, (uint64_t)LX_AT_FDCWD, a1); }
LX_CALL(symlinkat) { return make_symlink(t, a0, a1, a2); }

static int64_t read_link(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t buffer, uint64_t size) {
    struct lx_at at;
    if ((int32_t)size <= 0) return -EINVAL;
    bool own = (int32_t)dirfd != LX_AT_FDCWD;  // an empty path: of an O_PATH descriptor
    int64_t result = own ? lx_at_begin_empty(t, &at, dirfd, path, LX_AT_EMPTY_PATH) : lx_at_begin(t, &at, dirfd, path);
    if (result != 0) return result;
    if (path == 0) return -EFAULT;
    do result = kpio_path_readlink(at.handle, at.path, (void *)buffer, (uint32_t)size);
    while (lx_at_again_nofollow(t, &at, result));
    if (result == -EINVAL && at.path == NULL) return -ENOENT;
    return result == -EREMOTE ? lx_local_readlink(t, &at, buffer, (uint32_t)size) : result;
}
LX_CALL(readlink) { return read_link(t, (uint64_t)LX_AT_FDCWD, a0, a1, a2); }
LX_CALL(readlinkat) { return read_link(t, a0, a1, a2, a3); }

// ---- two names -----------------------------------------------------------------------------------------------------------

// One of two paths led into a local mount, or out of one: finds out, and says EXDEV when one of them ends there.
static int64_t settle(struct lx_thread *t, struct lx_at *from, bool follow, struct lx_at *to) {
    int64_t result = lx_at_settle(t, from, follow);
    if (result == 0) result = lx_at_settle(t, to, false);
    return result == -EREMOTE ? -EXDEV : result;
}

static int64_t make_link(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t to_dirfd, uint64_t to_path, uint32_t flags) {
    struct lx_at from, to;
    bool follow = flags & LX_AT_SYMLINK_FOLLOW;
    uint32_t native = follow ? 0 : KPIO_PATH_NO_FOLLOW;
    if (flags & ~(LX_AT_SYMLINK_FOLLOW | LX_AT_EMPTY_PATH)) return -EINVAL;
    int64_t result = lx_at_begin_empty(t, &from, dirfd, path, flags);
    if (result == 0) result = lx_at_begin(t, &to, to_dirfd, to_path);
    if (result == 0) result = kpio_path_link(from.handle, from.path, to.handle, to.path, native);
    if (result != -EREMOTE) return result;
    result = settle(t, &from, follow, &to);
    return result != 0 ? result : kpio_path_link(from.handle, from.path, to.handle, to.path, native);
}
LX_CALL(link) { return make_link(t, (uint64_t)LX_AT_FDCWD, a0, (uint64_t)LX_AT_FDCWD, a1, 0); }
LX_CALL(linkat) { return make_link(t, a0, a1, a2, a3, (uint32_t)a4); }

enum { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2, RENAME_WHITEOUT = 4 };

static int64_t rename_at(struct lx_thread *t, uint64_t dirfd, uint64_t path, uint64_t to_dirfd, uint64_t to_path, uint32_t flags) {
    struct lx_at from, to;
    if (flags & ~7u || (flags & RENAME_EXCHANGE && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))) return -EINVAL;
    if (flags & RENAME_WHITEOUT) return -EINVAL;  // as file systems without it
    int64_t result = lx_at_begin(t, &from, dirfd, path);
    if (result == 0) result = lx_at_begin(t, &to, to_dirfd, to_path);
    if (result == 0) result = kpio_path_rename(from.handle, from.path, to.handle, to.path, flags);
    if (result != -EREMOTE) return result;
    result = settle(t, &from, false, &to);
    return result != 0 ? result : kpio_path_rename(from.handle, from.path, to.handle, to.path, flags);
}
_Static_assert((int)RENAME_NOREPLACE == KPIO_RENAME_NO_REPLACE && (int)RENAME_EXCHANGE == KPIO_RENAME_EXCHANGE, "one set of bits");
LX_CALL(rename) { return rename_at(t, (uint64_t)LX_AT_FDCWD, a0, (uint64_t)LX_AT_FDCWD, a1, 0); }
LX_CALL(renameat) { return rename_at(t, a0, a1, a2, a3, 0); }
// ABI renameat2: no RENAME_WHITEOUT
LX_CALL(renameat2) { return rename_at(t, a0, a1, a2, a3, (uint32_t)a4); }
