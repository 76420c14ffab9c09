// Status flags of open files. Those that fcntl changes are in the kernel's file, where duplicates share them; what stays as it was
// opened is in the descriptor (lx_fd.extra).
#pragma once
#include "abi/fs.h"
#include "user/liblinux/linux.h"

#define LX_FILE_NONBLOCK (1u << 24)   // of the holder's own bits of file_flags
#define LX_FILE_ASYNC    (1u << 25)
#define LX_FILE_DIRECT   (1u << 26)

#define LX_O_CHANGEABLE (LX_O_APPEND | LX_O_NONBLOCK | LX_O_ASYNC | LX_O_DIRECT | LX_O_NOATIME)  // by F_SETFL
#define LX_O_STORED     (LX_O_CHANGEABLE | LX_O_SYNC)

static inline uint32_t lx_file_flags_native(uint64_t flags) {
    uint32_t native = 0;
    if (!(flags & LX_O_STORED)) return 0;
    if (flags & LX_O_APPEND) native |= KPIO_OPEN_APPEND;
    if ((flags & LX_O_SYNC) == LX_O_SYNC) native |= KPIO_OPEN_SYNC;
    else if (flags & LX_O_DSYNC) native |= KPIO_OPEN_DATA_SYNC;
    if (flags & LX_O_NOATIME) native |= KPIO_OPEN_NO_ACCESS_TIME;
    if (flags & LX_O_NONBLOCK) native |= LX_FILE_NONBLOCK;
    if (flags & LX_O_ASYNC) native |= LX_FILE_ASYNC;
    if (flags & LX_O_DIRECT) native |= LX_FILE_DIRECT;
    return native;
}

static inline uint32_t lx_file_flags_linux(uint32_t native) {
    uint32_t flags = 0;
    if (native & KPIO_OPEN_APPEND) flags |= LX_O_APPEND;
    if (native & KPIO_OPEN_SYNC) flags |= LX_O_SYNC;
    if (native & KPIO_OPEN_DATA_SYNC) flags |= LX_O_DSYNC;
    if (native & KPIO_OPEN_NO_ACCESS_TIME) flags |= LX_O_NOATIME;
    if (native & LX_FILE_NONBLOCK) flags |= LX_O_NONBLOCK;
    if (native & LX_FILE_ASYNC) flags |= LX_O_ASYNC;
    if (native & LX_FILE_DIRECT) flags |= LX_O_DIRECT;
    return flags;
}

// For lx_fd.extra.
static inline uint32_t lx_file_flags_kept(uint64_t flags) {
    return (uint32_t)flags & (LX_O_ACCMODE | LX_O_LARGEFILE | LX_O_DIRECTORY | LX_O_NOFOLLOW | LX_O_PATH | LX_O_TMPFILE);
}
