// Hostile images: a volume that mke2fs made, with bytes changed as the input says (checksums made good again, or not), is
// mounted, read and written. Nothing may crash, loop or write outside the volume; every error is one that a volume may give.
//
//     input: which seed, flags, then { u8 kind, u24 place, u8 value } ...
// links: kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/vfs/inode.c lib/fmt.c lib/rbtree.c lib/bitmap.c lib/crc32c.c lib/text.c kernel/fs/ext4/balloc.c kernel/fs/ext4/bitmap.c kernel/fs/ext4/data.c kernel/fs/ext4/delayed.c kernel/fs/ext4/directory.c kernel/fs/ext4/dirent.c kernel/fs/ext4/extent.c kernel/fs/ext4/extent_change.c kernel/fs/ext4/feature.c kernel/fs/ext4/freed.c kernel/fs/ext4/group.c kernel/fs/ext4/hash.c kernel/fs/ext4/htree.c kernel/fs/ext4/htree_add.c kernel/fs/ext4/htree_list.c kernel/fs/ext4/ialloc.c kernel/fs/ext4/indirect.c kernel/fs/ext4/inode.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/link.c kernel/fs/ext4/map.c kernel/fs/ext4/mount.c kernel/fs/ext4/namei.c kernel/fs/ext4/ops.c kernel/fs/ext4/orphan.c kernel/fs/ext4/rename.c kernel/fs/ext4/superblock.c kernel/fs/ext4/truncate.c kernel/fs/ext4/tx.c kernel/fs/ext4/xattr.c kernel/fs/ext4/xattr_area.c
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/fs/ext4/ext4.h"
#include "lib/crc32c.h"
#include "tests/unit/disk_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IMAGE_BYTES (512u << 10)
#define SEEDS 4
#define STEPS 30

static uint8_t seeds[SEEDS][IMAGE_BYTES];
static struct disk_host disk;

bool sched_preempt_point(void) { return false; }
uint64_t random_u64(void) { return 0x243f6a8885a308d3; }
int cache_domain_create(const char *name, struct block_device *device, uint64_t limit_pages, struct cache_domain **out) {
    (void)name, (void)device, (void)limit_pages;
    *out = NULL;
    return 0;
}
void cache_domain_destroy(struct cache_domain *domain) { (void)domain; }
int file_cache_resize(struct file_cache *cache, uint64_t size) {
    cache->size = size;
    return 0;
}
void log_write(enum log_level level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (getenv("EXT4_LOG") != NULL) vprintf(format, arguments), printf("\n");
    va_end(arguments);
    (void)level;
}

// ---- seeds: made once, with files, a large directory, links, attributes and holes --------------------------------------------

static void make_seed(unsigned n, const char *arguments) {
    char command[1024];
    snprintf(command, sizeof command,
             "cd $(mktemp -d) && mkdir t t/dir && for i in $(seq 1 40); do echo $i > t/dir/a_file_with_a_name_$i; done && seq 1 "
             "3000 > t/file && "
             "ln -s file t/short && ln -s $(head -c 100 /dev/zero | tr '\\0' l) t/long && ln t/file t/dir/again && truncate -s "
             "100k t/hole && "
             "printf x >> t/hole && truncate -s 512K i && PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -d t %s i >/dev/null 2>&1 && "
             "debugfs -w -R 'ea_set /file user.name value' i >/dev/null 2>&1 && cat i && rm -rf $PWD",
             arguments);
    FILE *out = popen(command, "r");
    size_t bytes = fread(seeds[n], 1, IMAGE_BYTES, out);
    pclose(out);
    if (bytes != IMAGE_BYTES) {
        fprintf(stderr, "no seed: mke2fs is missing?\n");
        exit(1);
    }
}

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    make_seed(0, "-t ext4 -b 1024 -O ^has_journal,^resize_inode -N 64");
    make_seed(1, "-t ext4 -b 1024 -O ^has_journal,^metadata_csum,uninit_bg -N 64");
    make_seed(2, "-t ext4 -b 4096 -O ^has_journal,^metadata_csum,^64bit -N 64");
    make_seed(3, "-t ext2 -b 1024 -O ^resize_inode -N 64");
    (void)count, (void)arguments;
    return 0;
}

// ---- what is tried on it ------------------------------------------------------------------------------------------------------

static uint32_t steps;

static bool emit(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next) {
    char *last = context;
    verify(bytes >= 1 && bytes <= 255);
    memcpy(last, name, bytes);
    last[bytes] = 0;
    (void)number, (void)type, (void)next;
    return ++steps % 16 != 0;
}

static void check(int64_t error) {
    verify(error >= 0 || error == -EIO || error == -ENOENT || error == -ESTALE || error == -ENOSPC || error == -ENODATA ||
           error == -ERANGE || error == -EROFS || error == -ENOTEMPTY || error == -EFBIG || error == -EMLINK ||
           error == -EEXIST || error == -EOPNOTSUPP || error == -EINVAL || error == -ENOMEM);
}

