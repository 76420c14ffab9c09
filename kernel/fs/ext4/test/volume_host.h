// ext4 on an image file, for host tests: images that e2fsprogs make, a walk by paths, file data without a page cache, and
// e2fsck's word in the end.
#pragma once
#include "kernel/fs/vfs/fs.h"

struct volume_host {
    struct block_device device;
    int fd;
    char image[128];
    struct filesystem *fs;
    uint64_t requests;        // so far
    uint64_t fail_after;      // requests until every one fails with -EIO; 0: never
    bool fail_once;           // only that one does
    const char *options;      // of mounts; NULL: none
    uint64_t discarded;       // sectors
    bool fail_discards;
};

// A new image: `mke2fs -q ARGUMENTS IMAGE SIZE`. The size as mke2fs takes it ("64M").
void volume_host_make(struct volume_host *v, const char *arguments, const char *size);
// An image that is there.
void volume_host_open(struct volume_host *v, const char *image);
void volume_host_remove(struct volume_host *v);
int volume_host_mount(struct volume_host *v, unsigned flags);
void volume_host_unmount(struct volume_host *v);
// `e2fsck -fn` finds nothing; else prints what it says, and fails the case.
void volume_host_check(struct volume_host *v);
// A shell command; %s is the image. Its exit status.
int volume_host_run(struct volume_host *v, const char *format);

// By paths from the root, without links: 0 or a negative errno. The inode is held.
int host_find(struct volume_host *v, const char *path, struct inode **out);
int host_create(struct volume_host *v, const char *path, const struct inode_new *init);
int host_mkdir(struct volume_host *v, const char *path);
int host_unlink(struct volume_host *v, const char *path);
int host_link(struct volume_host *v, const char *from, const char *to);
int host_rename(struct volume_host *v, const char *from, const char *to, unsigned flags);
// Data as the page cache would move them, at once.
int64_t host_write(struct volume_host *v, struct inode *inode, uint64_t offset, const void *data, uint64_t bytes);
int64_t host_read(struct volume_host *v, struct inode *inode, uint64_t offset, void *data, uint64_t bytes);
int host_resize(struct volume_host *v, struct inode *inode, uint64_t size);
int host_allocate(struct volume_host *v, struct inode *inode, uint64_t offset, uint64_t bytes, unsigned flags);
