// The bytes of regular files, wherever they live: in the page cache, or in a VMO of a file system without a device.
// Offsets and sizes in bytes; off the end of what the file system takes is -EFBIG.
#pragma once
#include "kernel/fs/vfs/fs.h"

// No lock. Bytes read, short at the end.
[[nodiscard]] int64_t content_read(struct inode *inode, uint64_t offset, struct user_ptr to, uint64_t bytes);
[[nodiscard]] int64_t content_read_kernel(struct inode *inode, uint64_t offset, void *to, uint64_t bytes);
// No lock. How many of these bytes can be read without waiting for the file system right now; within the size.
uint64_t content_resident(struct inode *inode, uint64_t offset, uint64_t bytes);
// inode->lock excl, in all that follow. Bytes written, or an error if there are none.
[[nodiscard]] int64_t content_write(struct inode *inode, uint64_t offset, struct user_ptr from, uint64_t bytes);
[[nodiscard]] int64_t content_write_kernel(struct inode *inode, uint64_t offset, const void *from, uint64_t bytes);
[[nodiscard]] int content_resize(struct inode *inode, uint64_t size);
[[nodiscard]] int content_allocate(struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags);
// inode->lock shared. The first byte at or after `offset` that is data, or hole (the end is one): -ENXIO when there is none.
[[nodiscard]] int64_t content_seek(struct inode *inode, uint64_t offset, bool data);
// No lock. Makes it durable.
[[nodiscard]] int content_sync(struct inode *inode, bool data_only);
// The pages, with a reference.
[[nodiscard]] int content_vmo(struct inode *inode, struct vmo **out);
