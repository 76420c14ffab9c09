// Seals: what can no longer be done to a file in memory. Who gets such a file from another may rely on them, so that they are kept
// here and not by who emulates Linux.
#pragma once
#include "kernel/fs/vfs/file.h"

// Adds them: what the file has then, or -EINVAL (no file in memory), -EPERM, -EBUSY. inode->lock is not held.
[[nodiscard]] int64_t file_seal(struct file *file, uint32_t add);

// inode->lock is held. 0 or -EPERM.
[[nodiscard]] int seal_check_write(const struct inode *inode, uint64_t offset, uint64_t bytes);
[[nodiscard]] int seal_check_resize(const struct inode *inode, uint64_t size);
[[nodiscard]] int seal_check_allocate(const struct inode *inode, unsigned flags, uint64_t offset, uint64_t bytes);

// A way to map it writable comes (0 or -EPERM; inode->lock is not held) and goes.
[[nodiscard]] int seal_get_map(struct inode *inode);
void seal_put_map(struct inode *inode);
