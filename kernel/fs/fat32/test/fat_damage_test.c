// FAT32 on volumes that are damaged, disks that fail and machines that lose power.
// links: kernel/fs/fat32/volume.c kernel/fs/fat32/table.c kernel/fs/fat32/sync.c kernel/fs/fat32/chain.c kernel/fs/fat32/name.c
// links: kernel/fs/fat32/directory.c kernel/fs/fat32/inode.c kernel/fs/fat32/namei.c kernel/fs/fat32/data.c
// links: kernel/fs/fat32/test/fat_host.c kernel/fs/vfs/inode.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/block/block.c
// links: lib/fmt.c
#include "abi/gen/errors.h"
#include "kernel/fs/fat32/test/fat_host.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fat_host h;
static int error;
static uint64_t allocations, fail_allocation;  // this one, counted from 1, gets no memory; 0: none

void *kmalloc(size_t size)
{
    if (++allocations == fail_allocation || size == 0)
        return NULL;
    return aligned_alloc(size < PAGE_SIZE ? 64 : PAGE_SIZE, align_up(size, size < PAGE_SIZE ? 64 : PAGE_SIZE));
}

static void fill(uint8_t *data, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8) * 3);
}

// Errors are the caller's.
static int put(const char *path, size_t bytes, unsigned seed)
{
    uint8_t data[20000];
    struct inode *file = fat_host_create(&h, path, FS_REGULAR | 0644, &error);

    if (file == NULL)
        return error;
    fill(data, bytes, seed);
    error = fat_host_write(file, 0, data, bytes);
    if (error == 0)
        error = file->ops->sync(file, false);
    inode_put(file);
    return error;
}

static bool is_there(const char *path, size_t bytes, unsigned seed)
{
    uint8_t want[20000], got[20000];
    struct inode *file = fat_host_find(&h, path, &error);
    bool same;

    if (file == NULL)
        return false;
    fill(want, bytes, seed);
    same = inode_size(file) == bytes && fat_host_read(file, 0, got, bytes) == 0 && memcmp(got, want, bytes) == 0;
    inode_put(file);
    return same;
}

static int make_directory(const char *path)
{
    struct inode *dir = fat_host_create(&h, path, FS_DIRECTORY | 0755, &error);

    if (dir != NULL)
        inode_put(dir);
    return error;
}

// ---- damage -------------------------------------------------------------------------------------------------------------------

// While the volume is not mounted.
static uint32_t *table(void)
{
    uint16_t reserved;

    memcpy(&reserved, h.disk.data + 14, 2);
    return (uint32_t *)(void *)(h.disk.data + reserved * 512u);
}

TEST(bad_chains_end_in_an_error_and_read_only)
{
    // What the third cluster of the file leads to; the first one's number is added where it says so.
    static const struct {
        uint32_t value;
        bool relative;
    } bad[] = {{0, true}, {1, true}, {2, true}, {0, false}, {1, false}, {0x0ffffff7, false}, {0x0fff0000, false}, {FAT_EOC, false}};

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t got[10000];
        uint32_t first;
        struct inode *file;

        fat_host_make(&h, 34, "-s 1");
        CHECK_EQ(fat_host_mount(&h, 0), 0);
        CHECK_EQ(put("f", 10000, 1), 0);
        file = fat_host_find(&h, "f", &error);
        first = fat_inode_of(file)->first;
        inode_put(file);
        fat_host_unmount(&h);
        table()[first + 2] = bad[i].value + (bad[i].relative ? first : 0);
        CHECK_EQ(fat_host_mount(&h, 0), 0);
        file = fat_host_find(&h, "f", &error);
        int result = fat_host_read(file, 0, got, 10000);
        if (result != -EIO)
            unit_fail(__FILE__, __LINE__, "link %x gives %d", bad[i].value, result);
        CHECK(h.fs->flags & FS_MOUNT_READ_ONLY);
        CHECK(strncmp(h.fs->damage, "inode ", 6) == 0);
        inode_put(file);
        CHECK_EQ(put("g", 10, 1), -EROFS);
        fat_host_destroy(&h);
    }
}

