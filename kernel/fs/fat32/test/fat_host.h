// A FAT32 volume in a host test: an image by mkfs.fat in a memory disk, files read and written as the page cache does, and
// fsck.fat and mtools to look at what came of it.
#pragma once
#include "kernel/fs/fat32/fat.h"
#include "tests/unit/disk_host.h"

struct fat_host {
    struct disk_host disk;
    struct filesystem *fs;
    char path[64];             // of the image for the tools
    uint64_t bytes;
};

// `options` of mkfs.fat beside -F 32.
void fat_host_make(struct fat_host *h, unsigned mib, const char *options);
void fat_host_load(struct fat_host *h);    // the image into the disk
void fat_host_store(struct fat_host *h);
int fat_host_mount(struct fat_host *h, unsigned flags);
void fat_host_unmount(struct fat_host *h);
void fat_host_destroy(struct fat_host *h);
// Runs a shell command in which %s is the image; its exit status.
int fat_host_run(struct fat_host *h, const char *command);
// Stores the disk and lets fsck.fat look: 0: it finds nothing.
int fat_host_check(struct fat_host *h);

// Names are relative to the root, with slashes. A reference is the caller's; NULL with *error.
struct inode *fat_host_find(struct fat_host *h, const char *path, int *error);
struct inode *fat_host_create(struct fat_host *h, const char *path, uint32_t mode, int *error);
int fat_host_unlink(struct fat_host *h, const char *path);
int fat_host_rename(struct fat_host *h, const char *from, const char *to);
// As write and write-back of the page cache: 0 or the first error.
int fat_host_write(struct inode *file, uint64_t offset, const void *data, uint64_t bytes);
int fat_host_read(struct inode *file, uint64_t offset, void *data, uint64_t bytes);
int fat_host_truncate(struct inode *file, uint64_t size);
// All names of a directory, each followed by a newline.
int fat_host_list(struct inode *dir, char *out, size_t room);
