// What the calls with paths share. A call names its object by a handle and a path, or by a handle alone (path 0).
#pragma once
#include "abi/fs.h"
#include "kernel/fs/vfs/file.h"
#include "kernel/fs/vfs/walk.h"
#include "kernel/mm/slub.h"
#include "kernel/syscall/args.h"

#define PATH_SMALL 120

struct path_text {
    char *text;              // NULL: none was given
    char small[PATH_SMALL];
};
// Copies a path: 0, -ENAMETOOLONG, -EFAULT, -ENOMEM. Address 0: none. Always to be followed by path_free.
[[nodiscard]] int path_copy(struct path_text *p, uint64_t address);
static inline void path_free(struct path_text *p) {
    if (unlikely(p->text != NULL && p->text != p->small)) kfree(p->text);
}

struct target {
    struct path_text path;
    struct walk walk;
    struct place at;         // what was found
    uint32_t rights;         // of the handle, and of the mount
    struct object *held;     // of a file's handle
};
// Finds what the handle and path mean. file_rights: needed of a file's handle (path 0), directory_rights of a directory's.
// It stands in RCU mode unless `hold`. Always to be followed by target_end.
[[nodiscard]] int target_find(struct target *t, uint64_t handle, uint64_t path, uint64_t flags, uint32_t directory_rights,
                              uint32_t file_rights, bool hold);
void target_end(struct target *t);

// The directory and last component that a path names, held, for a change there.
struct parent_of {
    struct path_text path;
    struct walk walk;
    uint32_t rights;         // of access: of the handle, and of the mount
};
[[nodiscard]] int parent_find(struct parent_of *p, uint64_t handle, uint64_t path, uint64_t flags);
static inline void parent_end(struct parent_of *p) {
    walk_end(&p->walk);
    path_free(&p->path);
}
#define PATH_FLAGS_ALL                                                                                                \
    (uint64_t)(KPIO_PATH_NO_FOLLOW | KPIO_PATH_NO_LINKS | KPIO_PATH_NO_MOUNTS | KPIO_PATH_BENEATH | KPIO_PATH_IN_ROOT)
