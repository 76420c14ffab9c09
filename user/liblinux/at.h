// Where the path of a call begins. The kernel copies the path from the program's memory and walks it in the same native call
// that does the work:
//
//     struct lx_at at;
//     int64_t result = lx_at_begin(t, &at, dirfd, path);
//     if (result != 0) return result;
//     do result = kpio_path_make(at.handle, at.path, ...);
//     while (lx_at_again(t, &at, result));
//     if (result == -EREMOTE) ... at.mount serves what is there, at.text says what (local.h)
#pragma once
#include "abi/gen/errors.h"
#include "user/liblinux/context.h"

struct lx_local_mount;
enum { LX_AT_NO_LINKS = 1, LX_AT_NO_MAGIC };  // MAGIC: links of /proc that stand for what a process has open

struct lx_at {
    kpio_handle handle;                   // a directory, borrowed from the process or a descriptor; with path NULL: anything
    const char *path;                     // the program's, or `text`; NULL: the handle's own file
    const struct lx_local_mount *mount;   // after EREMOTE
    uint32_t led;                         // times that a local mount led elsewhere
    uint8_t refuse;                       // LX_AT_NO_*: links of local mounts that are not followed; set after lx_at_begin
    bool refused;                         // there was one
    bool slash;                           // after EREMOTE: the path said that it means a directory, which `text` does not
    char text[KPIO_PATH_MAX];             // not touched while the kernel alone serves the path
};

// 0, -EBADF, -ENOTDIR, -EFAULT.
[[nodiscard]] int64_t lx_at_begin(struct lx_thread *t, struct lx_at *at, uint64_t dirfd, uint64_t path);
// The same for openat2's BENEATH and IN_ROOT: absolute paths begin at the directory too.
[[nodiscard]] int64_t lx_at_begin_scoped(struct lx_thread *t, struct lx_at *at, uint64_t dirfd, uint64_t path);
// The same where AT_EMPTY_PATH may be among the flags: then an empty path means the descriptor's own file. Descriptors without one
// in the kernel: -EBADF.
[[nodiscard]] int64_t lx_at_begin_empty(struct lx_thread *t, struct lx_at *at, uint64_t dirfd, uint64_t path, uint64_t flags);
// A descriptor's own file: handle of a kernel file or directory, or of a FIFO's pipe; 0, -EBADF. `path`: an O_PATH descriptor will do.
[[nodiscard]] int64_t lx_at_own(struct lx_thread *t, struct lx_at *at, uint64_t fd, bool path);
// The path led into a local mount.
[[nodiscard]] bool lx_at_remote(struct lx_thread *t, struct lx_at *at, bool follow);

// Whether the native call is to be made again, because the path leads out of a local mount. Links at the end are followed there;
// lx_at_again_nofollow: they are not.
static inline bool lx_at_again(struct lx_thread *t, struct lx_at *at, int64_t result) {
    return __builtin_expect(result == -EREMOTE, 0) && lx_at_remote(t, at, true);
}
static inline bool lx_at_again_nofollow(struct lx_thread *t, struct lx_at *at, int64_t result) {
    return __builtin_expect(result == -EREMOTE, 0) && lx_at_remote(t, at, false);
}
// Of calls with two paths, when one of them was told to be remote: -EREMOTE if this one stays so, else 0.
[[nodiscard]] int64_t lx_at_settle(struct lx_thread *t, struct lx_at *at, bool follow);
