// mount and umount. What is mounted is seen by everybody whose root is of the same tree: the programs of a session. It takes a directory's
// handle with the right MANAGE to the place; being user 0 is nothing.
#include "abi/gen/stubs.h"
#include "lib/string.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fuse.h"
#include "user/liblinux/heap.h"
#include "user/liblinux/local.h"

#define TEXT_MAX 4096u                // of the source, the type and the options

enum {
    MS_RDONLY = 1, MS_REMOUNT = 32, MS_NOATIME = 1024, MS_BIND = 4096, MS_MOVE = 8192, MS_UNBINDABLE = 1 << 17, MS_PRIVATE = 1 << 18,
    MS_SLAVE = 1 << 19, MS_SHARED = 1 << 20, MS_PROPAGATION = MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED,
};

struct mounting {
    char source[TEXT_MAX], type[TEXT_MAX], options[TEXT_MAX];
    uint32_t flags;                   // MS_*
};

static int64_t copy_text(char to[TEXT_MAX], uint64_t from) {
    int64_t bytes = from == 0 ? 0 : lx_copy_string(to, from, TEXT_MAX);
    return bytes < 0 ? bytes : (uint64_t)bytes == TEXT_MAX ? -EINVAL : 0;
}

// A directory that may be mounted on, or mounted elsewhere: a handle of the caller's.
static int64_t open_place(struct lx_thread *t, uint64_t path, uint32_t flags) {
    struct lx_at at;
    int64_t result = lx_at_begin(t, &at, (uint64_t)LX_AT_FDCWD, path);
    if (result != 0) return result;
    do result = kpio_path_open(at.handle, at.path, KPIO_OPEN_BY_TYPE | KPIO_OPEN_DIRECTORY | flags, 0, 0);
    while (lx_at_again(t, &at, result));
    if (result == -EREMOTE) {
        struct kpio_stat stat;
        result = lx_local_stat(t, &at, true, &stat);
        if (result == 0) result = (stat.mode & LX_S_IFMT) == LX_S_IFDIR ? -EPERM : -ENOTDIR;
    }
    return result < 0 ? result : (int64_t)(uint32_t)result;
}

static uint32_t native_flags(uint32_t flags) {
    return (flags & MS_RDONLY ? KPIO_MOUNT_READ_ONLY : 0u) | (flags & MS_NOATIME ? KPIO_MOUNT_NO_ACCESS_TIME : 0u);
}

// Shows the directory of a handle, which is closed.
static int64_t attach(kpio_handle place, int64_t what, uint32_t flags) {
    if (what < 0) return what;
    int64_t error = kpio_mount_attach(place, NULL, (kpio_handle)what, native_flags(flags) & KPIO_MOUNT_READ_ONLY, 0);
    (void)kpio_handle_close((uint64_t)what);
    return error;
}

// "fuse" or "fuseblk", alone or with a dot and the driver's name.
static const char *fuse_subtype(const char *type) {
    const size_t bytes = strncmp(type, "fuseblk", 7) == 0 ? 7 : 4;
    if (strncmp(type, "fuse", 4) != 0 || (type[bytes] != 0 && type[bytes] != '.')) return NULL;
    return type[bytes] == 0 ? "" : type + bytes + 1;
}

static int64_t mount_new(struct lx_thread *t, const struct mounting *m, kpio_handle place) {
    const char *subtype = fuse_subtype(m->type);
    if (subtype != NULL) return lx_fuse_mount(t, place, m->source, subtype, m->options, native_flags(m->flags));
    if (strcmp(m->type, "tmpfs") == 0 || strcmp(m->type, "ramfs") == 0)
        return attach(place, kpio_fs_mount("tmpfs", 0, native_flags(m->flags), NULL), m->flags);
    return -ENODEV;
}

static int64_t mount_at(struct lx_thread *t, struct mounting *m, const uint64_t a[5]) {
    int64_t error = copy_text(m->type, a[2]);
    if (error == 0) error = copy_text(m->source, a[0]);
    if (error == 0) error = a[4] == 0 ? 0 : lx_copy_string(m->options, a[4], TEXT_MAX);
    if (error < 0) return error;
    m->options[TEXT_MAX - 1] = 0;
    int64_t place = open_place(t, a[1], 0);
    if (place < 0) return place;
    if (m->flags & (MS_REMOUNT | MS_MOVE)) error = -EINVAL;
    else if (m->flags & MS_BIND) error = attach((kpio_handle)place, open_place(t, a[0], 0), m->flags);
    else if (m->flags & MS_PROPAGATION) error = m->flags & MS_PRIVATE ? 0 : -EINVAL;
    else error = a[2] == 0 ? -EINVAL : mount_new(t, m, (kpio_handle)place);
    (void)kpio_handle_close((uint64_t)place);
    return error;
}

// What is the user's to do on Linux is here what a handle may.
static int64_t result_of(int64_t error) { return error == -EACCES ? -EPERM : error; }

// ABI mount: fuse and tmpfs (without options), folders with MS_BIND; no MS_REMOUNT and MS_MOVE; by who has a root with the right MANAGE
LX_CALL(mount) {
    struct mounting *m = lx_alloc(lx_space(t), sizeof *m);
    const uint64_t arguments[] = {a0, a1, a2, a3, a4};
    if (m == NULL) return -ENOMEM;
    m->flags = (uint32_t)a3;
    if ((m->flags & 0xffff0000u) == 0xc0ed0000u) m->flags &= 0xffffu;  // as programs of old said that they have flags
    int64_t error = mount_at(t, m, arguments);
    lx_free(lx_space(t), m, sizeof *m);
    return result_of(error);
}

enum { MNT_FORCE = 1, MNT_DETACH = 2, MNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8 };

// ABI umount2: no MNT_EXPIRE
LX_CALL(umount2) {
    struct lx_at at;
    struct kpio_stat stat;
    const uint32_t flags = (uint32_t)a1, follow = flags & UMOUNT_NOFOLLOW ? KPIO_PATH_NO_FOLLOW : 0;
    if (flags & ~(uint32_t)(MNT_FORCE | MNT_DETACH | UMOUNT_NOFOLLOW)) return -EINVAL;
    int64_t error = lx_at_begin(t, &at, (uint64_t)LX_AT_FDCWD, a0);
    if (error != 0) return error;
    if (follow != 0 && kpio_path_stat(at.handle, at.path, follow, &stat) == 0 && (stat.mode & LX_S_IFMT) == LX_S_IFLNK) return -EINVAL;
    const uint32_t how = (flags & MNT_DETACH ? KPIO_DETACH_LAZY : 0u) | (flags & MNT_FORCE ? KPIO_DETACH_FORCE : 0u);
    do error = kpio_mount_detach(at.handle, at.path, how);
    while (lx_at_again(t, &at, error));
    return error == -EREMOTE || error == -ENOTDIR ? -EINVAL : result_of(error);
}
