// From a path to an inode. A walk begins in RCU mode: it follows cached names, takes no reference and no lock and writes
// nothing. What is not cached makes it `held`: from there on it owns references on where it stands, and may block.
//
//     walk_begin(&w, directory, path, flags);
//     error = walk_run(&w);           w.at: the place found (RCU mode: until the CPU blocks)
//     if (!error) error = walk_hold(&w);   ... to keep it
//     walk_end(&w);
//
// ".." is one step: under one RCU section and one state of the rename sequence it sees that the place lies below the root,
// and where its parent is. So whatever is renamed meanwhile, it never leads to what was not below the root at that moment;
// from a directory that was moved out of it, it fails with -ENOENT.
#pragma once
#include "kernel/fs/vfs/mount.h"
#include "kernel/fs/vfs/name.h"

struct directory;

enum {
    WALK_FOLLOW = 1 << 0,    // a symlink at the end
    WALK_PARENT = 1 << 1,    // stop before the last component: w->last, and at the directory where it is
    WALK_NO_LINKS = 1 << 2,  // -ELOOP at any
    WALK_NO_MOUNTS = 1 << 3, // -EXDEV at any
    WALK_BENEATH = 1 << 4,   // -EXDEV for absolute paths and links, and ".." at the start
    WALK_IN_ROOT = 1 << 5,   // the start is the root
    WALK_CREATE = 1 << 6,    // -EISDIR where a slash follows the last name: what is made is no directory, whatever is there
};
enum last_kind { LAST_NAME, LAST_DOT, LAST_DOT_DOT, LAST_ROOT };

struct walk {
    struct place at, root;
    const struct mount_table *table;
    struct directory *from;
    const char *path, *rest;
    char *space;                // FS_PATH_MAX bytes, once a link was followed
    struct component last;
    uint32_t flags;
    uint8_t links, last_kind;
    bool held;                  // `at` and `from` are referenced
    bool slash;                 // it ended in one, or in "." or ".."
    uint32_t climbed;
    const struct inode *asked;  // REMOTE: what a driver has just said leads here, with its attributes; only compared
};

// The path is the caller's, until walk_end. To be called in the RCU section in which `from` was looked up.
void walk_begin(struct walk *w, struct directory *from, const char *path, uint32_t flags);
// 0, or -ENOENT, -ENOTDIR, -EISDIR, -ELOOP, -ENAMETOOLONG, -EXDEV, -EIO, -ENOMEM, -EREMOTE: w->at.mount is a local mount, and w->rest
// what is left of the path.
[[nodiscard]] int walk_run(struct walk *w);
// Holds where it stands. -EAGAIN: that went away since; walk again (walk_restart).
[[nodiscard]] int walk_hold(struct walk *w);
// Goes back to the start, held.
[[nodiscard]] int walk_restart(struct walk *w);
void walk_end(struct walk *w);

// The child of a directory, from the cache or the file system: 0 with a reference, -ENOENT, ... dir->lock is held.
[[nodiscard]] int child_lookup(struct inode *dir, const struct component *c, struct inode **out);

// Moves of directories: what ".." reads twice.
uint32_t rename_sequence_begin(void);
bool rename_sequence_moved(uint32_t sequence);
void rename_set_parent(struct inode *dir, struct inode *parent);  // moves no reference
bool inode_is_below(const struct inode *dir, const struct inode *ancestor);  // or it itself; rename_lock is held
