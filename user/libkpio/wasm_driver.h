// Starting drivers of file systems that are WebAssembly programs (docs/fuse.md): wasmhost runs one, with nothing but its end of the
// channel, a disk if it has one, and its streams.
#pragma once
#include "user/libkpio/linux.h"

struct wasm_driver {
    const struct archive *archive;     // has /lib/kpio/wasmhost, /lib/liblinux.so and the artifact
    const char *artifact;              // its path there, as "lib/kpio/fs/NAME.aot"
    const char *name;                  // what it is called
    const char *memory_limit;          // of its linear memory, as "256M"
    const char *const *arguments;      // behind its name, NULL at the end; at most WASM_DRIVER_ARGUMENTS
    kpio_handle memory;                // a file system in memory that may be executed from: host and artifact are copied to it
    kpio_handle job;
    kpio_handle channel, disk;         // copied; disk may be 0
    const struct lx_launch_fd *fds;    // its streams, copied; may be NULL
    uint32_t fd_count;
};
#define WASM_DRIVER_ARGUMENTS 12u
// A handle on the process, or a negative errno and *what says which step failed. The channel's handle stays the caller's: while there is
// one the kernel does not see that the driver is gone.
[[nodiscard]] int64_t wasm_driver_spawn(const struct wasm_driver *driver, const char **what);
