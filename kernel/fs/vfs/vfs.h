// The VFS as the rest of the kernel sees it.
#pragma once
#include "kernel/fs/vfs/fs.h"

void vfs_init(void);  // once; after objects, scheduler and the page cache
// Before each mount: makes what is as large as the memory and for which booting does not wait. -ENOMEM.
[[nodiscard]] int vfs_prepare(void);
// The type of that name; NULL: unknown. fs_type_probe tries those that want a device, one after the other.
const struct fs_type *fs_type_find(const char *name);
[[nodiscard]] int fs_type_probe(struct block_device *device, unsigned flags, const char *options, struct filesystem **out);
// Writes back what all file systems have in memory: 0 or the first error. Power-off calls it.
[[nodiscard]] int vfs_sync_all(void);
