// What a directory handle names: a place, the place that paths do not leave, and the mounts that they see.
#pragma once
#include "kernel/fs/vfs/mount.h"
#include "kernel/object/handle.h"

struct directory {
    struct object object;
    struct object *family;      // whose derivation lock is ours; referenced; NULL: our own
    struct mount_table *table;  // this and the next two with references
    struct place at, root;
    struct mutex lock;          // offset
    uint64_t offset;            // of directory_read: a cookie
};
static inline struct directory *directory_of(struct object *o) { return container_of(o, struct directory, object); }

// What a handle got through another has beside the rights of access: as that one.
#define FS_RIGHTS_COMMON                                                                                               \
    (KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE)
#define FS_RIGHTS_ACCESS (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_EXECUTE)
#define DIRECTORY_RIGHTS (FS_RIGHTS_COMMON | FS_RIGHTS_ACCESS | KPIO_RIGHT_MANAGE)

void directory_init(void);
// With a reference for the caller; takes its own on table and places. `family`: an object of the derivation tree that it will
// live in, or NULL. -ENOMEM, -ENFILE.
[[nodiscard]] int directory_create(struct job *job, struct mount_table *table, const struct place *at, const struct place *root,
                                   struct object *family, struct directory **out);
// An object that lives in the tree of `through` (at creation, before it has handles): returns whom it must keep.
struct object *object_join_family(struct object *o, struct object *through);
// The path from `root` to the place, a directory's, as directory_path. The caller holds both.
[[nodiscard]] int64_t place_path(const struct place *at, const struct place *root, char *buffer, size_t size);
// The path from the root to the directory, terminated: its length, -ERANGE, -ENOENT (it was deleted or moved out), -ENOMEM.
[[nodiscard]] int64_t directory_path(struct directory *d, char *buffer, size_t size);
