#include "apps/sdk/fs/channel.h"
#include "apps/sdk/fs/fs.h"

FS_IMPORT("disk_size") int64_t disk_size(void);
FS_IMPORT("disk_read") int32_t disk_read(uint64_t offset, void *to, uint32_t bytes);
FS_IMPORT("disk_write") int32_t disk_write(uint64_t offset, const void *from, uint32_t bytes);
FS_IMPORT("disk_flush") int32_t disk_flush(void);

int64_t fs_disk_size(void) { return disk_size(); }
int32_t fs_disk_read(uint64_t offset, void *to, uint32_t bytes) { return disk_read(offset, to, bytes); }
int32_t fs_disk_write(uint64_t offset, const void *from, uint32_t bytes) { return disk_write(offset, from, bytes); }
int32_t fs_disk_flush(void) { return disk_flush(); }
