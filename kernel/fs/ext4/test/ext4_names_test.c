// Directories, attributes, orphans and full volumes of ext4, judged by e2fsck.
// links: kernel/fs/ext4/test/volume_host.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/vfs/inode.c lib/fmt.c lib/rbtree.c lib/bitmap.c lib/crc32c.c lib/text.c kernel/fs/ext4/balloc.c kernel/fs/ext4/bitmap.c kernel/fs/ext4/data.c kernel/fs/ext4/delayed.c kernel/fs/ext4/directory.c kernel/fs/ext4/dirent.c kernel/fs/ext4/extent.c kernel/fs/ext4/extent_change.c kernel/fs/ext4/feature.c kernel/fs/ext4/freed.c kernel/fs/ext4/group.c kernel/fs/ext4/hash.c kernel/fs/ext4/htree.c kernel/fs/ext4/htree_add.c kernel/fs/ext4/htree_list.c kernel/fs/ext4/ialloc.c kernel/fs/ext4/indirect.c kernel/fs/ext4/inode.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/link.c kernel/fs/ext4/map.c kernel/fs/ext4/mount.c kernel/fs/ext4/namei.c kernel/fs/ext4/ops.c kernel/fs/ext4/orphan.c kernel/fs/ext4/rename.c kernel/fs/ext4/superblock.c kernel/fs/ext4/truncate.c kernel/fs/ext4/tx.c kernel/fs/ext4/xattr.c kernel/fs/ext4/xattr_area.c
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/test/volume_host.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct volume_host v;

static void begin(const char *arguments, const char *size) {
    printf("# %s\n", arguments);
    volume_host_make(&v, arguments, size);
    CHECK_EQ(volume_host_mount(&v, 0), 0);
}
static void end(void) {
    volume_host_unmount(&v);
    volume_host_check(&v);
    volume_host_remove(&v);
}
static struct inode *find(const char *path) {
    struct inode *inode;
    int error = host_find(&v, path, &inode);
    if (error != 0) unit_fail(__FILE__, __LINE__, "%s: %d", path, error);
    return inode;
}
static int make_file(const char *path) {
    return host_create(&v, path, &(struct inode_new){.mode = FS_REGULAR | 0600});
}

// ---- directories --------------------------------------------------------------------------------------------------------------

struct seen {
    uint8_t *counts;
    uint32_t total, limit;
    uint64_t cookie;
};
static bool take_number(void *context, const char *name, size_t bytes, uint64_t number, uint32_t type, uint64_t next) {
    struct seen *s = context;
    char text[256] = "";
    if (s->limit != 0 && s->total % s->limit == s->limit - 1 && s->cookie != next) {
        s->total++;
        return false;
    }
    memcpy(text, name, MIN(bytes, sizeof text - 1));
    s->counts[atoi(text + strcspn(text, "0123456789"))]++;
    s->total++;
    s->cookie = next;
    (void)number, (void)type;
    return true;
}

static const char *tuned;  // arguments of tune2fs

static void many_files(const char *arguments, const char *size, unsigned count, const char *format) {
    char name[300], command[256];
    printf("# %s\n", arguments);
    volume_host_make(&v, arguments, size);
    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin tune2fs %s %%s >/dev/null", tuned);
    if (tuned != NULL) CHECK_EQ(volume_host_run(&v, command), 0);
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    CHECK_EQ(host_mkdir(&v, "dir"), 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, format, i);
        int error = make_file(name);
        if (error != 0) unit_fail(__FILE__, __LINE__, "%s: %d", name, error);
    }
    volume_host_unmount(&v);
    volume_host_check(&v);
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    struct inode *dir = find("dir");
    for (unsigned limit = 0; limit <= 1000; limit += 1000) {
        struct seen seen = {.counts = calloc(count, 1), .limit = limit};
        uint64_t before;
        do {
            before = seen.cookie;
            CHECK_EQ(dir->ops->read_directory(dir, before, take_number, &seen), 0);
        } while (seen.cookie != before);
        for (unsigned i = 0; i < count; i++) CHECK_EQ(seen.counts[i], 1);
        free(seen.counts);
    }
    inode_put(dir);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, format, i * 7919 % count);
        CHECK_EQ(host_unlink(&v, name), 0);
        if (i == count / 2) {
            volume_host_unmount(&v);
            volume_host_check(&v);
            CHECK_EQ(volume_host_mount(&v, 0), 0);
        }
    }
    CHECK_EQ(host_unlink(&v, "dir"), 0);
    end();
}

