// A writable file system that lies in the driver's memory, as an example of a driver (apps/sdk/fs).
//
//     ./kpio app build apps/fs/memory apps/sdk/fs
//     ./kpio shell --fs memory.wasm::/mnt
//
// A node's number is its place in a table, and in the upper half how often that place was used before: a number that the kernel still
// has of a node that is gone finds nothing. A node lives as long as it has a name or the kernel knows it (lookups).
#pragma once
#include "apps/sdk/fs/fs.h"

#define PAGE_BYTES 4096u

struct page {
    uint64_t index;
    uint8_t *data;                // PAGE_BYTES
};
struct extended {
    struct extended *next;
    uint32_t name_bytes, value_bytes;
    char text[];                  // name with its NUL, value
};
struct entry {
    struct entry *next, *previous;
    uint64_t cookie;
    struct node *child;
    uint32_t hash;                // of the name: most names differ by it
    char name[];
};
struct node {
    struct fuse_attr attr;        // as it is shown
    uint64_t lookups;
    struct page *pages;           // a file's, by index; what is not among them is zero
    uint32_t page_count, page_room;
    struct entry *first, *last;   // a directory's, by cookie
    uint64_t last_cookie;
    char *target;                 // of a symbolic link
    struct extended *extended;
};

// ---- node.c
bool nodes_begin(void);                       // with the root, which has number 1
struct node *node_find(uint64_t number);      // NULL: no such one any more
struct node *node_make(uint32_t mode);        // without a name; NULL: no memory
void node_settle(struct node *n);             // frees it if nothing leads to it
void node_touch(struct node *n, bool content);  // changed now, and if so modified
uint64_t nodes_free(void);                    // how many more there may be
static inline bool node_is_directory(const struct node *n) { return FS_TYPE(n->attr.mode) == FS_DIRECTORY; }

// ---- names.c
struct entry *entry_find(const struct node *dir, const char *name);
bool entry_add(struct node *dir, const char *name, struct node *child);  // false: no memory
void entry_remove(struct node *dir, struct entry *e);
int32_t memory_lookup(struct fs *fs, uint64_t dir, const char *name, struct fuse_attr *out);
int32_t memory_make(struct fs *fs, uint64_t dir, const char *name, uint32_t mode, uint32_t rdev, const char *target, struct fuse_attr *out);
int32_t memory_link(struct fs *fs, uint64_t node, uint64_t dir, const char *name, struct fuse_attr *out);
int32_t memory_unlink(struct fs *fs, uint64_t dir, const char *name, bool directory);
int32_t memory_rename(struct fs *fs, uint64_t from, const char *name, uint64_t to, const char *new_name, uint32_t flags);
int32_t memory_list(struct fs *fs, uint64_t dir, uint64_t after, struct fs_list *list);
int32_t memory_read_link(struct fs *fs, uint64_t node, struct fs_reply *reply);

// ---- data.c
void data_resize(struct node *n, uint64_t size);
int32_t memory_read(struct fs *fs, uint64_t node, uint64_t offset, uint32_t bytes, struct fs_reply *reply);
int64_t memory_write(struct fs *fs, uint64_t node, uint64_t offset, const uint8_t *data, uint32_t bytes);
int32_t memory_allocate(struct fs *fs, uint64_t node, uint32_t mode, uint64_t offset, uint64_t bytes);
int64_t memory_seek(struct fs *fs, uint64_t node, uint64_t offset, bool data);

// ---- extended.c
void extended_clear(struct node *n);
int32_t memory_get_extended(struct fs *fs, uint64_t node, const char *name, struct fs_reply *reply);
int32_t memory_list_extended(struct fs *fs, uint64_t node, struct fs_reply *reply);
int32_t memory_set_extended(struct fs *fs, uint64_t node, const char *name, const uint8_t *value, uint32_t bytes, uint32_t flags);
int32_t memory_remove_extended(struct fs *fs, uint64_t node, const char *name);
