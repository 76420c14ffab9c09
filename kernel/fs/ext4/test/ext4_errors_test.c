// Devices that fail and memory that runs out, at every point of a workload: errors to the caller, and a volume that e2fsck
// finds whole after the journal was replayed.
// links: kernel/fs/ext4/test/volume_host.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/vfs/inode.c lib/fmt.c lib/rbtree.c lib/bitmap.c lib/crc32c.c lib/text.c kernel/fs/ext4/balloc.c kernel/fs/ext4/bitmap.c kernel/fs/ext4/data.c kernel/fs/ext4/delayed.c kernel/fs/ext4/directory.c kernel/fs/ext4/dirent.c kernel/fs/ext4/extent.c kernel/fs/ext4/extent_change.c kernel/fs/ext4/feature.c kernel/fs/ext4/freed.c kernel/fs/ext4/group.c kernel/fs/ext4/hash.c kernel/fs/ext4/htree.c kernel/fs/ext4/htree_add.c kernel/fs/ext4/htree_list.c kernel/fs/ext4/ialloc.c kernel/fs/ext4/indirect.c kernel/fs/ext4/inode.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/link.c kernel/fs/ext4/map.c kernel/fs/ext4/mount.c kernel/fs/ext4/namei.c kernel/fs/ext4/ops.c kernel/fs/ext4/orphan.c kernel/fs/ext4/rename.c kernel/fs/ext4/superblock.c kernel/fs/ext4/truncate.c kernel/fs/ext4/tx.c kernel/fs/ext4/xattr.c kernel/fs/ext4/xattr_area.c
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/test/volume_host.h"
#include "kernel/mm/slub.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct volume_host v;
static uint64_t allocations, fail_allocation;  // this one, counted from 1, gets no memory; 0: none

void *kmalloc(size_t size) {
    if (++allocations == fail_allocation || size == 0) return NULL;
    return aligned_alloc(64, align_up(size, 64));
}

static unsigned failed;

static void note(int64_t error) {
    bool wrong_damage = error == -EIO && fail_allocation != 0;  // want of memory is none
    if (wrong_damage) unit_fail(__FILE__, __LINE__, "damage at allocation %lu", fail_allocation);
    if (error < 0 && error != -EIO && error != -ENOMEM && error != -EROFS && error != -ENOENT && error != -ENODATA)
        unit_fail(__FILE__, __LINE__, "error %d at allocation %lu", (int)error, fail_allocation);
    failed += error < 0 && error != -ENOENT && error != -ENODATA;
}

static void write_file(const char *name, uint64_t offset, uint64_t bytes) {
    static uint8_t data[60000];
    struct inode *inode;
    int error = host_find(&v, name, &inode);
    if (error == -ENOENT) {
        error = host_create(&v, name, &(struct inode_new){.mode = FS_REGULAR | 0644});
        note(error);
        if (error == 0) error = host_find(&v, name, &inode);
    }
    note(error);
    if (error != 0) return;
    note(host_write(&v, inode, offset, data, bytes));
    note(inode->ops->sync(inode, false));
    inode_put(inode);
}

static void workload(void) {
    char name[64];
    struct inode *inode;
    note(host_mkdir(&v, "d"));
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "d/file_with_a_name_%u", i);
        write_file(name, i * 2000 % 30000, 3000);
    }
    note(host_rename(&v, "d/file_with_a_name_3", "moved", 0));
    note(host_rename(&v, "d/file_with_a_name_4", "d/file_with_a_name_5", 0));
    if (host_find(&v, "moved", &inode) == 0) {
        for (unsigned i = 0; i < 8; i++) note(host_write(&v, inode, i * 20000, "x", 1));
        note(inode->ops->xattr_set(inode, "user.small", "value", 5, 0));
        note(inode->ops->xattr_set(inode, "user.large", name, sizeof name, 0));
        note(host_resize(&v, inode, 50000));
        note(host_allocate(&v, inode, 0, 90000, 0));
        note(host_allocate(&v, inode, 30000, 20000, FS_ALLOCATE_PUNCH_HOLE));
        note(inode->ops->xattr_remove(inode, "user.large"));
        inode_put(inode);
    }
    for (unsigned i = 10; i < 20; i++) {
        snprintf(name, sizeof name, "d/file_with_a_name_%u", i);
        note(host_unlink(&v, name));
    }
    note(v.fs->ops->sync(v.fs));
}

static void fresh_volume(const char *arguments) {
    volume_host_make(&v, arguments, "16M");
    failed = 0;
}

static bool try_mount(void) {
    int error = volume_host_mount(&v, 0);
    note(error);
    return error == 0;
}

// A volume that has recorded an error: e2fsck takes the record away, and finds nothing else.
static void take_record_away(void) {
    static const char command[] = "PATH=$PATH:/sbin:/usr/sbin; ! e2fsck -fy %s 2>&1 | "
                                  "grep -vE '^$|^e2fsck |^Pass |files \\(|FILE SYSTEM WAS MODIFIED|contains a file system with errors'";
    if (volume_host_run(&v, "PATH=$PATH:/sbin:/usr/sbin; dumpe2fs -h %s 2>/dev/null | grep -q 'with errors'") != 0) return;
    if (volume_host_run(&v, command) != 0) unit_fail(__FILE__, __LINE__, "more than the record of an error");
}

