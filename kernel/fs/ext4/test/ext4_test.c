// ext4 on images that mke2fs makes, judged by e2fsck.
// links: kernel/fs/ext4/test/volume_host.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/vfs/inode.c lib/fmt.c lib/rbtree.c lib/bitmap.c lib/crc32c.c lib/text.c kernel/fs/ext4/balloc.c kernel/fs/ext4/bitmap.c kernel/fs/ext4/data.c kernel/fs/ext4/delayed.c kernel/fs/ext4/directory.c kernel/fs/ext4/dirent.c kernel/fs/ext4/extent.c kernel/fs/ext4/extent_change.c kernel/fs/ext4/feature.c kernel/fs/ext4/freed.c kernel/fs/ext4/group.c kernel/fs/ext4/hash.c kernel/fs/ext4/htree.c kernel/fs/ext4/htree_add.c kernel/fs/ext4/htree_list.c kernel/fs/ext4/ialloc.c kernel/fs/ext4/indirect.c kernel/fs/ext4/inode.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/link.c kernel/fs/ext4/map.c kernel/fs/ext4/mount.c kernel/fs/ext4/namei.c kernel/fs/ext4/ops.c kernel/fs/ext4/orphan.c kernel/fs/ext4/rename.c kernel/fs/ext4/superblock.c kernel/fs/ext4/truncate.c kernel/fs/ext4/tx.c kernel/fs/ext4/xattr.c kernel/fs/ext4/xattr_area.c
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/test/volume_host.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const configurations[] = {
    "-t ext4",
    "-t ext4 -b 1024",
    "-t ext4 -b 2048 -I 128",
    "-t ext4 -O ^has_journal",
    "-t ext4 -O ^has_journal -b 1024",
    "-t ext4 -O ^metadata_csum,uninit_bg,^has_journal",
    "-t ext4 -O ^64bit,^flex_bg,^has_journal",
    "-t ext4 -O meta_bg,^resize_inode,^has_journal -b 1024",
    "-t ext4 -O metadata_csum_seed,large_dir,sparse_super2,^resize_inode,^has_journal",
    "-t ext2",
    "-t ext3 -O ^has_journal",
};
#define CONFIGURATIONS (sizeof configurations / sizeof configurations[0])



// ---- a tree of the host beside it ---------------------------------------------------------------------------------------------

static char mirror[128];

static void mirror_begin(void) {
    snprintf(mirror, sizeof mirror, "/tmp/kpio-mirror-XXXXXX");
    CHECK(mkdtemp(mirror) != NULL);
}
static void mirror_end(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", mirror);
    CHECK_EQ(system(command), 0);
}
static const char *mirrored(const char *path) {
    static char names[2][1024];
    static int turn;
    snprintf(names[turn ^= 1], sizeof names[0], "%s/%s", mirror, path);
    return names[turn];
}

struct listing {
    char names[4096][64];
    unsigned count;
    uint64_t stop_after, cookie;
};
static struct listing listed;

static bool take_name(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next) {
    struct listing *l = context;
    if (l->stop_after != 0 && l->count >= l->stop_after) return false;
    if (l->count < 4096 && bytes < 64) {
        memcpy(l->names[l->count], name, bytes);
        l->names[l->count][bytes] = 0;
    }
    l->count++;
    l->cookie = next;
    (void)number, (void)type;
    return true;
}

static void compare_file(struct volume_host *v, struct inode *inode, const char *path) {
    static uint8_t mine[65536], theirs[65536];
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    for (uint64_t at = 0;; at += sizeof mine) {
        int64_t a = host_read(v, inode, at, mine, sizeof mine), b = pread(fd, theirs, sizeof theirs, (off_t)at);
        if (a != b || memcmp(mine, theirs, (size_t)MAX(a, 0l)) != 0)
            unit_fail(__FILE__, __LINE__, "%s differs near %llu (%lld, %lld)", path, (unsigned long long)at, (long long)a,
                      (long long)b);
        if (a <= 0) break;
    }
    close(fd);
}

