// Advisory locks on files and directories. Where a file's driver serves locks (inode_ops.lock) they are there and not here, and
// errors are what it says.
#pragma once
#include "kernel/fs/vfs/fs.h"
#include "kernel/ipc/advisory.h"

static inline bool inode_has_locks(const struct inode *inode) {
    return FS_TYPE(inode->mode) == FS_REGULAR || FS_TYPE(inode->mode) == FS_DIRECTORY;
}

// `file`: what has the inode open, a file or a directory. `value`: the handle that the call came through. TEST: fills *lock in.
// 0, -EAGAIN (deadline 0), -EDEADLK (owners of ranges wait for each other), -EINVAL, -EOVERFLOW, -ENOMEM, -ETIMEDOUT, -EINTR,
// -ECANCELED.
[[nodiscard]] int file_lock(struct object *file, struct inode *inode, kpio_handle value, struct kpio_file_lock *lock,
                            nanos_t deadline);
void locks_release_file(const struct object *file, const struct inode *inode);
void locks_handle_gone(struct inode *inode, struct handle *h);
void locks_forget(struct inode *inode);  // the inode leaves memory
