// Extended attributes.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/local.h"

#define NAME_BYTES 256u  // with the terminator

// The attribute's name, copied; the spaces of names that Linux knows.
static int64_t copy_name(char name[NAME_BYTES], uint64_t from) {
    static const char *const spaces[] = {"user.", "trusted.", "security.", "system."};
    int64_t bytes = from == 0 ? -EFAULT : lx_copy_string(name, from, NAME_BYTES);
    if (bytes < 0) return bytes;
    if (bytes == 0 || bytes == NAME_BYTES) return -ERANGE;
    for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++) {
        size_t length = strlen(spaces[i]);
        if (strncmp(name, spaces[i], length) == 0) return name[length] == 0 ? -EINVAL : 0;
    }
    return -EOPNOTSUPP;
}

// Which file: of a path, links followed or not, or of a descriptor.
struct target {
    struct lx_at at;
    uint32_t flags;
};
static int64_t by_path(struct lx_thread *t, struct target *f, uint64_t path, bool follow) {
    f->flags = follow ? 0 : KPIO_PATH_NO_FOLLOW;
    return lx_at_begin(t, &f->at, (uint64_t)LX_AT_FDCWD, path);
}
#define NO_FILE (-ENODATA)
// 0, -EBADF, or NO_FILE: the descriptor of a pipe or its like, which has no attributes.
static int64_t by_fd(struct lx_thread *t, struct target *f, uint64_t number) {
    struct lx_fd fd;
    f->flags = 0;
    int64_t error = lx_fd_get(lx_process(t), number, &fd);
    if (error != 0 || fd.kind == LX_KIND_PATH) return -EBADF;
    return lx_at_own(t, &f->at, number, false) == 0 ? 0 : NO_FILE;
}
// What by_fd and then the look at the name gave, as one error; of_none: of a name that others than files could have, where there is none.
static int64_t both(int64_t found, int64_t named, const char *name, int64_t of_none) {
    if (found == -EBADF || named != 0) return found == -EBADF ? found : named;
    return found != NO_FILE ? found : strncmp(name, "user.", 5) == 0 ? of_none : -EOPNOTSUPP;
}
static bool again(struct lx_thread *t, struct target *f, int64_t result) {
    return f->flags == 0 ? lx_at_again(t, &f->at, result) : lx_at_again_nofollow(t, &f->at, result);
}
static int64_t remote(struct lx_thread *t, const struct target *f, int64_t result) {
    if (result != -EREMOTE) return result;
    int64_t error = lx_local_change(t, &f->at);
    return error == -EROFS ? -EOPNOTSUPP : error;
}

// ---- setting -------------------------------------------------------------------------------------------------------------

static int64_t set(struct lx_thread *t, struct target *f, const char *name, uint64_t value, uint64_t size, uint32_t flags) {
    int64_t result;
    const uint32_t either = KPIO_XATTR_CREATE | KPIO_XATTR_REPLACE;
    if ((flags & either) == either) {  // one of the two fails
        do result = kpio_path_xattr_get(f->at.handle, f->at.path, f->flags, name, NULL, 0);
        while (again(t, f, result));
        return result >= 0 ? -EEXIST : remote(t, f, result);
    }
    do result = kpio_path_xattr_set(f->at.handle, f->at.path, f->flags | flags, name, (const void *)value, size);
    while (again(t, f, result));
    return remote(t, f, result);
}

static int64_t check_set(char name[NAME_BYTES], uint64_t from, uint64_t size, uint64_t flags) {
    if ((uint32_t)flags & ~(uint32_t)(KPIO_XATTR_CREATE | KPIO_XATTR_REPLACE)) return -EINVAL;
    int64_t error = copy_name(name, from);
    return error != 0 && error != -EOPNOTSUPP ? error : size > KPIO_XATTR_SIZE_MAX ? -E2BIG : error;
}