static void compare_inode(struct volume_host *v, struct inode *inode, const char *path, const struct stat *s) {
    if (inode->mode != s->st_mode) unit_fail(__FILE__, __LINE__, "%s: mode %o, %o", path, inode->mode, s->st_mode);
    if (FS_TYPE(inode->mode) == FS_REGULAR && inode->links != s->st_nlink)
        unit_fail(__FILE__, __LINE__, "%s: links %u, %lu", path, inode->links, (unsigned long)s->st_nlink);
    if (FS_TYPE(inode->mode) == FS_REGULAR) {
        if (inode_size(inode) != (uint64_t)s->st_size)
            unit_fail(__FILE__, __LINE__, "%s: size %lu, %ld", path, inode_size(inode), s->st_size);
        compare_file(v, inode, path);
    } else if (FS_TYPE(inode->mode) == FS_SYMLINK) {
        char a[4096], b[4096];
        int64_t n = inode->ops->read_link(inode, a, sizeof a);
        CHECK_EQ(n, readlink(path, b, sizeof b));
        CHECK(memcmp(a, b, (size_t)n) == 0);
    }
}

// Both have the same names, and what they name is the same. Depth first, by a list of folders to visit.
static void compare_trees(struct volume_host *v) {
    static char waiting[4096][512];
    unsigned count = 1;
    waiting[0][0] = 0;
    while (count > 0) {
        char folder[512];
        struct inode *dir, *inode;
        strcpy(folder, waiting[--count]);
        CHECK_EQ(host_find(v, folder, &dir), 0);
        memset(&listed, 0, sizeof listed.count);
        listed = (struct listing){0};
        CHECK_EQ(dir->ops->read_directory(dir, 0, take_name, &listed), 0);
        unsigned expected = 0, links = 2;
        DIR *d = opendir(mirrored(folder));
        for (struct dirent *e; (e = readdir(d)) != NULL;) {
            char path[800], real[1024];
            struct stat s;
            if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
            expected++;
            snprintf(path, sizeof path, "%s%s%s", folder, folder[0] ? "/" : "", e->d_name);
            snprintf(real, sizeof real, "%s", mirrored(path));
            CHECK_EQ(lstat(real, &s), 0);
            int error = host_find(v, path, &inode);
            if (error != 0) unit_fail(__FILE__, __LINE__, "%s: %d", path, error);
            compare_inode(v, inode, real, &s);
            inode_put(inode);
            if (S_ISDIR(s.st_mode)) strcpy(waiting[count++], path), links++;
        }
        closedir(d);
        bool lost = folder[0] == 0;  // lost+found
        if (listed.count != expected + lost) unit_fail(__FILE__, __LINE__, "%s: %u names, not %u", folder, listed.count, expected + lost);
        CHECK_EQ(dir->links, links + lost);
        inode_put(dir);
    }
}

// ---- operations on both -------------------------------------------------------------------------------------------------------

static uint8_t pattern[1 << 20];

static void fill_pattern(void) {
    for (unsigned i = 0; i < sizeof pattern; i += 8) *(uint64_t *)(pattern + i) = unit_random();
}

static void both_write(struct volume_host *v, const char *path, uint64_t offset, uint64_t bytes) {
    struct inode *inode;
    int error = host_find(v, path, &inode);
    if (error == -ENOENT) {
        struct inode_new init = {.mode = FS_REGULAR | 0644};
        CHECK_EQ(host_create(v, path, &init), 0);
        error = host_find(v, path, &inode);
    }
    CHECK_EQ(error, 0);
    const uint8_t *data = pattern + unit_random() % 4096;
    bytes = MIN(bytes, sizeof pattern - 4096);
    int64_t done = host_write(v, inode, offset, data, bytes);
    inode_put(inode);
    int fd = open(mirrored(path), O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0);
    fchmod(fd, 0644);
    if (done == -ENOSPC) {
        close(fd);
        return;
    }
    CHECK_EQ(done, (int64_t)bytes);
    CHECK_EQ(pwrite(fd, data, bytes, (off_t)offset), (int64_t)bytes);
    close(fd);
}