TEST(directories_grow_an_index) {
    many_files("-t ext4 -N 40000", "256M", 20000, "dir/file%u");
    many_files("-t ext4 -b 1024 -N 20000", "128M", 12000,
               "dir/a_rather_long_name_that_makes_for_few_entries_in_a_block_and_a_deep_tree_%u");
    many_files("-t ext4 -b 1024 -N 9000 -O ^metadata_csum", "64M", 5000, "dir/f%u");
    many_files("-t ext2 -O ^dir_index -N 4000", "32M", 1500, "dir/f%u");
}

TEST(every_hash_and_every_character) {
    static const char *const hashes[] = {"-E hash_alg=tea", "-E hash_alg=legacy", "-E hash_alg=half_md4"};
    for (unsigned i = 0; i < 3; i++) {
        tuned = hashes[i];
        many_files("-t ext4 -b 1024 -N 4000", "32M", 1200,
                   "dir/n\xc3\xa4me\xff %u \x80 of more than thirty-two characters, \xe2\x82\xac");
        many_files("-t ext4 -b 1024 -N 4000", "32M", 900, "dir/%u");
    }
    tuned = NULL;
}

TEST(a_three_level_index_needs_large_dir) {
    many_files("-t ext4 -b 1024 -N 60000 -O large_dir", "256M", 40000,
               "dir/"
               "x_name_of_two_hundred_bytes_"
               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx%u");
}

TEST(cookies_stay_while_entries_come_and_go) {
    begin("-t ext4 -b 1024 -N 9000", "64M");
    char name[64];
    CHECK_EQ(host_mkdir(&v, "dir"), 0);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "dir/f%u", i);
        CHECK_EQ(make_file(name), 0);
    }
    struct inode *dir = find("dir");
    struct seen seen = {.counts = calloc(6000, 1), .limit = 10};
    uint64_t before;
    unsigned added = 1000, removed = 0;
    do {
        before = seen.cookie;
        CHECK_EQ(dir->ops->read_directory(dir, before, take_number, &seen), 0);
        for (unsigned i = 0; i < 50 && added < 5000; i++) {  // splits blocks that are being read
            snprintf(name, sizeof name, "dir/f%u", added++);
            CHECK_EQ(make_file(name), 0);
        }
        if (removed < 100) {
            snprintf(name, sizeof name, "dir/f%u", removed++);
            CHECK_EQ(host_unlink(&v, name), 0);
        }
    } while (seen.cookie != before);
    for (unsigned i = removed; i < 300; i++) CHECK_EQ(seen.counts[i], 1);
    for (unsigned i = 0; i < 6000; i++) CHECK(seen.counts[i] <= 1);
    free(seen.counts);
    inode_put(dir);
    end();
}

TEST(directories_move_between_parents) {
    begin("-t ext4", "32M");
    char name[64];
    CHECK_EQ(host_mkdir(&v, "a"), 0);
    CHECK_EQ(host_mkdir(&v, "b"), 0);
    CHECK_EQ(host_mkdir(&v, "a/moved"), 0);
    for (unsigned i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "a/moved/f%u", i);
        CHECK_EQ(make_file(name), 0);
    }
    CHECK_EQ(host_rename(&v, "a/moved", "b/moved", 0), 0);
    CHECK_EQ(host_mkdir(&v, "a/empty"), 0);
    CHECK_EQ(host_rename(&v, "a", "b/moved", 0), -ENOTEMPTY);
    CHECK_EQ(host_rename(&v, "b/moved", "a/empty", FS_RENAME_EXCHANGE), 0);
    CHECK_EQ(host_rename(&v, "a/empty", "b/moved", 0), 0);
    CHECK_EQ(host_unlink(&v, "b"), -ENOTEMPTY);
    CHECK_EQ(host_unlink(&v, "a"), 0);
    end();
}

// ---- attributes ---------------------------------------------------------------------------------------------------------------

