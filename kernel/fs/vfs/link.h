// The targets of symbolic links, kept in memory: they never change.
#pragma once
#include "kernel/fs/vfs/fs.h"

struct link_text {
    struct rcu_head rcu;
    char text[];
};

// The target, terminated, if it was read before; good within an RCU section or as long as the inode is held.
static inline const char *link_cached(const struct inode *link) {
    const struct link_text *t = __atomic_load_n(&link->vfs, __ATOMIC_ACQUIRE);
    return t != NULL ? t->text : NULL;
}
// Reads it if need be: 0, -EIO, -ENOMEM. May block.
[[nodiscard]] int link_read(struct inode *link, const char **out);
void link_forget(struct inode *link);  // the inode leaves memory
