// An SDK for file systems that are WebAssembly programs (docs/fuse.md, "File systems in WebAssembly"): what stands between a FUSE
// channel and the functions that answer its requests.
//
//     static int32_t lookup(struct fs *fs, uint64_t dir, const char *name, struct fuse_attr *out) { ... }
//     static const struct fs_operations operations = {.lookup = lookup, ...};
//     int main(void) { return fs_run(&(struct fs){.operations = &operations}); }
//
//     ./kpio app build apps/fs/tar apps/sdk/fs -o tar.wasm
//     ./kpio shell --fs tar.wasm=archive.tar::/mnt
//
// A driver has one thread: what it knows needs no locks. It holds its channel, and the disk that it was given, if any. It can do no harm
// but to its own mount: what it answers is checked in the kernel, and where it traps, hangs or lies, users of the mount get an error.
//
// Nodes are the driver's own numbers, of which 1 is the root; a number must not come to mean another file while the kernel may know it,
// which `forget` ends. Names are bytes without a slash, 1 to 255 of them, and end with a NUL. Times, sizes and modes are Linux's.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/fuse.h"

// What functions return instead of a result, negated: the numbers of KPIO and Linux, which are not those of wasi-libc's errno.h.
enum fs_error {
    FS_EPERM = 1, FS_ENOENT = 2, FS_EIO = 5, FS_ENXIO = 6, FS_EBADF = 9, FS_ENOMEM = 12, FS_EACCES = 13, FS_EEXIST = 17, FS_ENODEV = 19,
    FS_ENOTDIR = 20, FS_EISDIR = 21, FS_EINVAL = 22, FS_EFBIG = 27, FS_ENOSPC = 28, FS_EROFS = 30, FS_EMLINK = 31, FS_ERANGE = 34,
    FS_ENAMETOOLONG = 36, FS_ENOSYS = 38, FS_ENOTEMPTY = 39, FS_ENODATA = 61, FS_EOPNOTSUPP = 95, FS_ENOTCONN = 107, FS_ESTALE = 116,
};

#define FS_TYPE(mode) ((mode) & 0170000u)
#define FS_DIRECTORY 0040000u
#define FS_REGULAR   0100000u
#define FS_SYMLINK   0120000u

// A reply with data that is being made: what was copied into it, and what only is pointed to.
struct fs_reply;
// Bytes behind what is there already; false: there is no room.
bool fs_reply_copy(struct fs_reply *reply, const void *data, uint32_t bytes);
// The driver's own memory, which nobody copies before the kernel does: it must not change before the next request. False: too many pieces.
bool fs_reply_show(struct fs_reply *reply, const void *data, uint32_t bytes);
// Zero bytes, which lie nowhere.
bool fs_reply_zeros(struct fs_reply *reply, uint32_t bytes);
// Room to be filled by the caller, who then tells by fs_reply_filled how much of it. NULL: there is not so much.
uint8_t *fs_reply_room(struct fs_reply *reply, uint32_t bytes);
void fs_reply_filled(struct fs_reply *reply, uint32_t bytes);

// The list of a directory. False: it is full, and the kernel will ask again for what follows `cookie` of the last one that fitted. Cookies
// are above 0 and grow along the list; they go on to mean the same place when others come or go.
struct fs_list;
bool fs_list_add(struct fs_list *list, uint64_t cookie, uint64_t node, uint32_t mode, const char *name);