TEST(attributes_in_the_inode_and_in_a_block) {
    static const char *const kinds[] = {"-t ext4", "-t ext4 -I 128", "-t ext4 -b 1024 -O ^metadata_csum",
                                        "-t ext4 -I 512 -O ^has_journal"};
    for (unsigned k = 0; k < 4; k++) {
        char name[64], value[1024], back[1024], list[4096];
        begin(kinds[k], "32M");
        CHECK_EQ(make_file("file"), 0);
        struct inode *inode = find("file");
        for (unsigned round = 0; round < 300; round++) {
            unsigned i = (unsigned)(unit_random() % 8), size = (unsigned)(unit_random() % 60) * (i == 7 ? 5 : 1);
            snprintf(name, sizeof name, "%s%u", i & 1 ? "user.name" : "trusted.another_name", i);
            memset(value, (int)(round + i), sizeof value);
            if (unit_random() % 4 == 0) {
                int error = inode->ops->xattr_remove(inode, name);
                CHECK(error == 0 || error == -ENODATA);
                CHECK_EQ(inode->ops->xattr_get(inode, name, back, sizeof back), -ENODATA);
                continue;
            }
            CHECK_EQ(inode->ops->xattr_set(inode, name, value, size, 0), 0);
            CHECK_EQ(inode->ops->xattr_get(inode, name, back, sizeof back), size);
            CHECK(memcmp(value, back, size) == 0);
            CHECK_EQ(inode->ops->xattr_set(inode, name, value, size, FS_XATTR_CREATE), -EEXIST);
            if (size > 1) CHECK_EQ(inode->ops->xattr_get(inode, name, back, 1), -ERANGE);
        }
        int64_t bytes = inode->ops->xattr_list(inode, list, sizeof list);
        CHECK(bytes > 0 && inode->ops->xattr_list(inode, NULL, 0) == bytes);
        CHECK_EQ(inode->ops->xattr_set(inode, "user.large", list, 4096, 0), -ENOSPC);
        CHECK_EQ(inode->ops->xattr_set(inode, "nothing.known", "", 0, 0), -EOPNOTSUPP);
        inode_put(inode);
        volume_host_unmount(&v);
        volume_host_check(&v);
        CHECK_EQ(volume_host_mount(&v, 0), 0);
        inode = find("file");
        CHECK_EQ(inode->ops->xattr_list(inode, NULL, 0), bytes);
        inode_put(inode);
        CHECK_EQ(host_unlink(&v, "file"), 0);
        end();
    }
}

TEST(attributes_written_by_debugfs_are_read) {
    char value[64] = "";
    volume_host_make(&v, "-t ext4", "16M");
    CHECK_EQ(volume_host_run(&v, "PATH=$PATH:/sbin debugfs -w -R 'ea_set / user.from hello' %s 2>/dev/null"), 0);
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    struct inode *inode = find("");
    CHECK_EQ(inode->ops->xattr_get(inode, "user.from", value, sizeof value), 5);
    CHECK(strcmp(value, "hello") == 0);
    CHECK_EQ(inode->ops->xattr_set(inode, "user.back", "bye", 3, FS_XATTR_CREATE), 0);
    inode_put(inode);
    volume_host_unmount(&v);
    CHECK_EQ(volume_host_run(&v, "PATH=$PATH:/sbin debugfs -R 'ea_get / user.back' %s 2>/dev/null | grep -q bye"), 0);
    volume_host_check(&v);
    volume_host_remove(&v);
}

// ---- orphans ------------------------------------------------------------------------------------------------------------------

// As a crash leaves it: the device goes on without what was not committed.
static void crash(void) {
    v.fail_after = 1;
    volume_host_unmount(&v);
    v.fail_after = 0;
}

TEST(an_open_file_without_a_name_goes_at_the_next_mount) {
    static uint8_t data[100000];
    for (int journal = 0; journal < 2; journal++) {
        begin(journal ? "-t ext4" : "-t ext4 -O ^has_journal", "32M");
        CHECK_EQ(make_file("open"), 0);
        CHECK_EQ(make_file("kept"), 0);
        struct inode *open = find("open"), *kept = find("kept");
        CHECK_EQ(host_write(&v, open, 0, data, sizeof data), sizeof data);
        CHECK_EQ(host_write(&v, kept, 0, data, sizeof data), sizeof data);
        CHECK_EQ(host_unlink(&v, "open"), 0);
        CHECK_EQ(host_read(&v, open, 0, data, sizeof data), sizeof data);
        CHECK_EQ(v.fs->ops->sync(v.fs), 0);
        v.fail_after = 1;
        inode_put(open);
        inode_put(kept);
        crash();
        CHECK_EQ(volume_host_mount(&v, 0), 0);
        struct inode *gone;
        CHECK_EQ(host_find(&v, "open", &gone), -ENOENT);
        struct fs_statistics s;
        v.fs->ops->statistics(v.fs, &s);
        CHECK_EQ(s.inodes - s.inodes_free, 12);
        end();
    }
}

TEST(the_orphan_file_of_linux_is_read) {
    volume_host_make(&v, "-t ext4 -O orphan_file", "32M");
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    CHECK_EQ(make_file("named"), 0);
    end();
}

