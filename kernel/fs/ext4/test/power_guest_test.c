// Power cuts of a guest: QEMU's record of the disk that tests/guest/power.c worked on, and the image as it was before, come
// in KPIO_POWER_LOG and KPIO_POWER_IMAGE (tests/system/test_power.py, `kpio soak power`). Without them the same steps are done
// here, by turns, on ext4's host build, and its own record is looked at in the same way: as if nothing were known of when
// each step began and ended but what the data in the record tell.
// links: kernel/fs/ext4/test/power_work.c kernel/fs/ext4/test/power_check.c kernel/fs/vfs/test/power_model.c kernel/fs/vfs/test/power_cuts.c kernel/fs/vfs/test/power_guest.c kernel/block/test/recorder.c kernel/fs/ext4/test/volume_host.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/vfs/inode.c lib/fmt.c lib/rbtree.c lib/bitmap.c lib/crc32c.c lib/text.c kernel/fs/ext4/balloc.c kernel/fs/ext4/bitmap.c kernel/fs/ext4/data.c kernel/fs/ext4/delayed.c kernel/fs/ext4/directory.c kernel/fs/ext4/dirent.c kernel/fs/ext4/extent.c kernel/fs/ext4/extent_change.c kernel/fs/ext4/feature.c kernel/fs/ext4/freed.c kernel/fs/ext4/group.c kernel/fs/ext4/hash.c kernel/fs/ext4/htree.c kernel/fs/ext4/htree_add.c kernel/fs/ext4/htree_list.c kernel/fs/ext4/ialloc.c kernel/fs/ext4/indirect.c kernel/fs/ext4/inode.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/link.c kernel/fs/ext4/map.c kernel/fs/ext4/mount.c kernel/fs/ext4/namei.c kernel/fs/ext4/ops.c kernel/fs/ext4/orphan.c kernel/fs/ext4/rename.c kernel/fs/ext4/superblock.c kernel/fs/ext4/truncate.c kernel/fs/ext4/tx.c kernel/fs/ext4/xattr.c kernel/fs/ext4/xattr_area.c
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/fs/ext4/test/power.h"
#include "kernel/fs/vfs/test/power_guest.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct power_run run;

static unsigned check(unsigned steps, unsigned cuts, uint64_t seed, uint64_t script_seed, unsigned enough, bool quiet)
{
    CHECK(run.log.record.count > 0);
    power_guest_note(&run.log, steps, script_seed);
    return power_check(&run, cuts, seed, enough, quiet);
}

// ---- the same steps here --------------------------------------------------------------------------------------------------------

static const char *path_of(uint32_t path)
{
    static char names[2][POWER_NAME_ROOM];
    static unsigned turn;

    return power_path_name(path, names[turn++ % 2]);
}

static void change_file(const struct power_step *step)
{
    static uint8_t data[POWER_SECTORS * POWER_SECTOR];
    struct inode *inode;

    CHECK_EQ(host_find(&run.volume, path_of(step->path), &inode), 0);
    if (step->what == POWER_DO_SYNC)
        CHECK_EQ(inode->ops->sync(inode, false), 0);
    if (step->what == POWER_DO_RESIZE)
        CHECK_EQ(host_resize(&run.volume, inode, (uint64_t)step->first * POWER_SECTOR), 0);
    if (step->what == POWER_DO_WRITE) {
        power_fill(data, step->id, step->first, step->count, step->version);
        CHECK(host_write(&run.volume, inode, (uint64_t)step->first * POWER_SECTOR, data, (uint64_t)step->count * POWER_SECTOR) > 0);
    }
    inode_put(inode);
}

static void do_step(const struct power_step *step)
{
    switch (step->what) {
    case POWER_DO_CREATE:
        CHECK_EQ(host_create(&run.volume, path_of(step->path), &(struct inode_new){.mode = FS_REGULAR | 0644}), 0);
        break;
    case POWER_DO_RENAME:
        CHECK_EQ(host_rename(&run.volume, path_of(step->path), path_of(step->to), 0), 0);
        break;
    case POWER_DO_UNLINK:
        CHECK_EQ(host_unlink(&run.volume, path_of(step->path)), 0);
        break;
    default:
        change_file(step);
    }
}

static void keep_medium(void)
{
    run.log.bytes = run.volume.device.sectors * SECTOR_SIZE;
    run.log.medium = malloc(run.log.bytes);
    CHECK(run.log.medium != NULL);
    CHECK_EQ(pread(run.volume.fd, run.log.medium, run.log.bytes, 0), (int64_t)run.log.bytes);
}

static void work_here(unsigned steps, uint64_t seed)
{
    struct power_script scripts[POWER_PROCESSES];

    memset(&run, 0, sizeof run);
    volume_host_make(&run.volume, "-t ext4 -b 1024", "12M");
    keep_medium();
    recorder_begin(&run.log.record, &run.volume.device);
    CHECK_EQ(volume_host_mount(&run.volume, 0), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(host_mkdir(&run.volume, (char[]){'d', (char)('0' + i), 0}), 0);
    for (uint32_t p = 0; p < POWER_PROCESSES; p++)
        power_script_begin(&scripts[p], p, seed);
    for (unsigned i = 0; i < steps * POWER_PROCESSES; i++) {
        struct power_step step = power_next_step(&scripts[i % POWER_PROCESSES]);
        do_step(&step);
    }
    volume_host_unmount(&run.volume);
    recorder_end(&run.log.record);
}

TEST(what_a_guest_synced_is_there)
{
    const char *log = getenv("KPIO_POWER_LOG"), *image = getenv("KPIO_POWER_IMAGE");
    unsigned steps = power_setting("KPIO_POWER_STEPS", 60), cuts = power_setting("KPIO_POWER_CUTS", 30);
    unsigned seed = power_setting("KPIO_POWER_SEED", 1);

    journal_bug = JOURNAL_NO_BUG;
    if (log == NULL) {
        work_here(steps, seed);
    } else {
        memset(&run, 0, sizeof run);
        volume_host_open(&run.volume, image);
        keep_medium();
        CHECK(recorder_load(&run.log.record, log));
    }
    unsigned faults = check(steps, cuts, seed, seed, UINT32_MAX, false);
    power_free(&run);
    CHECK_EQ(faults, 0);
}

TEST(a_sync_that_does_nothing_is_seen)
{
    journal_bug = JOURNAL_BUG_NO_FLUSH;
    work_here(60, 1);
    journal_bug = JOURNAL_NO_BUG;
    unsigned faults = check(60, 100, 1, 1, 1, true);
    power_free(&run);
    CHECK_EQ(faults, 1);
}
