// What an open file asks its driver for beside its data, where it has one that is a process (INODE_REMOTE). No lock held.
#pragma once
#include "kernel/fs/vfs/file.h"

// Which of the events (KPIO_POLL_*) hold; the file's signals tell from then on. -EOPNOTSUPP: always ready.
[[nodiscard]] int64_t file_poll(struct file *file, uint32_t events);
uint32_t file_poll_signals(struct file *file);
// What the driver says of an ioctl; -ENOTTY: nothing has it.
[[nodiscard]] int64_t file_control(struct file *file, struct fs_control *control);
// Bytes that it has copied without their coming by here, perhaps fewer; -EOPNOTSUPP: it does not. The ranges lie apart.
[[nodiscard]] int64_t file_copy_there(struct file *from, uint64_t from_offset, struct file *to, uint64_t to_offset, uint64_t size);
