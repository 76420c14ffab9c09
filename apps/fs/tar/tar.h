// A read-only file system that shows a tar archive, as an example of a driver (apps/sdk/fs) that reads the disk it was given.
//
//     ./kpio app build apps/fs/tar apps/sdk/fs
//     ./kpio shell --fs tar.wasm=archive.tar::/mnt
//
// At its start it reads the headers of all members and makes a tree of them (archive.c, tree.c); contents stay on the disk until they are
// asked for. A node's number is its place in the order of the archive: the same at each start, so the kernel goes on with a driver that
// was started again as if nothing had happened. The archive is not trusted: what is wrong in it is told, and left out.
#pragma once
#include "apps/sdk/fs/fs.h"

struct tar_node {
    struct fuse_attr attr;       // ino is its number
    uint64_t offset;             // of its content on the disk
    struct tar_node *parent, *first, *last, *next;  // children, in order; next of its siblings
    struct tar_node *chain;      // of the table of names
    char *name, *target;         // target: of a symbolic link, else NULL
};

// ---- tree.c
bool tree_begin(void);                                              // with the root
struct tar_node *tree_node(uint64_t number);                        // or NULL
struct tar_node *tree_find(const struct tar_node *dir, const char *name, size_t bytes);
// What the archive calls so, below the root; `make`: the directories on the way too, and it, as a directory at first. NULL: there is no
// such, a name that leads out or through a file, or no memory.
struct tar_node *tree_path(const char *path, bool make);
bool tree_is_directory(const struct tar_node *n);
uint64_t tree_count(void);

// ---- archive.c
bool archive_read(void);  // the disk's, into the tree. False, with a message: nothing can be shown
