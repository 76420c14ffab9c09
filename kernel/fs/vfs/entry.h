// What changes the entries of directories. Each takes directories that the caller holds and names already checked, takes the
// locks, decides by what is there then, and keeps the name cache true. Nothing here looks at rights.
#pragma once
#include "kernel/fs/vfs/walk.h"

// 0 with a reference on the new inode; -EEXIST, -ENOENT (dir was deleted), -EROFS, -EPERM, ...
[[nodiscard]] int entry_create(struct inode *dir, const struct component *c, const struct inode_new *init, struct inode **out);
// A file without a name: what O_TMPFILE makes.
[[nodiscard]] int entry_create_nameless(struct inode *dir, const struct inode_new *init, struct inode **out);
[[nodiscard]] int entry_link(struct inode *dir, const struct component *c, struct inode *inode);
// want_directory: rmdir. -EISDIR, -ENOTDIR, -ENOTEMPTY, -EBUSY, ... must_be_directory: the path ended in a slash.
[[nodiscard]] int entry_unlink(struct inode *dir, const struct component *c, bool want_directory, bool must_be_directory);
struct entry_rename {
    struct inode *from_dir, *to_dir;
    struct component from, to;
    bool from_slash, to_slash;
    bool exchange, no_replace;
};
[[nodiscard]] int entry_rename(const struct entry_rename *r);
// Times of a directory or file whose attributes changed are the file system's to set; this says whether it may be changed.
[[nodiscard]] int inode_check_change(const struct inode *inode);