static void both_truncate(struct volume_host *v, const char *path, uint64_t size) {
    struct inode *inode;
    if (host_find(v, path, &inode) != 0) return;
    CHECK_EQ(host_resize(v, inode, size), 0);
    inode_put(inode);
    CHECK_EQ(truncate(mirrored(path), (off_t)size), 0);
}

static void both_punch(struct volume_host *v, const char *path, uint64_t offset, uint64_t bytes) {
    struct inode *inode;
    if (host_find(v, path, &inode) != 0) return;
    CHECK_EQ(host_allocate(v, inode, offset, bytes, FS_ALLOCATE_PUNCH_HOLE), 0);
    inode_put(inode);
    int fd = open(mirrored(path), O_RDWR);
    fallocate(fd, 3, (off_t)offset, (off_t)bytes);
    close(fd);
}

static void both_allocate(struct volume_host *v, const char *path, uint64_t offset, uint64_t bytes, unsigned flags) {
    struct inode *inode;
    bool zero = flags & FS_ALLOCATE_ZERO_RANGE;
    if (host_find(v, path, &inode) != 0) return;
    if (zero) bytes = offset >= inode_size(inode) ? 0 : MIN(bytes, inode_size(inode) - offset);
    if (bytes == 0) {
        inode_put(inode);
        return;
    }
    int error = host_allocate(v, inode, offset, bytes, flags);
    inode_put(inode);
    if (error == -EOPNOTSUPP || error == -ENOSPC) return;
    CHECK_EQ(error, 0);
    int fd = open(mirrored(path), O_RDWR);
    uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END);
    for (uint64_t at = offset; zero && at < offset + bytes; at++) CHECK_EQ(pwrite(fd, "", 1, (off_t)at), 1);
    if (offset + bytes > size && !(flags & FS_ALLOCATE_KEEP_SIZE)) CHECK_EQ(ftruncate(fd, (off_t)(offset + bytes)), 0);
    close(fd);
}

static void both_mkdir(struct volume_host *v, const char *path) {
    CHECK_EQ(host_mkdir(v, path), 0);
    CHECK_EQ(mkdir(mirrored(path), 0755), 0);
    chmod(mirrored(path), 0755);
}

static void both_symlink(struct volume_host *v, const char *target, const char *path) {
    struct inode_new init = {.mode = FS_SYMLINK | 0777, .target = target, .target_bytes = strlen(target)};
    CHECK_EQ(host_create(v, path, &init), 0);
    CHECK_EQ(symlink(target, mirrored(path)), 0);
}

// ---- cases --------------------------------------------------------------------------------------------------------------------

static void mount_writable(struct volume_host *v, const char *arguments, const char *size) {
    printf("# %s\n", arguments);
    volume_host_make(v, arguments, size);
    CHECK_EQ(volume_host_mount(v, 0), 0);
}

static void remount_and_compare(struct volume_host *v) {
    volume_host_unmount(v);
    volume_host_check(v);
    CHECK_EQ(volume_host_mount(v, FS_MOUNT_READ_ONLY), 0);
    compare_trees(v);
    volume_host_unmount(v);
}

TEST(ext4_mounts_and_unmounts_every_configuration) {
    for (unsigned i = 0; i < CONFIGURATIONS; i++) {
        struct volume_host v;
        printf("# %s\n", configurations[i]);
        volume_host_make(&v, configurations[i], "64M");
        CHECK_EQ(volume_host_mount(&v, 0), 0);
        volume_host_unmount(&v);
        volume_host_check(&v);
        volume_host_remove(&v);
    }
}

