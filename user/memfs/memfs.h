// A file system in this process's memory, as an example of a driver: nodes by number, names in directories, pages in trees.
//
// One lock for all. A node lives while it has a name or the mount knows it (lookups).
#pragma once
#include "lib/list.h"
#include "lib/rbtree.h"
#include "user/libkpio/kpio.h"

#define PAGE_BYTES 4096u

struct memfs_time {
    uint64_t seconds;
    uint32_t nanoseconds;
};
struct memfs_page {
    struct rb_node node;           // in node->pages, by index
    uint64_t index;
    uint8_t data[PAGE_BYTES];
};
struct memfs_xattr {
    struct list_node node;
    uint32_t name_bytes, value_bytes;
    char text[];                   // name with its NUL, value
};
struct memfs_node {
    struct rb_node by_number;
    uint64_t number, lookups, size, pages_used;
    uint32_t mode, links, uid, gid, rdev;
    struct memfs_time accessed, modified, changed;
    struct rb_tree pages;          // regular
    struct list entries;           // directory: struct memfs_entry, by cookie
    uint64_t last_cookie;
    struct memfs_node *parent;
    char *target;                  // symlink
    struct list xattrs;
};
struct memfs_entry {
    struct list_node node;
    uint64_t cookie;
    struct memfs_node *child;
    uint32_t bytes;
    char name[];
};
struct memfs {
    struct mutex lock;
    struct rb_tree nodes;
    uint64_t last_number, count;
    uint64_t valid_ns;             // how long names and attributes hold
    bool direct;                   // files are not cached
    bool alone;                    // one thread answers
    struct memfs_node *root;
};

// ---- node.c ---------------------------------------------------------------------------------------------------------------
int64_t memfs_begin(struct memfs *m);
struct memfs_node *memfs_find(struct memfs *m, uint64_t number);
struct memfs_node *memfs_make(struct memfs *m, uint32_t mode);  // NULL: no memory
void memfs_settle(struct memfs *m, struct memfs_node *node);   // frees it if nothing leads to it
struct memfs_entry *memfs_lookup(struct memfs_node *dir, const char *name);
int64_t memfs_enter(struct memfs_node *dir, const char *name, struct memfs_node *child);
void memfs_remove(struct memfs_node *dir, struct memfs_entry *entry);
void memfs_touch(struct memfs_node *node, bool content);       // changed, and if so modified, now
void memfs_attr(const struct memfs_node *node, struct fuse_attr *out);
void memfs_entry_out(struct memfs *m, struct memfs_node *node, struct fuse_entry_out *out);  // counts a lookup

// ---- data.c -----------------------------------------------------------------------------------------------------------------
void memfs_resize(struct memfs_node *node, uint64_t size);
uint32_t memfs_read(const struct memfs_node *node, uint64_t offset, uint32_t bytes, uint8_t *to);
// The same as pieces of the reply, which holds them until the next request: for one thread. False: they are too many.
bool memfs_show(const struct memfs_node *node, uint64_t offset, uint32_t bytes, const struct fuse_call *call);
int64_t memfs_write(struct memfs_node *node, uint64_t offset, uint32_t bytes, const uint8_t *from);
void memfs_punch(struct memfs_node *node, uint64_t offset, uint64_t bytes);
int64_t memfs_seek(const struct memfs_node *node, uint64_t offset, bool data);

// ---- answer.c, xattr.c --------------------------------------------------------------------------------------------------------
int64_t memfs_answer(struct fuse_driver *driver, const struct fuse_call *call);
int64_t memfs_xattr_get(struct memfs_node *node, const struct fuse_call *call);
int64_t memfs_xattr_set(struct memfs_node *node, const struct fuse_call *call);
int64_t memfs_xattr_list(struct memfs_node *node, const struct fuse_call *call);
int64_t memfs_xattr_remove(struct memfs_node *node, const struct fuse_call *call);
void memfs_xattrs_clear(struct memfs_node *node);
