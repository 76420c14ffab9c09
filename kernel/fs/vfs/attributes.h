// What is shown and changed of inodes.
#pragma once
#include "abi/fs.h"
#include "kernel/fs/vfs/mount.h"

// Within an RCU section, or held. Takes no lock: each field is as it was at some moment of the call.
void place_stat(const struct place *at, struct kpio_stat *out);
[[nodiscard]] int inode_set_attributes(struct inode *inode, const struct kpio_attributes *attributes);
