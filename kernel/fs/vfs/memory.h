// Content of files that live in memory only (tmpfs): inode->memory, a resizable anonymous VMO of at least one page, charged
// to the file system's job. A page that is not there is a hole. Locks as in content.h.
#pragma once
#include "kernel/fs/vfs/fs.h"

[[nodiscard]] int64_t memory_read(struct inode *inode, uint64_t offset, struct user_ptr to, uint64_t bytes);
[[nodiscard]] int64_t memory_write(struct inode *inode, uint64_t offset, struct user_ptr from, uint64_t bytes);
[[nodiscard]] int64_t memory_read_kernel(struct inode *inode, uint64_t offset, void *to, uint64_t bytes);
[[nodiscard]] int64_t memory_write_kernel(struct inode *inode, uint64_t offset, const void *from, uint64_t bytes);
[[nodiscard]] int memory_resize(struct inode *inode, uint64_t size);
[[nodiscard]] int memory_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags);
[[nodiscard]] int64_t memory_seek(struct inode *inode, uint64_t offset, bool data);
