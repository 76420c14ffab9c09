// tmpfs: a file system in memory. Its inodes live in the inode cache until they are deleted; a directory keeps its entries in
// two trees, by hash of the name and by cookie; a file's content is a VMO. All of it is charged to a job of the file system's
// own, below that of the process which mounted it: its limits are the size= and inodes= options.
#pragma once
#include "kernel/fs/vfs/fs.h"
#include "kernel/object/job.h"
#include "lib/rbtree.h"
#include "lib/string.h"

struct tmpfs {
    struct filesystem fs;
    struct job *job;
    uint64_t pages, inode_limit;
    uint64_t inodes, last_number;   // atomic
};
struct tmpfs_inode {
    struct inode inode;
    union {
        struct {
            struct rb_tree by_name, by_cookie;
            uint64_t last_cookie;
        };
        char *target;
    };
    struct list xattrs;             // struct tmpfs_xattr
    uint32_t xattr_bytes;
};
struct tmpfs_entry {
    struct rb_node by_name, by_cookie;
    uint64_t cookie, number;
    uint32_t hash, type;
    uint8_t bytes;
    char text[];
};
static inline struct tmpfs *tmpfs_of(struct filesystem *fs) { return container_of(fs, struct tmpfs, fs); }
static inline struct tmpfs_inode *tmpfs_inode_of(struct inode *inode) { return container_of(inode, struct tmpfs_inode, inode); }

extern const struct inode_ops tmpfs_inode_ops;

// Kernel memory charged to the file system: NULL when there is none, or no quota.
void *tmpfs_alloc(struct tmpfs *t, size_t bytes);
void tmpfs_free(struct tmpfs *t, void *memory, size_t bytes);

// ---- entries; the directory's lock is held as inode_ops say ---------------------------------------------------------------
struct tmpfs_entry *tmpfs_entry_find(struct tmpfs_inode *dir, const char *name, size_t bytes);
// -ENOSPC.
[[nodiscard]] int tmpfs_entry_add(struct tmpfs_inode *dir, const char *name, size_t bytes, const struct inode *inode);
void tmpfs_entry_remove(struct tmpfs_inode *dir, struct tmpfs_entry *entry);
void tmpfs_entries_clear(struct tmpfs_inode *dir);
static inline bool tmpfs_is_empty(const struct tmpfs_inode *dir) { return rb_is_empty(&dir->by_name); }
int tmpfs_read_directory(struct inode *dir, uint64_t cookie, fs_emit *emit, void *context);

int64_t tmpfs_xattr_get(struct inode *inode, const char *name, void *value, size_t size);
int tmpfs_xattr_set(struct inode *inode, const char *name, const void *value, size_t size, unsigned flags);
int tmpfs_xattr_remove(struct inode *inode, const char *name);
int64_t tmpfs_xattr_list(struct inode *inode, char *list, size_t size);
void tmpfs_xattrs_clear(struct tmpfs_inode *inode);