TEST(ext4_reads_what_mke2fs_writes) {
    for (unsigned i = 0; i < CONFIGURATIONS; i++) {
        struct volume_host v;
        char command[512], arguments[512];
        mirror_begin();
        snprintf(command, sizeof command,
                 "cd %s && mkdir -p a/b/c many && seq 1 100000 > a/numbers && head -c 3000000 /dev/urandom > a/b/random && ln "
                 "a/numbers a/b/again && "
                 "ln -s ../numbers a/b/c/short && ln -s $(head -c 200 /dev/zero | tr '\\0' x) a/b/c/long && truncate -s 5M "
                 "a/sparse && "
                 "printf end >> a/sparse && for i in $(seq 1 700); do echo $i > many/file_number_$i; done",
                 mirror);
        CHECK_EQ(system(command), 0);
        snprintf(arguments, sizeof arguments, "%s -d %s", configurations[i], mirror);
        volume_host_make(&v, arguments, "64M");
        printf("# %s\n", configurations[i]);
        CHECK_EQ(volume_host_mount(&v, FS_MOUNT_READ_ONLY), 0);
        compare_trees(&v);
        volume_host_unmount(&v);
        volume_host_remove(&v);
        mirror_end();
    }
}

TEST(ext4_writes_a_tree) {
    for (unsigned i = 0; i < CONFIGURATIONS; i++) {
        struct volume_host v;
        mirror_begin();
        fill_pattern();
        mount_writable(&v, configurations[i], "64M");
        both_mkdir(&v, "a");
        both_mkdir(&v, "a/b");
        both_write(&v, "a/small", 0, 10);
        both_write(&v, "a/b/large", 0, 1000000);
        both_write(&v, "a/b/large", 1000000, 1000000);
        both_write(&v, "a/b/sparse", 5000000, 100000);
        both_symlink(&v, "../small", "a/b/link");
        both_symlink(&v, "a/target/that/is/too/long/for/the/sixty/bytes/of/an/inode/and/goes/to/a/block", "a/b/slow");
        for (int n = 0; n < 300; n++) {
            char name[64];
            snprintf(name, sizeof name, "a/b/file_%d", n);
            both_write(&v, name, 0, (uint64_t)n * 3);
        }
        both_truncate(&v, "a/b/large", 123456);
        both_punch(&v, "a/b/large", 5000, 60000);
        both_allocate(&v, "a/small", 100, 200000, 0);
        both_allocate(&v, "a/b/large", 70000, 20000, FS_ALLOCATE_ZERO_RANGE);
        remount_and_compare(&v);
        volume_host_remove(&v);
        mirror_end();
    }
}

static void random_step(struct volume_host *v) {
    char path[64], other[64];
    uint64_t r = unit_random();
    snprintf(path, sizeof path, "d%d/f%d", (int)(r >> 8 & 3), (int)(r >> 10 & 31));
    snprintf(other, sizeof other, "d%d/f%d", (int)(r >> 16 & 3), (int)(r >> 18 & 31));
    uint64_t offset = (r >> 24) % 300000, bytes = (r >> 44) % 50000 + 1;
    struct stat a, b;
    bool there = lstat(mirrored(path), &a) == 0, other_there = lstat(mirrored(other), &b) == 0;
    switch (r & 15) {
    case 0: case 1: case 2: case 3: both_write(v, path, offset, bytes); break;
    case 4: both_write(v, path, there ? (uint64_t)a.st_size : 0, bytes); break;
    case 5: case 6: both_truncate(v, path, offset); break;
    case 7: both_punch(v, path, offset, bytes * 3); break;
    case 8: both_allocate(v, path, offset, bytes * 4, r >> 62 ? FS_ALLOCATE_KEEP_SIZE : 0); break;
    case 9: both_allocate(v, path, offset, bytes, FS_ALLOCATE_ZERO_RANGE); break;
    case 10: case 11:
        if (!there) break;
        CHECK_EQ(host_unlink(v, path), 0);
        CHECK_EQ(unlink(mirrored(path)), 0);
        break;
    case 12: case 13:
        if (!there || (other_there && a.st_ino == b.st_ino)) break;
        CHECK_EQ(host_rename(v, path, other, 0), 0);
        CHECK_EQ(rename(mirrored(path), mirrored(other)), 0);
        break;
    case 14:
        if (!there || other_there) break;
        CHECK_EQ(host_link(v, path, other), 0);
        CHECK_EQ(link(mirrored(path), mirrored(other)), 0);
        break;
    default:
        if (!there || !other_there || a.st_ino == b.st_ino) break;
        CHECK_EQ(host_rename(v, path, other, FS_RENAME_EXCHANGE), 0);
        CHECK_EQ(rename(mirrored(path), mirrored("swap")), 0);
        CHECK_EQ(rename(mirrored(other), mirrored(path)), 0);
        CHECK_EQ(rename(mirrored("swap"), mirrored(other)), 0);
    }
}

