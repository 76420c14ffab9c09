// /dev/fuse: see fd_fuse.c.
#pragma once
#include "user/liblinux/fd.h"

#define LX_FUSE_NUMBER (10ull << 32 | 229)  // of the device
#define LX_FUSE_CLONE  0x8004e500u          // FUSE_DEV_IOC_CLONE

// A new channel. flags: LX_O_*.
[[nodiscard]] int64_t lx_fuse_open(uint64_t flags, struct lx_fd *out);
// Makes descriptor `number`, which is `fd`, one on the channel of another, whose number is at `argument`.
[[nodiscard]] int64_t lx_fuse_clone(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, uint64_t argument);
// mount(2) of a type that a driver serves: shows its channel, as the options say, in the directory. subtype: behind the dot, or "".
// flags: KPIO_MOUNT_*.
[[nodiscard]] int64_t lx_fuse_mount(struct lx_thread *t, kpio_handle directory, const char *source, const char *subtype,
                                    const char *options, uint32_t flags);