TEST(a_directory_with_a_loop_ends)
{
    struct inode *dir;
    uint32_t first;

    fat_host_make(&h, 34, "-s 1");
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    CHECK_EQ(make_directory("d"), 0);
    dir = fat_host_find(&h, "d", &error);
    first = fat_inode_of(dir)->first;
    inode_put(dir);
    fat_host_unmount(&h);
    table()[first] = first;
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    CHECK(fat_host_find(&h, "d", &error) == NULL && error == -EIO);
    CHECK(h.fs->flags & FS_MOUNT_READ_ONLY);
    CHECK(strstr(h.fs->damage, "loop") != NULL);
    fat_host_destroy(&h);
}

TEST(two_files_that_share_clusters_are_seen_when_one_goes)
{
    uint32_t first;
    struct inode *file;

    fat_host_make(&h, 34, "-s 1");
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    CHECK_EQ(put("f", 10000, 1), 0);
    CHECK_EQ(put("g", 10000, 2), 0);
    file = fat_host_find(&h, "f", &error);
    first = fat_inode_of(file)->first;
    inode_put(file);
    fat_host_unmount(&h);
    table()[first + 20 + 5] = first + 10;  // g goes on in f
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    CHECK_EQ(fat_host_unlink(&h, "f"), 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    CHECK_EQ(fat_host_unlink(&h, "g"), 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    CHECK(h.fs->flags & FS_MOUNT_READ_ONLY);
    CHECK(strstr(h.fs->damage, "two files share it") != NULL);
    fat_host_destroy(&h);
}

TEST(a_second_table_serves_where_the_first_cannot_be_read)
{
    fat_host_make(&h, 34, "-s 1");
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    CHECK_EQ(put("f", 10000, 1), 0);
    fat_host_unmount(&h);
    h.disk.fail_at = h.disk.fail_until = h.disk.requests + 2;  // the boot sector is read, the table behind it is not
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    h.disk.fail_at = 0;
    CHECK(is_there("f", 10000, 1));
    fat_host_destroy(&h);
}

TEST(what_is_no_fat32_is_refused)
{
    static const struct {
        unsigned offset, size;
        uint32_t value;
        int error;
    } bad[] = {
        {510, 1, 0, -EINVAL}, {11, 2, 500, -EINVAL}, {11, 2, 256, -EINVAL}, {13, 1, 3, -EIO}, {13, 1, 0, -EINVAL}, {14, 2, 0, -EIO},
        {16, 1, 0, -EIO}, {17, 2, 512, -EOPNOTSUPP}, {22, 2, 100, -EOPNOTSUPP}, {32, 4, 0, -EIO}, {32, 4, 0xffffffff, -EIO},
        {36, 4, 0xffffff, -EIO}, {40, 2, 0x8f, -EIO}, {42, 2, 1, -EIO}, {44, 4, 0, -EIO}, {44, 4, 0x0fffffff, -EIO},
    };
    fat_host_make(&h, 34, "-s 1");
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fat_host_load(&h);
        memcpy(h.disk.data + bad[i].offset, &bad[i].value, bad[i].size);
        int got = fat_host_mount(&h, 0);
        if (got != bad[i].error)
            unit_fail(__FILE__, __LINE__, "byte %u = %x gives %d", bad[i].offset, bad[i].value, got);
    }
    h.fs = NULL;
    fat_host_destroy(&h);
}

// ---- a workload -----------------------------------------------------------------------------------------------------------------

#define STEPS 10u

// After this request number the file is there, and stays.
static uint64_t synced_at[STEPS];
static bool synced[STEPS];

static void work(void)
{
    char name[32], other[32];

    memset(synced, 0, sizeof synced);
    (void)make_directory("dir");
    for (unsigned i = 0; i < STEPS; i++) {
        snprintf(name, sizeof name, "a file of step %u", i);
        synced[i] = put(name, 1000 + i * 1700, i) == 0;
        synced_at[i] = h.disk.requests;
        snprintf(name, sizeof name, "loose %u", i);
        struct inode *file = fat_host_create(&h, name, FS_REGULAR | 0644, &error);
        if (file != NULL) {
            uint8_t data[3000] = {1};
            (void)fat_host_write(file, 0, data, sizeof data);
            inode_put(file);
        }
        if (i > 0) {
            snprintf(name, sizeof name, "loose %u", i - 1);
            (void)fat_host_unlink(&h, name);
        }
        if (i % 3 == 1) {
            snprintf(name, sizeof name, "a file of step %u", i);
            snprintf(other, sizeof other, "dir/moved %u", i);
            (void)fat_host_rename(&h, name, other);
        }
        if (i % 4 == 3) {
            snprintf(name, sizeof name, "a file of step %u", i - 1);
            snprintf(other, sizeof other, "dir/moved %u", i - 2);
            (void)fat_host_rename(&h, name, other);  // over another, or where none is
        }
    }
}

// What was synced must be there by its old or its new name, unless another was moved over it.
static unsigned count_lost(uint64_t until)
{
    unsigned lost = 0;

    for (unsigned i = 0; i < STEPS; i++) {
        char name[32], moved[32], over[32];

        snprintf(name, sizeof name, "a file of step %u", i);
        snprintf(moved, sizeof moved, "dir/moved %u", i);
        snprintf(over, sizeof over, "dir/moved %u", i - 1);
        if (!synced[i] || synced_at[i] > until || i % 4 == 1)
            continue;
        if (!is_there(name, 1000 + i * 1700, i) && !is_there(moved, 1000 + i * 1700, i) && !is_there(over, 1000 + i * 1700, i))
            lost++;
    }
    return lost;
}

static void check_synced(uint64_t until, uint64_t point)
{
    unsigned lost = count_lost(until);

    if (lost > 0)
        unit_fail(__FILE__, __LINE__, "at point %lu %u files are lost", (unsigned long)point, lost);
}

// fsck.fat puts right what there is to put right; then it finds nothing, and the files are still there.
static void check_after_repair(uint64_t until, uint64_t point)
{
    fat_host_store(&h);
    (void)fat_host_run(&h, "PATH=$PATH:/usr/sbin:/sbin fsck.fat -a -w %s");
    fat_host_load(&h);
    CHECK_EQ(fat_host_check(&h), 0);
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    check_synced(until, point);
    fat_host_unmount(&h);
}

#define SMALL_MIB 4u  // too small for a FAT32 by the book, and quick

// A copy of a new volume of SMALL_MIB, and in *total what `counter` counts while it is mounted, worked on and unmounted.
static uint8_t *small_volume(const uint64_t *counter, uint64_t *total)
{
    fat_host_make(&h, SMALL_MIB, "-s 1");
    uint8_t *fresh = malloc(h.bytes);
    memcpy(fresh, h.disk.data, h.bytes);
    uint64_t before = *counter;
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    work();
    fat_host_unmount(&h);
    *total = *counter - before;
    return fresh;
}

TEST(an_io_error_at_any_request_leaves_a_good_volume)
{
    uint64_t total;
    uint8_t *fresh = small_volume(&h.disk.requests, &total);

    CHECK(total > 100);
    for (uint64_t point = 1; point <= total; point++) {
        memcpy(h.disk.data, fresh, h.bytes);
        h.disk.requests = 0;
        h.disk.fail_at = h.disk.fail_until = point;
        if (fat_host_mount(&h, 0) != 0)
            continue;
        work();
        h.disk.fail_at = 0;
        (void)inodes_write(h.fs);
        fat_host_unmount(&h);
        check_after_repair(UINT64_MAX, point);
    }
    printf("# %lu points\n", (unsigned long)total);
    free(fresh);
    h.fs = NULL;
    fat_host_destroy(&h);
}

// Nothing but the operation that got none suffers from want of memory: fsck.fat has nothing to put right.
TEST(memory_is_short_at_each_allocation)
{
    uint64_t total;
    uint8_t *fresh = small_volume(&allocations, &total);

    CHECK(total > 100);
    for (uint64_t point = 1; point <= total; point++) {
        memcpy(h.disk.data, fresh, h.bytes);
        allocations = 0;
        fail_allocation = point;
        if (fat_host_mount(&h, 0) != 0)
            continue;
        work();
        fail_allocation = 0;
        if (h.fs->flags & FS_MOUNT_DAMAGED)
            unit_fail(__FILE__, __LINE__, "damage at allocation %lu", (unsigned long)point);
        check_synced(UINT64_MAX, point);
        fat_host_unmount(&h);
        if (fat_host_check(&h) != 0)
            unit_fail(__FILE__, __LINE__, "fsck.fat finds a fault after allocation %lu", (unsigned long)point);
        CHECK_EQ(fat_host_mount(&h, 0), 0);
        check_synced(UINT64_MAX, point);
        fat_host_unmount(&h);
    }
    fail_allocation = 0;
    printf("# %lu points\n", (unsigned long)total);
    free(fresh);
    h.fs = NULL;
    fat_host_destroy(&h);
}

// ---- power cuts -----------------------------------------------------------------------------------------------------------------

struct record {
    uint64_t sector, number;   // number: of the request
    uint32_t bytes;            // 0: a flush
    uint8_t *data;
};
static struct record *records;
static unsigned record_count;

static void note(struct disk_host *disk, struct block_request *r)
{
    if (r->op != BLOCK_WRITE && r->op != BLOCK_FLUSH)
        return;
    for (unsigned i = 0; i < (r->op == BLOCK_FLUSH ? 1 : r->vector_count); i++) {
        records = realloc(records, (record_count + 1) * sizeof *records);
        struct record *made = &records[record_count++];

        *made = (struct record){.sector = r->sector, .number = disk->requests};
        if (r->op == BLOCK_FLUSH)
            continue;
        for (unsigned before = 0; before < i; before++)
            made->sector += r->vectors[before].bytes / SECTOR_SIZE;
        made->bytes = r->vectors[i].bytes;
        made->data = memcpy(malloc(made->bytes), r->vectors[i].data, made->bytes);
    }
    if (r->op == BLOCK_WRITE && (r->flags & BLOCK_FUA)) {  // durable by itself; no test needs it to be less
        records = realloc(records, (record_count + 1) * sizeof *records);
        records[record_count++] = (struct record){.number = disk->requests};
    }
}

// The disk when power goes before record `cut`: what was written since the last flush is there by the sector or is not.
static void lose_power(const uint8_t *fresh, unsigned cut, bool flushes_work)
{
    unsigned flushed = 0;

    memcpy(h.disk.data, fresh, h.bytes);
    for (unsigned i = 0; i < cut; i++)
        if (records[i].bytes == 0 && flushes_work)
            flushed = i;
    for (unsigned i = 0; i < cut; i++)
        for (uint32_t at = 0; at < records[i].bytes; at += SECTOR_SIZE)
            if (i < flushed || unit_random() % 2)
                memcpy(h.disk.data + records[i].sector * SECTOR_SIZE + at, records[i].data + at, SECTOR_SIZE);
}

TEST(power_cuts_lose_nothing_that_was_synced)
{
    unsigned cuts = 0;

    fat_host_make(&h, 34, "-s 1");
    uint8_t *fresh = malloc(h.bytes);
    memcpy(fresh, h.disk.data, h.bytes);
    h.disk.requests = 0;
    h.disk.seen = note;
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    work();
    fat_host_unmount(&h);
    h.disk.seen = NULL;
    for (unsigned cut = 1; cut <= record_count; cut += 1 + (unsigned)(unit_random() % (record_count / 30))) {
        uint64_t until = records[cut - 1].number;

        cuts++;
        lose_power(fresh, cut, true);
        // As it is, then as fsck.fat leaves it.
        CHECK_EQ(fat_host_mount(&h, FS_MOUNT_READ_ONLY), 0);
        check_synced(until, cut);
        fat_host_unmount(&h);
        check_after_repair(until, cut);
    }
    CHECK(cuts >= 30);
    // What would be seen on a disk that forgets flushes, or without ours.
    lose_power(fresh, record_count, false);
    bool seen = fat_host_mount(&h, FS_MOUNT_READ_ONLY) != 0;
    seen = seen || count_lost(UINT64_MAX) > 0;
    CHECK(seen);
    if (h.fs != NULL)
        fat_host_unmount(&h);
    for (unsigned i = 0; i < record_count; i++)
        free(records[i].data);
    free(records);
    free(fresh);
    h.fs = NULL;
    fat_host_destroy(&h);
}
