// Local mounts: parts of the tree that no file system holds and liblinux itself serves (/dev, /proc). Whoever starts the first
// program attaches them (linux_spawn); a path that meets one comes back from the kernel with EREMOTE, the key of the mount, and
// what is left of the path, which lx_at_remote cleans: at->text has neither ".", ".." nor slashes at its ends, and is empty for
// the mount itself.
#pragma once
#include "user/liblinux/at.h"
#include "user/liblinux/fd.h"

struct lx_local_mount {
    uint64_t key;
    const char *point;   // where it is attached, from the root
    // A link on the way (or, `last`, at the end and to be followed): puts where it leads into at->handle, path and text and
    // returns true. NULL: there are none.
    bool (*follow)(struct lx_thread *t, struct lx_at *at, bool last);
    // Each: 0 or a negative errno (-ENOENT: nothing is there). NULL: there is none.
    int64_t (*stat)(struct lx_thread *t, const char *path, bool follow, struct kpio_stat *out);
    // A descriptor for it; LX_FD_READ and LX_FD_WRITE are set by the caller. flags: LX_O_*.
    int64_t (*open)(struct lx_thread *t, const char *path, uint64_t flags, struct lx_fd *out);
    // The text of a link, at most `size` bytes: how many, -EINVAL: it is none.
    int64_t (*readlink)(struct lx_thread *t, const char *path, char *out, uint64_t size);
    // The next entry of a directory, without "." and "..": 0 with a name of at most 255 bytes, -ENOENT behind the last, -ENOTDIR.
    // *cursor is 0 for the first and leads to the next one. *type: mode >> 12.
    int64_t (*list)(struct lx_thread *t, const char *path, uint64_t *cursor, char name[256], uint64_t *inode, uint8_t *type);
};
#define LX_DEV_INODE(minor) (2u + (minor))  // in /dev, of a device
extern const struct lx_local_mount lx_local_dev, lx_local_proc, lx_local_sys;

// The mount of a key, or NULL.
const struct lx_local_mount *lx_local_find(uint64_t key);
// The mount that an absolute path leads into, which is cut to what is below it.
const struct lx_local_mount *lx_local_of(char path[KPIO_PATH_MAX]);
// What all nodes of a mount have in common.
void lx_local_stat_begin(const struct lx_local_mount *mount, struct kpio_stat *out);
// What at->mount has at at->text, as the calls need it.
[[nodiscard]] int64_t lx_local_stat(struct lx_thread *t, const struct lx_at *at, bool follow, struct kpio_stat *out);
[[nodiscard]] int64_t lx_local_open(struct lx_thread *t, const struct lx_at *at, uint64_t flags, struct lx_fd *out);
[[nodiscard]] int64_t lx_local_readlink(struct lx_thread *t, const struct lx_at *at, uint64_t buffer, uint64_t size);
// Parts of a path below a mount, each up to the end of a name: the one behind *bytes (0: the first), which becomes its length.
// False: there is none, or it is the whole path and that is not wanted (`last`). `part` has room for the path.
[[nodiscard]] bool lx_local_next_part(const char *path, bool last, size_t *bytes, char *part);
// Whether there is a link that at->refuse tells of on the way of at->text, or (`last`) at its end.
[[nodiscard]] bool lx_local_has_link(struct lx_thread *t, const struct lx_at *at, bool last);
// What a call that would change something there returns: -EROFS, or what stat says.
[[nodiscard]] int64_t lx_local_change(struct lx_thread *t, const struct lx_at *at);
// A call that wants to make a name there: -EEXIST, -EROFS.
[[nodiscard]] int64_t lx_local_make(struct lx_thread *t, const struct lx_at *at);

// A device by its number (major << 32 | minor), opened: 0 or -ENXIO, or what making it says. flags: LX_O_*.
[[nodiscard]] int64_t lx_device_open(uint64_t device, uint64_t flags, struct lx_fd *out);

// ---- open local directories ----------------------------------------------------------------------------------------------
// A descriptor of kind LX_KIND_LOCAL: handle is a file in memory_fs, so that duplicates share the offset. It begins with the
// absolute path, terminated, up to LX_LOCAL_HEAD; behind it stand the entries as getdents64 gives them.
#define LX_LOCAL_HEAD 4096u
[[nodiscard]] int64_t lx_local_open_directory(struct lx_thread *t, const struct lx_at *at, struct lx_fd *out);
// The path of such a descriptor: 0, -EIO.
[[nodiscard]] int64_t lx_local_path(const struct lx_fd *fd, char out[KPIO_PATH_MAX]);
[[nodiscard]] int64_t lx_local_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size);
