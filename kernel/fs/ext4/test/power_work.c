// The workload: appenders, overwriters, files replaced by rename, small files that come and go, files that are cut and
// punched, and a large directory that is filled and emptied, whose blocks become data.
#include "kernel/fs/ext4/test/power.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { APPENDERS = 4, FIRST_OVERWRITER = 4, OVERWRITERS = 2, FIRST_REPLACED = 6, REPLACED = 3, FIRST_TEMPORARY = 9,
       FIRST_SMALL = 12, SMALL = 32, CUT_FILE = 44 };

// Not a random one: checksums and the order of directories hang on it, and a seed is to give the same run each time.
#define VOLUME_ID "01234567-89ab-cdef-0123-456789abcdef"

static const char *path_of(uint32_t path)
{
    static char names[4][POWER_NAME_ROOM];
    static unsigned turn;

    return power_path_name(path, names[turn++ % 4]);
}

static uint64_t next(struct power_run *run, uint64_t below)
{
    run->random = run->random * 6364136223846793005u + 1442695040888963407u;
    return (run->random >> 33) % below;
}

static void note(struct power_run *run, size_t begin, struct power_event event)
{
    event.begin = begin;
    event.end = run->log.record.count;
    power_note(&run->log.events, event);
}

static struct inode *find(struct power_run *run, uint32_t path)
{
    struct inode *inode;

    CHECK_EQ(host_find(&run->volume, path_of(path), &inode), 0);
    return inode;
}

static void create(struct power_run *run, uint32_t path)
{
    size_t begin = run->log.record.count;
    uint32_t id = run->next_id++;

    CHECK(id < POWER_FILES);
    CHECK_EQ(host_create(&run->volume, path_of(path), &(struct inode_new){.mode = FS_REGULAR | 0644}), 0);
    run->ids[path] = id;
    run->sectors[id] = 0;
    note(run, begin, (struct power_event){.what = POWER_NAME, .path = path, .id = id});
}

static void write_sectors(struct power_run *run, uint32_t path, uint32_t first, uint32_t count)
{
    static uint8_t data[POWER_SECTORS * POWER_SECTOR];
    size_t begin = run->log.record.count;
    uint32_t id = run->ids[path], version = run->next_version++;
    struct inode *inode = find(run, path);

    power_fill(data, id, first, count, version);
    CHECK_EQ(host_write(&run->volume, inode, (uint64_t)first * POWER_SECTOR, data, (uint64_t)count * POWER_SECTOR),
             (int64_t)count * POWER_SECTOR);
    run->sectors[id] = MAX(run->sectors[id], first + count);
    inode_put(inode);
    note(run, begin, (struct power_event){.what = POWER_WRITE, .id = id, .first = first, .count = count, .version = version});
}

static void resize(struct power_run *run, uint32_t path, uint32_t sectors)
{
    size_t begin = run->log.record.count;
    uint32_t id = run->ids[path];
    struct inode *inode = find(run, path);

    CHECK_EQ(host_resize(&run->volume, inode, (uint64_t)sectors * POWER_SECTOR), 0);
    run->sectors[id] = sectors;
    inode_put(inode);
    note(run, begin, (struct power_event){.what = POWER_SIZE, .id = id, .first = sectors});
}

static void sync_file(struct power_run *run, uint32_t path)
{
    size_t begin = run->log.record.count;
    struct inode *inode = find(run, path);

    CHECK_EQ(inode->ops->sync(inode, false), 0);
    inode_put(inode);
    note(run, begin, (struct power_event){.what = POWER_SYNC_FILE, .id = run->ids[path]});
}

static void sync_all(struct power_run *run)
{
    size_t begin = run->log.record.count;

    CHECK_EQ(run->volume.fs->ops->sync(run->volume.fs), 0);
    note(run, begin, (struct power_event){.what = POWER_SYNC_ALL});
}

static void append(struct power_run *run, uint32_t path)
{
    uint32_t count = (uint32_t)next(run, 20) + 1, at = run->sectors[run->ids[path]];

    if (at + count > POWER_SECTORS) {
        resize(run, path, (uint32_t)next(run, 2) * 7);
        return;
    }
    write_sectors(run, path, at, count);
    if (next(run, 3) == 0)
        sync_file(run, path);
}

static void overwrite(struct power_run *run, uint32_t path)
{
    uint32_t first = (uint32_t)next(run, 120), count = (uint32_t)next(run, 8) + 1;

    write_sectors(run, path, first, count);
    if (next(run, 2) == 0)
        sync_file(run, path);
}

// The new version is complete and durable before it gets the name.
static void replace(struct power_run *run, uint32_t i)
{
    uint32_t target = FIRST_REPLACED + i, temporary = FIRST_TEMPORARY + i;

    create(run, temporary);
    write_sectors(run, temporary, 0, (uint32_t)next(run, 30) + 1);
    sync_file(run, temporary);
    size_t begin = run->log.record.count;
    CHECK_EQ(host_rename(&run->volume, path_of(temporary), path_of(target), 0), 0);
    run->ids[target] = run->ids[temporary];
    run->ids[temporary] = 0;
    note(run, begin, (struct power_event){.what = POWER_NAME, .path = target, .id = run->ids[target]});
    note(run, begin, (struct power_event){.what = POWER_NAME, .path = temporary});
    if (next(run, 2) == 0)
        sync_file(run, target);
}