// ---- full ---------------------------------------------------------------------------------------------------------------------

TEST(a_full_volume_says_so_and_stays_whole) {
    static uint8_t data[65536];
    static const char *const kinds[] = {"-t ext4 -b 1024", "-t ext4 -m 0 -O ^has_journal", "-t ext2 -b 1024"};
    for (unsigned k = 0; k < 3; k++) {
        char name[64];
        begin(kinds[k], "16M");
        int64_t error = 0;
        unsigned made = 0;
        for (; error >= 0 && made < 2000; made++) {
            snprintf(name, sizeof name, "f%u", made);
            error = make_file(name);
            if (error < 0) break;
            struct inode *inode = find(name);
            error = host_write(&v, inode, unit_random() % 100000, data, sizeof data);
            inode_put(inode);
        }
        CHECK_EQ(error, -ENOSPC);
        volume_host_unmount(&v);
        volume_host_check(&v);
        CHECK_EQ(volume_host_mount(&v, 0), 0);
        for (unsigned i = 0; i < 20; i++) {  // what is freed can be used at once
            snprintf(name, sizeof name, "f%u", i);
            CHECK_EQ(host_unlink(&v, name), 0);
            CHECK_EQ(make_file(name), 0);
            struct inode *inode = find(name);
            CHECK_EQ(host_write(&v, inode, 0, data, sizeof data), sizeof data);
            inode_put(inode);
        }
        end();
    }
}

TEST(inodes_run_out) {
    char name[64];
    begin("-t ext4 -N 64", "16M");
    int error = 0;
    unsigned made = 0;
    for (; error == 0 && made < 200; made++) {
        snprintf(name, sizeof name, "f%u", made);
        error = make_file(name);
    }
    CHECK_EQ(error, -ENOSPC);
    CHECK_EQ(host_unlink(&v, "f0"), 0);
    CHECK_EQ(make_file("again"), 0);
    end();
}

// ---- features -----------------------------------------------------------------------------------------------------------------

TEST(unknown_features_are_refused_or_only_read) {
    static const struct {
        const char *arguments;
        int error;
    } kinds[] = {{"-t ext4 -O inline_data", -EOPNOTSUPP}, {"-t ext4 -O ea_inode", -EOPNOTSUPP}, {"-t ext4 -O encrypt", -EOPNOTSUPP},
                 {"-t ext4 -O casefold", -EOPNOTSUPP}, {"-t ext4 -O mmp", -EOPNOTSUPP}, {"-t ext4 -b 65536", -EOPNOTSUPP},
                 {"-t ext4 -O quota", 0}, {"-t ext4 -O bigalloc", 0}, {"-t ext4 -O verity", 0}};
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        volume_host_make(&v, kinds[i].arguments, "64M");
        int error = volume_host_mount(&v, 0);
        if (error != kinds[i].error) unit_fail(__FILE__, __LINE__, "%s: %d", kinds[i].arguments, error);
        if (error == 0) {
            CHECK(v.fs->flags & FS_MOUNT_READ_ONLY);
            CHECK_EQ(make_file("file"), -EROFS);
            volume_host_unmount(&v);
        }
        volume_host_check(&v);
        volume_host_remove(&v);
    }
}

TEST(the_largest_volume_and_the_largest_file) {
    struct inode *inode;
    char back[5] = "";
    volume_host_make(&v, "-t ext4 -O ^has_journal,^resize_inode -N 1048576 -E lazy_itable_init=1", "8T");
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    CHECK_EQ(make_file("file"), 0);
    CHECK_EQ(host_find(&v, "file", &inode), 0);
    uint64_t last = v.fs->max_file_bytes;
    CHECK_EQ(last, 0xffffffffull << 12);
    CHECK_EQ(host_write(&v, inode, last - 5, "hello", 5), 5);
    CHECK_EQ(host_write(&v, inode, last, "hello", 5), -EFBIG);
    for (unsigned i = 0; i < 700; i++) CHECK_EQ(host_write(&v, inode, (uint64_t)i * 0x123456000, "x", 1), 1);
    CHECK_EQ(host_read(&v, inode, last - 5, back, 5), 5);
    CHECK(memcmp(back, "hello", 5) == 0);
    CHECK_EQ(host_resize(&v, inode, 1ull << 40), 0);
    inode_put(inode);
    volume_host_unmount(&v);
    CHECK_EQ(volume_host_mount(&v, 0), 0);
    CHECK_EQ(host_unlink(&v, "file"), 0);
    volume_host_unmount(&v);
    volume_host_remove(&v);
}