// What is left is whole after the next mount, by KPIO or by e2fsck's own replay.
static void check_after(bool by_e2fsck) {
    if (by_e2fsck) {
        int status = volume_host_run(&v, "PATH=$PATH:/sbin:/usr/sbin; e2fsck -fp %s >/dev/null 2>&1");
        if (status > 1) unit_fail(__FILE__, __LINE__, "e2fsck -p: status %d", status);
    } else {
        CHECK_EQ(volume_host_mount(&v, 0), 0);
        volume_host_unmount(&v);
        take_record_away();
    }
    volume_host_check(&v);
    volume_host_remove(&v);
}

// Mounts, works and unmounts with a device that fails at this request, counted from 1, and looks at what is left. Whether an
// error came up.
static bool fail_at(uint64_t request, bool once, bool by_e2fsck) {
    fresh_volume("-t ext4 -b 1024");
    v.fail_after = request;
    v.fail_once = once;
    int error = ext4_type.mount(&v.device, 0, "", &v.fs);
    note(error);
    if (error == 0) {
        workload();
        CHECK_EQ(inodes_release(v.fs), 0);
        v.fs->ops->unmount(v.fs);
    }
    v.fail_after = 0;
    v.fail_once = false;
    bool any = failed > 0;
    check_after(by_e2fsck);
    return any;
}

static uint64_t requests_in_all(void) {
    fresh_volume("-t ext4 -b 1024");
    CHECK(try_mount());
    uint64_t before = v.requests;
    workload();
    volume_host_unmount(&v);
    uint64_t total = v.requests - before;
    check_after(false);
    return total;
}

static void fail_at_each(bool once) {
    uint64_t total = requests_in_all();
    unsigned errors = 0;
    for (uint64_t at = 1; at <= total; at++) errors += fail_at(at, once, at & 1);
    printf("# %lu points, %u errors\n", total, errors);
    CHECK(total > 100 && errors > total / 2);
}

TEST(the_device_goes_at_each_request) { fail_at_each(false); }
TEST(a_request_fails_at_each_place) { fail_at_each(true); }

TEST(memory_is_short_at_each_allocation) {
    unsigned points = 0;
    fresh_volume("-t ext4 -b 1024");
    allocations = 0;
    CHECK(try_mount());
    workload();
    volume_host_unmount(&v);
    uint64_t total = allocations;
    check_after(false);
    for (uint64_t at = 1; at <= total; at += 1 + at / 20) {
        fresh_volume("-t ext4 -b 1024");
        allocations = 0;
        fail_allocation = at;
        bool mounted = try_mount();
        if (mounted) {
            workload();
            CHECK_EQ(inodes_release(v.fs), 0);
            v.fs->ops->unmount(v.fs);
        }
        fail_allocation = 0;
        check_after(false);
        points++;
    }
    printf("# %u points of %llu\n", points, (unsigned long long)total);
}

// ---- damage -------------------------------------------------------------------------------------------------------------------

static const struct {
    const char *command;  // damages the image %s, whose file f has 3000 bytes and whose directory d some names
    const char *path;     // what to look for then, and read
    const char *named;    // what the message says
} damages[] = {
    {"debugfs -w -R 'sif f block[0] 0' %s", "f", "inode 1"},
    {"b=$(debugfs -R 'blocks d' %s 2>/dev/null | tail -n 1 | tr -d ' '); yes kpio | head -c 40 | "
     "dd of=%s bs=1 seek=$((b * 1024 + 64)) conv=notrunc",
     "d/x", "directory"},
    {"t=$(dumpe2fs %s 2>/dev/null | sed -n 's/.*Inode table at \\([0-9]*\\)-.*/\\1/p' | head -n 1); "
     "yes kpio | head -c 2048 | dd of=%s bs=1024 seek=$((t + 2)) conv=notrunc",
     "f", "inode 1"},
};

TEST(damage_is_named_and_nothing_more_is_written) {
    for (unsigned i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        char data[4000], command[1024];
        struct inode *inode;
        fresh_volume("-t ext4 -b 1024");
        CHECK(try_mount());
        CHECK_EQ(host_mkdir(&v, "d"), 0);
        write_file("d/x", 0, 3000);
        write_file("f", 0, 3000);
        volume_host_unmount(&v);
        snprintf(command, sizeof command, "(PATH=$PATH:/sbin:/usr/sbin; %s) >/dev/null 2>&1", damages[i].command);
        CHECK_EQ(volume_host_run(&v, command), 0);
        CHECK(try_mount());
        int64_t error = host_find(&v, damages[i].path, &inode);
        if (error == 0) {
            error = host_read(&v, inode, 0, data, sizeof data);
            inode_put(inode);
        }
        if (error != -EIO || strstr(v.fs->damage, damages[i].named) == NULL)
            unit_fail(__FILE__, __LINE__, "damage %u: error %d, \"%s\"", i, (int)error, v.fs->damage);
        CHECK(v.fs->flags & FS_MOUNT_READ_ONLY);
        CHECK_EQ(host_mkdir(&v, "new"), -EROFS);
        volume_host_unmount(&v);
        volume_host_remove(&v);
    }
}