static int64_t set_path(struct lx_thread *t, uint64_t path, uint64_t name_at, uint64_t value, uint64_t size, uint64_t flags, bool follow) {
    struct target f;
    char name[NAME_BYTES];
    int64_t error = check_set(name, name_at, size, flags);
    if (error == 0) error = by_path(t, &f, path, follow);
    return error != 0 ? error : set(t, &f, name, value, size, (uint32_t)flags);
}
LX_CALL(setxattr) { return set_path(t, a0, a1, a2, a3, a4, true); }
LX_CALL(lsetxattr) { return set_path(t, a0, a1, a2, a3, a4, false); }
LX_CALL(fsetxattr) {
    struct target f;
    char name[NAME_BYTES];
    int64_t found = by_fd(t, &f, a0), error = both(found, check_set(name, a1, a3, a4), name, -EPERM);
    return error != 0 ? error : set(t, &f, name, a2, a3, (uint32_t)a4);
}

static int64_t remove_path(struct lx_thread *t, uint64_t path, uint64_t name_at, bool follow) {
    struct target f;
    char name[NAME_BYTES];
    int64_t error = copy_name(name, name_at);
    if (error == 0) error = by_path(t, &f, path, follow);
    return error != 0 ? error : set(t, &f, name, 0, 0, KPIO_XATTR_REMOVE);
}
LX_CALL(removexattr) { return remove_path(t, a0, a1, true); }
LX_CALL(lremovexattr) { return remove_path(t, a0, a1, false); }
LX_CALL(fremovexattr) {
    struct target f;
    char name[NAME_BYTES];
    int64_t found = by_fd(t, &f, a0), error = both(found, copy_name(name, a1), name, -EPERM);
    return error != 0 ? error : set(t, &f, name, 0, 0, KPIO_XATTR_REMOVE);
}

// ---- getting -------------------------------------------------------------------------------------------------------------

static int64_t get(struct lx_thread *t, struct target *f, const char *name, uint64_t value, uint64_t size) {
    int64_t result;
    do result = kpio_path_xattr_get(f->at.handle, f->at.path, f->flags, name, (void *)value, size);
    while (again(t, f, result));
    return remote(t, f, result);
}

static int64_t get_path(struct lx_thread *t, uint64_t path, uint64_t name_at, uint64_t value, uint64_t size, bool follow) {
    struct target f;
    char name[NAME_BYTES];
    int64_t error = copy_name(name, name_at);
    if (error == 0) error = by_path(t, &f, path, follow);
    return error != 0 ? error : get(t, &f, name, value, size);
}
LX_CALL(getxattr) { return get_path(t, a0, a1, a2, a3, true); }
LX_CALL(lgetxattr) { return get_path(t, a0, a1, a2, a3, false); }
LX_CALL(fgetxattr) {
    struct target f;
    char name[NAME_BYTES];
    int64_t found = by_fd(t, &f, a0), error = both(found, copy_name(name, a1), name, -ENODATA);
    return error != 0 ? error : get(t, &f, name, a2, a3);
}

static int64_t list(struct lx_thread *t, struct target *f, uint64_t names, uint64_t size) {
    int64_t result;
    do result = kpio_path_xattr_list(f->at.handle, f->at.path, f->flags, (void *)names, size);
    while (again(t, f, result));
    result = remote(t, f, result);
    return result == -EOPNOTSUPP && f->at.mount != NULL ? 0 : result;
}
static int64_t list_path(struct lx_thread *t, uint64_t path, uint64_t names, uint64_t size, bool follow) {
    struct target f;
    int64_t error = by_path(t, &f, path, follow);
    return error != 0 ? error : list(t, &f, names, size);
}
LX_CALL(listxattr) { return list_path(t, a0, a1, a2, true); }
LX_CALL(llistxattr) { return list_path(t, a0, a1, a2, false); }
LX_CALL(flistxattr) {
    struct target f;
    int64_t error = by_fd(t, &f, a0);
    return error == NO_FILE ? 0 : error != 0 ? error : list(t, &f, a1, a2);
}
