// What the operations on names share (namei.c).
#pragma once
#include "kernel/fs/ext4/ext4.h"

// The largest: a directory's block split below three levels of index, and an inode made.
#define EXT4_NAME_CREDITS 48u

int ext4_can_link(const struct ext4 *volume, const struct inode *inode);  // 0 or -EMLINK
void ext4_add_link(struct inode *inode);
void ext4_drop_link(struct inode *inode);
void ext4_touch(struct inode *dir, struct fs_time now);
// The inode loses a name in dir, and goes to the orphans with its last one.
[[nodiscard]] int ext4_lose_name(struct ext4_tx *tx, struct inode *dir, struct inode *inode, struct fs_time now);
// The entry, which has to name the inode. The slot's buffer is held on success.
[[nodiscard]] int ext4_find_named(struct inode *dir, struct ext4_name name, const struct inode *inode, struct ext4_slot *out);
// After -ENOSPC: could a commit have made room? Commits.
bool ext4_try_again(struct ext4 *volume, int error, int tries);