static void come_and_go(struct power_run *run)
{
    uint32_t path = FIRST_SMALL + (uint32_t)next(run, SMALL);
    size_t begin = run->log.record.count;

    if (run->ids[path] == 0) {
        create(run, path);
        if (next(run, 4) != 0)
            write_sectors(run, path, 0, (uint32_t)next(run, 6) + 1);
        return;
    }
    CHECK_EQ(host_unlink(&run->volume, path_of(path)), 0);
    run->ids[path] = 0;
    note(run, begin, (struct power_event){.what = POWER_NAME, .path = path});
}

static void cut_file(struct power_run *run)
{
    size_t begin = run->log.record.count;
    uint32_t id = run->ids[CUT_FILE], sectors = run->sectors[id], first = (uint32_t)next(run, sectors + 1);
    struct inode *inode;

    switch (next(run, 4)) {
    case 0:
        resize(run, CUT_FILE, (uint32_t)next(run, POWER_SECTORS));
        break;
    case 1:
        if (first == sectors)
            break;
        inode = find(run, CUT_FILE);
        sectors = (sectors - first) / 2 + 1;
        CHECK_EQ(host_allocate(&run->volume, inode, (uint64_t)first * POWER_SECTOR, (uint64_t)sectors * POWER_SECTOR,
                               FS_ALLOCATE_PUNCH_HOLE | FS_ALLOCATE_KEEP_SIZE),
                 0);
        inode_put(inode);
        note(run, begin, (struct power_event){.what = POWER_ZERO, .id = id, .first = first, .count = sectors});
        break;
    default:
        write_sectors(run, CUT_FILE, (uint32_t)next(run, POWER_SECTORS - 16), (uint32_t)next(run, 16) + 1);
        if (next(run, 2) == 0)
            sync_file(run, CUT_FILE);
    }
}

static void big_directory(struct power_run *run)
{
    char name[200];

    for (unsigned i = 0; i < 12; i++) {
        bool empty = run->big_directory == 0;

        if (empty && !run->big_shrinks)
            CHECK_EQ(host_mkdir(&run->volume, "big"), 0);
        if (empty && run->big_shrinks) {
            CHECK_EQ(host_unlink(&run->volume, "big"), 0);
            run->big_shrinks = false;
            sync_all(run);
            return;
        }
        run->big_directory -= run->big_shrinks;
        snprintf(name, sizeof name, "big/%0150u", run->big_directory);
        if (run->big_shrinks)
            CHECK_EQ(host_unlink(&run->volume, name), 0);
        else
            CHECK_EQ(host_link(&run->volume, path_of(FIRST_OVERWRITER), name), 0);
        run->big_directory += !run->big_shrinks;
        if (run->big_directory == 60)
            run->big_shrinks = true;
    }
}

static void step(struct power_run *run)
{
    switch (next(run, 12)) {
    case 0 ... 2:
        append(run, (uint32_t)next(run, APPENDERS));
        break;
    case 3 ... 4:
        overwrite(run, FIRST_OVERWRITER + (uint32_t)next(run, OVERWRITERS));
        break;
    case 5:
        replace(run, (uint32_t)next(run, REPLACED));
        break;
    case 6 ... 7:
        come_and_go(run);
        break;
    case 8:
        cut_file(run);
        break;
    case 9 ... 10:
        big_directory(run);
        break;
    default:
        if (next(run, 3) == 0)
            sync_all(run);
    }
}

static void keep_medium(struct power_run *run)
{
    run->log.bytes = run->volume.device.sectors * SECTOR_SIZE;
    run->log.medium = malloc(run->log.bytes);
    CHECK(run->log.medium != NULL);
    CHECK_EQ(pread(run->volume.fd, run->log.medium, run->log.bytes, 0), (int64_t)run->log.bytes);
}

void power_work(struct power_run *run, const char *mke2fs, const char *size, const char *options, unsigned steps, uint64_t seed)
{
    char arguments[256];

    memset(run, 0, sizeof *run);
    run->random = seed;
    run->next_id = run->next_version = 1;
    snprintf(arguments, sizeof arguments, "%s -U " VOLUME_ID " -E hash_seed=" VOLUME_ID, mke2fs);
    volume_host_make(&run->volume, arguments, size);
    run->volume.options = options;
    keep_medium(run);
    recorder_begin(&run->log.record, &run->volume.device);
    CHECK_EQ(volume_host_mount(&run->volume, 0), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(host_mkdir(&run->volume, (char[]){'d', (char)('0' + i), 0}), 0);
    for (uint32_t path = 0; path < FIRST_REPLACED; path++)
        create(run, path);
    create(run, CUT_FILE);
    for (uint32_t i = 0; i < OVERWRITERS; i++)
        write_sectors(run, FIRST_OVERWRITER + i, 0, 128);
    sync_all(run);
    unsigned since = 0;
    for (unsigned i = 0; i < steps; i++) {
        step(run);
        if (++since == 40) {
            sync_all(run);
            since = 0;
        }
    }
    volume_host_unmount(&run->volume);
    recorder_end(&run->log.record);
}

void power_free(struct power_run *run)
{
    volume_host_remove(&run->volume);
    power_log_free(&run->log);
}
