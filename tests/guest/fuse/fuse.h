// What the cases of the suite share.
#pragma once
#include "lib/string.h"
#include "tests/guest/kt/kt.h"
#include "user/libkpio/fuse.h"

#define RW (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE)

struct mounted {
    kpio_handle channel, process, root;
};
// Mounts bin/memfs with these settings (key, value, ..., NULL; NULL: none) and mount options.
void mounted_begin(struct mounted *m, const char *const *settings, const char *options);
// A driver of the suite's own, KT_CHILD(name), in place of memfs.
void mounted_begin_child(struct mounted *m, const char *child, const char *options);
void mounted_start(struct mounted *m, const char *const *settings);  // memfs, again
void mounted_start_child(struct mounted *m, const char *child);
// Whether drivers are WebAssembly programs (kpio.driver=wasm): apps/fs/memory in place of memfs, tests/wasm/fs in place of children.
bool mounted_in_wasm(void);
// What a native child answers for a result of flawed.h.
int64_t flawed_result(int64_t result);
// The same for one that no driver in WebAssembly can stand for: the case is left out there.
void mounted_begin_native(struct mounted *m, const char *child, const char *options);
void mounted_kill(struct mounted *m);   // the driver
void mounted_end(struct mounted *m);
struct kpio_fuse_info mounted_info(const struct mounted *m);
void mounted_ready(const struct mounted *m);  // waits until the driver has begun

// ---- drivers of one file, which are asked how they stand by names: there is none (ENOENT) when it is so, else EBUSY -----------------
#define PLAIN_NODE 2u
#define PLAIN_HANDLE 77u
#define PLAIN_NOT INT64_MIN   // another operation
struct plain_file {
    uint64_t size;
    uint32_t open_flags;
    bool (*is_so)(const char *what);
};
// LOOKUP of "file" and of what is asked, GETATTR, OPEN, FORGET.
int64_t plain_answer(const struct plain_file *file, const struct fuse_call *call);
int64_t ask_driver(const struct mounted *m, const char *what);   // -ENOENT, -EBUSY
void await_driver(const struct mounted *m, const char *what);
// Answers a request of earlier; its result as kpio_fuse_reply's.
int64_t answer_late(struct fuse_driver *driver, uint64_t unique, int32_t error, const void *body, uint32_t bytes);

kpio_handle open_file(kpio_handle dir, const char *path, uint32_t flags, uint32_t rights);
struct kpio_stat stat_of(kpio_handle dir, const char *path);
unsigned count_entries(kpio_handle dir);