static void use_file(struct inode *inode) {
    struct file_extent e;
    uint64_t places[] = {0, 4096, inode_size(inode) / 2, inode_size(inode), 1ull << 32};
    for (unsigned i = 0; i < 5; i++) check(inode->cache.ops->map(&inode->cache, align_down(places[i], 4096), 65536, &e));
    uint64_t at = align_down(places[2], 4096);
    if (inode->cache.ops->reserve(&inode->cache, at, 4096) == 0) {
        if (inode->cache.ops->prepare(&inode->cache, at, 4096, inode->cache.size, &e) == 0 && e.state != FILE_HOLE) {
            int error = inode->cache.ops->complete(&inode->cache, &e, inode_size(inode), 0);
            if (error == -ENOMEM) error = inode->cache.ops->complete(&inode->cache, &e, inode_size(inode), -ENOMEM);
            check(error);
        } else {
            inode->cache.ops->unreserve(&inode->cache, at, 4096);
        }
    }
    check(inode->ops->allocate(inode, 8192, 16384, FS_ALLOCATE_PUNCH_HOLE));
    check(inode->ops->allocate(inode, 0, 20000, 0));
}

static void use_directory(struct inode *dir, const char *name) {
    struct inode_new init = {.mode = FS_REGULAR | 0644};
    struct inode *made;
    char text[300];
    snprintf(text, sizeof text, "new_%u", steps++);
    int error = dir->ops->create(dir, text, strlen(text), &init, &made);
    check(error);
    if (error == 0) {
        check(dir->ops->rename(dir, text, strlen(text), made, dir, "renamed", 7, NULL, 0) == -EEXIST ? 0 : 0);
        inode_put(made);
    }
    uint64_t number;
    if (dir->ops->lookup(dir, name, strlen(name), &number) == 0 && inode_get(dir->fs, number, &made) == 0) {
        if (made != dir) check(dir->ops->unlink(dir, name, strlen(name), made));
        inode_put(made);
    }
}

static void use(struct inode *inode, char *name) {
    char text[4096];
    uint64_t number;
    check(inode->ops->xattr_list(inode, text, sizeof text));
    check(inode->ops->xattr_get(inode, "user.name", text, sizeof text));
    check(inode->ops->xattr_set(inode, "user.other", "value", 5, 0));
    check(inode->ops->xattr_set(inode, "user.more", text, 300, 0));
    switch (FS_TYPE(inode->mode)) {
    case FS_DIRECTORY:
        name[0] = 0;
        check(inode->ops->read_directory(inode, 0, emit, name));
        check(inode->ops->lookup(inode, "a_file_with_a_name_17", 21, &number));
        if (name[0] != 0) use_directory(inode, name);
        break;
    case FS_REGULAR: use_file(inode); break;
    case FS_SYMLINK: check(inode->ops->read_link(inode, text, sizeof text)); break;
    default: break;
    }
}

static void try_all(struct filesystem *fs) {
    char name[300] = "file";
    struct inode *inode;
    steps = 0;
    for (uint64_t number = 1; number < STEPS; number++) {
        int error = inode_get(fs, number == 1 ? fs->root : number + 9, &inode);
        check(error);
        if (error != 0) continue;
        use(inode, name);
        if (number % 3 == 0 && FS_TYPE(inode->mode) == FS_REGULAR) check(inode->ops->resize(inode, number * 100));
        inode_put(inode);
    }
    struct fs_statistics s;
    fs->ops->statistics(fs, &s);
    check(fs->ops->sync(fs));
}

static void seal_super(uint8_t *image) {
    struct ext4_super *s = (struct ext4_super *)(image + EXT4_SUPER_OFFSET);
    if (s->ro_compat & EXT4_RO_METADATA_CSUM) s->checksum = crc32c(~0u, s, offsetof(struct ext4_super, checksum));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 2) return 0;
    disk_host_create(&disk, IMAGE_BYTES);
    memcpy(disk.data, seeds[input[0] % SEEDS], IMAGE_BYTES);
    for (size_t i = 2; i + 5 <= size; i += 5) {
        // The first blocks hold most of what is to be hit: every other change goes there.
        uint32_t place = input[i + 1] | input[i + 2] << 8 | (uint32_t)input[i + 3] << 16;
        place %= input[i] & 1 ? IMAGE_BYTES : 65536;
        if (input[i] & 2) disk.data[place] ^= input[i + 4];
        else disk.data[place] = input[i + 4];
    }
    if (!(input[1] & 1)) seal_super(disk.data);
    struct filesystem *fs;
    int error = ext4_type.mount(&disk.device, input[1] & 2 ? FS_MOUNT_READ_ONLY : 0, "", &fs);
    check(error);
    if (error == 0) {
        try_all(fs);
        verify(inodes_release(fs) == 0);
        fs->ops->unmount(fs);
    }
    disk_host_destroy(&disk);
    return 0;
}