TEST(ext4_keeps_up_with_random_operations) {
    for (unsigned i = 0; i < CONFIGURATIONS; i++) {
        struct volume_host v;
        mirror_begin();
        fill_pattern();
        mount_writable(&v, configurations[i], "32M");
        for (int n = 0; n < 4; n++) {
            char name[8];
            snprintf(name, sizeof name, "d%d", n);
            both_mkdir(&v, name);
        }
        for (int n = 0; n < 1500; n++) random_step(&v);
        remount_and_compare(&v);
        volume_host_remove(&v);
        mirror_end();
    }
}

// Of three files in blocks of their own, the middle one goes.
static void make_and_delete(struct volume_host *v) {
    static uint8_t data[64 << 10];
    char path[] = "a";
    for (; path[0] < 'd'; path[0]++) {
        struct inode *inode;
        CHECK_EQ(host_create(v, path, &(struct inode_new){.mode = FS_REGULAR | 0644}), 0);
        CHECK_EQ(host_find(v, path, &inode), 0);
        CHECK_EQ(host_write(v, inode, 0, data, sizeof data), (int64_t)sizeof data);
        inode_put(inode);
    }
    CHECK_EQ(host_unlink(v, "b"), 0);
}

TEST(ext4_discards_what_was_freed_when_that_is_durable) {
    static const char *const without[] = {"", "nodiscard", "discard,nodiscard"};
    struct volume_host v;
    volume_host_make(&v, "-t ext4", "16M");
    v.options = "discard,colour=blue";
    CHECK_EQ(volume_host_mount(&v, 0), -EINVAL);
    for (unsigned i = 0; i < ARRAY_SIZE(without); i++) {
        v.options = without[i];
        CHECK_EQ(volume_host_mount(&v, 0), 0);
        make_and_delete(&v);
        CHECK_EQ(host_unlink(&v, "a"), 0);
        CHECK_EQ(host_unlink(&v, "c"), 0);
        volume_host_unmount(&v);
        CHECK_EQ(v.discarded, 0);
    }
    v.options = "discard";
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    make_and_delete(&v);
    CHECK_EQ(v.discarded, 0);
    CHECK_EQ(v.fs->ops->sync(v.fs), 0);
    CHECK_EQ(v.discarded, (64u << 10) / SECTOR_SIZE);
    CHECK_EQ(host_unlink(&v, "c"), 0);
    v.fail_discards = true;
    CHECK_EQ(v.fs->ops->sync(v.fs), 0);
    v.fail_discards = false;
    CHECK_EQ(host_unlink(&v, "a"), 0);
    volume_host_unmount(&v);
    CHECK_EQ(v.discarded, (64u << 10) / SECTOR_SIZE);  // after the error it did without
    volume_host_check(&v);
    volume_host_remove(&v);
}
