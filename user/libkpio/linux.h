// Starting Linux programs from native ones. The library that serves them (user/liblinux) comes from the boot archive.
#pragma once
#include "user/libkpio/linux_launch.h"
#include "user/libkpio/process.h"

struct linux_spec {
    const char *path;                     // of the executable, from root
    kpio_handle program;                  // the executable's file, copied, where `path` only names it; or 0
    const char *const *arguments;         // argv, NULL at its end
    const char *const *environment;       // "KEY=value", NULL at its end; may be NULL
    kpio_handle job;
    const struct archive *archive;        // has /lib/liblinux.so
    kpio_handle root, cwd;                // directories, copied with all their rights; cwd 0: the root
    kpio_handle memory_fs, posixd;        // or 0
    kpio_handle system;                   // the system, copied with INSPECT, for /proc, and LOG, for traces; or 0
    kpio_handle fuse, disk;               // copied, for a driver that knows native calls (KPIO_AT_*); or 0
    const struct lx_launch_fd *fds;       // handles of the caller, copied
    uint32_t fd_count;
    uint32_t options;                     // of process_create
};
// Starts it: a handle on the process, whose exit status is what wait() tells on Linux, or a negative errno and *what (never NULL
// then) says which step failed.
[[nodiscard]] int64_t linux_spawn(const struct linux_spec *spec, const char **what);

// Copies what the boot archive has below PREFIX/ to a directory: files with their modes, folders as they are needed. 0 or a
// negative errno.
[[nodiscard]] int64_t linux_unpack(const struct archive *archive, const char *prefix, kpio_handle directory);