struct fs;
// One function for each request; all return 0 or a negative FS_E* where nothing else is said. What is NULL is answered with ENOSYS, which
// the kernel tells its callers as EOPNOTSUPP, or does without. `out` is filled in whole: ino is the node. Each node that is told by
// lookup, make or link counts once, until forget takes so many back.
struct fs_operations {
    int32_t (*lookup)(struct fs *fs, uint64_t dir, const char *name, struct fuse_attr *out);
    void (*forget)(struct fs *fs, uint64_t node, uint64_t count);
    int32_t (*attributes)(struct fs *fs, uint64_t node, struct fuse_attr *out);
    int32_t (*change)(struct fs *fs, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *out);  // what in->valid names
    int32_t (*statistics)(struct fs *fs, struct fuse_statfs_out *out);
    // Files: of any offset and size; a read ends at the end of the file. write returns how much it took.
    int32_t (*open)(struct fs *fs, uint64_t node, uint32_t flags);                                             // NULL: anybody may
    int32_t (*read)(struct fs *fs, uint64_t node, uint64_t offset, uint32_t bytes, struct fs_reply *reply);
    int64_t (*write)(struct fs *fs, uint64_t node, uint64_t offset, const uint8_t *data, uint32_t bytes);
    int32_t (*sync)(struct fs *fs, uint64_t node);                                                             // NULL: nothing to do
    int32_t (*allocate)(struct fs *fs, uint64_t node, uint32_t mode, uint64_t offset, uint64_t bytes);         // fallocate(2)'s modes
    int64_t (*seek)(struct fs *fs, uint64_t node, uint64_t offset, bool data);                                 // SEEK_DATA, SEEK_HOLE
    // Names. make: of a file, directory or node, by mode; a symbolic link's target is not NULL.
    int32_t (*list)(struct fs *fs, uint64_t dir, uint64_t after, struct fs_list *list);                        // 0: from the beginning
    int32_t (*read_link)(struct fs *fs, uint64_t node, struct fs_reply *reply);
    int32_t (*make)(struct fs *fs, uint64_t dir, const char *name, uint32_t mode, uint32_t rdev, const char *target, struct fuse_attr *out);
    int32_t (*link)(struct fs *fs, uint64_t node, uint64_t dir, const char *name, struct fuse_attr *out);
    int32_t (*unlink)(struct fs *fs, uint64_t dir, const char *name, bool directory);
    int32_t (*rename)(struct fs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, uint32_t flags);  // FUSE_RENAME_*
    // Extended attributes. Get and list put all of the value, or all names with their NULs, into the reply.
    int32_t (*get_extended)(struct fs *fs, uint64_t node, const char *name, struct fs_reply *reply);
    int32_t (*list_extended)(struct fs *fs, uint64_t node, struct fs_reply *reply);
    int32_t (*set_extended)(struct fs *fs, uint64_t node, const char *name, const uint8_t *value, uint32_t bytes, uint32_t flags);
    int32_t (*remove_extended)(struct fs *fs, uint64_t node, const char *name);
};

struct fs {
    const struct fs_operations *operations;
    void *context;
    uint64_t valid_ns;   // how long the kernel may take names and attributes for true without asking; 0: never
    // FUSE_* of INIT that are wanted besides the SDK's own: FUSE_WRITEBACK_CACHE; FUSE_DO_READDIRPLUS (a list has the kernel told what
    // lookup says of each name, which it need not ask then).
    uint32_t flags;
    bool direct;         // the kernel caches no content
    bool single_writer;  // content changes only through this mount: what the kernel cached holds when a file is opened again
};
// In one of the driver's sources: words for who mounts it, in a section that goes with the module. "stateless": its nodes mean the same
// after it was started again, and what was asked of it may be asked once more, so what is open goes on.
#define FS_WORDS(words) __asm__(".section .custom_section.kpio_fs,\"\",@\n.asciz \"" words "\"\n.text\n")

// Answers requests until the mount ends: 0, or 1 with a message. Settings of the command line, as words: valid_ms=N direct=1 writeback=1
// plus=1.
int fs_run(struct fs *fs, int argc, char **argv);

// ---- the disk -------------------------------------------------------------------------------------------------------------------
// What the driver was given, in bytes; -FS_ENODEV: no disk. Any offset and size can be read; writes are of whole sectors of 512 bytes (or
// larger, if the disk's are), and durable after fs_disk_flush.
int64_t fs_disk_size(void);
int32_t fs_disk_read(uint64_t offset, void *to, uint32_t bytes);
int32_t fs_disk_write(uint64_t offset, const void *from, uint32_t bytes);
int32_t fs_disk_flush(void);
