// FAT32 volumes of any content, and names of any: everything ends, nothing is touched beyond the disk.
// links: kernel/fs/fat32/volume.c kernel/fs/fat32/table.c kernel/fs/fat32/sync.c kernel/fs/fat32/chain.c kernel/fs/fat32/name.c
// links: kernel/fs/fat32/directory.c kernel/fs/fat32/inode.c kernel/fs/fat32/namei.c kernel/fs/fat32/data.c
// links: kernel/fs/vfs/inode.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/block/block.c lib/fmt.c lib/string.c
#include "abi/gen/errors.h"
#include "kernel/fs/fat32/fat.h"
#include "tests/unit/disk_host.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 256u
#define TABLE 8u         // blocks
#define NAMES_MAX 40u
#define DEPTH 4u

bool sched_preempt_point(void) { return false; }
int cache_domain_create(const char *name, struct block_device *device, uint64_t limit_pages, struct cache_domain **out)
{
    (void)name, (void)device, (void)limit_pages;
    *out = NULL;
    return 0;
}
void cache_domain_destroy(struct cache_domain *domain) { (void)domain; }

static void put(uint8_t *at, uint32_t value, unsigned bytes) { memcpy(at, &value, bytes); }

// A small volume: boot and info sector, a table, the root directory at cluster 2.
static void make(uint8_t *d)
{
    put(d + 11, 512, 2);
    d[13] = 1;
    put(d + 14, 2, 2);
    d[16] = 1;
    d[21] = 0xf8;
    put(d + 32, BLOCKS, 4);
    put(d + 36, TABLE, 4);
    put(d + 44, 2, 4);
    put(d + 48, 1, 2);
    d[510] = 0x55, d[511] = 0xaa;
    put(d + 512, 0x41615252, 4);
    put(d + 512 + 484, 0x61417272, 4);
    put(d + 512 + 488, 100, 4);
    put(d + 512 + 508, 0xaa550000, 4);
    put(d + 1024, 0x0ffffff8, 4);
    put(d + 1028, 0x0fffffff, 4);
    put(d + 1032, 0x0fffffff, 4);
}

struct names {
    unsigned count;
    char name[NAMES_MAX][256];
    size_t bytes[NAMES_MAX];
};

static bool keep(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next)
{
    struct names *n = context;

    (void)number, (void)type, (void)next;
    if (bytes == 0 || bytes > FS_NAME_MAX || memchr(name, '/', bytes) != NULL || memchr(name, 0, bytes) != NULL)
        abort();
    if (n->count == NAMES_MAX)
        return false;
    memcpy(n->name[n->count], name, bytes);
    n->bytes[n->count++] = bytes;
    return true;
}

static void read_file(struct inode *file)
{
    uint64_t end = align_up(inode_size(file), PAGE_SIZE);

    if (end > 64 * PAGE_SIZE)
        end = 64 * PAGE_SIZE;
    for (uint64_t at = 0; at < end;) {
        struct file_extent e;

        if (file->cache.ops->map(&file->cache, at, end - at, &e) != 0)
            return;
        if (e.offset != at || e.bytes == 0 || e.bytes > end - at)
            abort();
        if (e.state == FILE_MAPPED && !range_fits(e.sector, e.bytes / 512, BLOCKS))
            abort();
        at += e.bytes;
    }
}

static void write_file(struct inode *file)
{
    uint64_t at = file->cache.size & ~PAGE_MASK, end = at + 3 * PAGE_SIZE;
    struct file_extent e;

    if (end > UINT32_MAX || file->cache.ops->reserve(&file->cache, at, end - at) != 0)
        return;
    file->cache.size = end - 100;
    while (at < end && file->cache.ops->prepare(&file->cache, at, end - at, file->cache.size, &e) == 0) {
        if (e.offset != at || e.bytes == 0 || e.bytes > end - at)
            abort();
        if (e.state != FILE_HOLE && !range_fits(e.sector, e.bytes / 512, BLOCKS))
            abort();
        if (e.state != FILE_HOLE)
            (void)file->cache.ops->complete(&file->cache, &e, file->cache.size, 0);
        at += e.bytes;
    }
    (void)file->ops->sync(file, false);
}

static void change(struct inode *dir, const struct names *n, unsigned i, struct inode *inode)
{
    struct inode_new init = {.mode = FS_REGULAR | 0644};
    struct inode *made;

    switch (i % 4) {
    case 0:
        (void)dir->ops->unlink(dir, n->name[i], n->bytes[i], inode);
        break;
    case 1:
        (void)dir->ops->rename(dir, n->name[i], n->bytes[i], inode, dir, "another name", 12, NULL, 0);
        break;
    case 2:
        if (FS_TYPE(inode->mode) != FS_REGULAR)
            break;
        inode->cache.size = inode->cache.size / 2;
        (void)inode->ops->resize(inode, inode->cache.size);
        break;
    default:
        if (i % 8 == 7)
            init.mode = FS_DIRECTORY | 0755;
        if (dir->ops->create(dir, "A new name", 10, &init, &made) == 0)
            inode_put(made);
    }
}

static void explore(struct filesystem *fs, struct inode *dir, unsigned depth, bool changes)
{
    struct names *n = calloc(1, sizeof *n);

    (void)dir->ops->read_directory(dir, 0, keep, n);
    for (unsigned i = 0; i < n->count; i++) {
        uint64_t number;
        struct inode *inode;

        if (dir->ops->lookup(dir, n->name[i], n->bytes[i], &number) != 0 || inode_get(fs, number, &inode) != 0)
            continue;
        if (FS_TYPE(inode->mode) == FS_DIRECTORY) {
            if (depth > 0 && inode != dir)
                explore(fs, inode, depth - 1, changes);
        } else {
            read_file(inode);
            if (changes && i % 3 == 0)
                write_file(inode);
        }
        if (changes && inode != dir)
            change(dir, n, i, inode);
        inode_put(inode);
    }
    free(n);
}

// Pieces: 16 bits of place on the disk, 8 bits of length, bytes.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct disk_host disk;
    struct filesystem *fs;
    struct inode *root;
    bool changes = size > 0 && (data[0] & 1);

    disk_host_create(&disk, BLOCKS * 512);
    disk.device.claims = BLOCK_CLAIMED;
    disk.device.refs = 2;
    make(disk.data);
    for (size_t at = 1; at + 3 < size;) {
        uint32_t place = data[at] | (uint32_t)data[at + 1] << 8, bytes = data[at + 2];

        at += 3;
        bytes = bytes < size - at ? bytes : (uint32_t)(size - at);
        if (range_fits(place, bytes, BLOCKS * 512))
            memcpy(disk.data + place, data + at, bytes);
        at += bytes;
    }
    if (fat32_type.mount(&disk.device, 0, "", &fs) == 0) {
        if (inode_get(fs, fs->root, &root) == 0) {
            explore(fs, root, DEPTH, changes);
            inode_put(root);
        }
        (void)inodes_write(fs);
        if (inodes_release(fs) != 0)
            abort();
        fs->ops->unmount(fs);
    } else if (disk.device.refs != 2 || disk.device.claims != BLOCK_CLAIMED) {
        abort();
    }
    disk_host_destroy(&disk);
    return 0;
}
