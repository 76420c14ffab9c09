// Advisory locks on files. Two name spaces: ranges (fcntl), owned by a process or by an open file; whole files (flock), owned
// by an open file. Owners' locks go with them: an open file's with its last handle, a process's when any handle of its
// that reads or writes the file goes (POSIX). A waiter waits through its handle.
#pragma once
#include "abi/fs.h"
#include "kernel/fs/vfs/file.h"

// TEST: fills *lock in. `value`: the handle that the call came through. 0, -EAGAIN (deadline 0), -EDEADLK (owners of ranges
// wait for each other), -EINVAL, -EOVERFLOW, -ENOMEM, -ETIMEDOUT, -EINTR, -ECANCELED.
[[nodiscard]] int file_lock(struct file *file, kpio_handle value, struct kpio_file_lock *lock, nanos_t deadline);
void locks_release_file(struct file *file);
void locks_handle_gone(struct file *file, struct handle *h);
void locks_forget(struct inode *inode);  // the inode leaves memory
