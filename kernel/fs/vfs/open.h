// Opening by path, and what else makes a handle from a walk.
#pragma once
#include "kernel/fs/vfs/directory.h"
#include "kernel/fs/vfs/file.h"

struct open_request {
    kpio_handle directory;
    const char *path;
    uint32_t flags;     // KPIO_OPEN_*, KPIO_PATH_*
    uint32_t mode;      // of a file that is created
    uint32_t rights;    // wanted: of READ, WRITE, EXECUTE; or KPIO_RIGHTS_SAME
};
// The handle, in the running process: handle | mode << 32. Errors as open(2); -EACCES: the directory handle lacks a right.
[[nodiscard]] int64_t vfs_open(const struct open_request *request);
// The same for a FIFO: a handle on an end of its pipe, the reading or the writing one, as the rights say. What the other side was opened
// stands in bits 32 to 62. flags: KPIO_PATH_*, KPIO_FIFO_*. -EINVAL: it is none; -ENXIO: KPIO_FIFO_NEED_PEER, and there is none.
[[nodiscard]] int64_t vfs_open_fifo(const struct open_request *request);
// The WALK_* of KPIO_PATH_* flags.
uint32_t walk_flags_of(uint32_t path_flags);
// After -EREMOTE: tells the thread what is left of the path (message page) and the mount's key (thread block).
struct walk;
int walk_tell_rest(const struct walk *w);
