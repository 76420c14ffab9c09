// What is shown and changed of inodes.
#pragma once
#include "abi/fs.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/fs/vfs/mount.h"

// Of a REMOTE inode: attributes in memory that may be shown; asks for them when their time is over. No lock of it is held.
static inline bool inode_is_fresh(const struct inode *inode) {
    return likely(!(inode->flags & INODE_REMOTE)) || __atomic_load_n(&inode->fresh_until, __ATOMIC_RELAXED) > arch_now();
}
[[nodiscard]] static inline int inode_refresh(struct inode *inode) {
    return inode_is_fresh(inode) ? 0 : inode->ops->revalidate(inode);
}
// Within an RCU section, or held. Takes no lock: each field is as it was at some moment of the call.
void place_stat(const struct place *at, struct kpio_stat *out);
[[nodiscard]] int inode_set_attributes(struct inode *inode, const struct kpio_attributes *attributes);
