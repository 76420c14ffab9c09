// Power cuts: a workload of several writers on ext4, and what is left of it. KPIO_POWER_CUTS and KPIO_POWER_SEED choose the
// long form (`kpio soak power`).
// links: kernel/fs/ext4/test/power_work.c kernel/fs/ext4/test/power_check.c kernel/fs/vfs/test/power_model.c kernel/fs/vfs/test/power_cuts.c kernel/fs/vfs/test/power_guest.c kernel/block/test/recorder.c kernel/fs/ext4/test/volume_host.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/fs/vfs/inode.c lib/fmt.c lib/rbtree.c lib/bitmap.c lib/crc32c.c lib/text.c kernel/fs/ext4/balloc.c kernel/fs/ext4/bitmap.c kernel/fs/ext4/data.c kernel/fs/ext4/delayed.c kernel/fs/ext4/directory.c kernel/fs/ext4/dirent.c kernel/fs/ext4/extent.c kernel/fs/ext4/extent_change.c kernel/fs/ext4/feature.c kernel/fs/ext4/freed.c kernel/fs/ext4/group.c kernel/fs/ext4/hash.c kernel/fs/ext4/htree.c kernel/fs/ext4/htree_add.c kernel/fs/ext4/htree_list.c kernel/fs/ext4/ialloc.c kernel/fs/ext4/indirect.c kernel/fs/ext4/inode.c kernel/fs/ext4/journal.c kernel/fs/ext4/journal_access.c kernel/fs/ext4/journal_checkpoint.c kernel/fs/ext4/journal_commit.c kernel/fs/ext4/journal_format.c kernel/fs/ext4/journal_recover.c kernel/fs/ext4/journal_revoke.c kernel/fs/ext4/journal_transaction.c kernel/fs/ext4/link.c kernel/fs/ext4/map.c kernel/fs/ext4/mount.c kernel/fs/ext4/namei.c kernel/fs/ext4/ops.c kernel/fs/ext4/orphan.c kernel/fs/ext4/rename.c kernel/fs/ext4/superblock.c kernel/fs/ext4/truncate.c kernel/fs/ext4/tx.c kernel/fs/ext4/xattr.c kernel/fs/ext4/xattr_area.c
#include "kernel/fs/ext4/ext4.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/fs/ext4/test/power.h"
#include "kernel/fs/vfs/test/power_guest.h"
#include "lib/crc32c.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *mke2fs, *size, *options;
} volumes[] = {
    {"-t ext4 -b 1024", "8M", ""},
    {"-t ext4 -b 4096", "24M", ""},
    {"-t ext4 -b 2048 -O ^metadata_csum,^64bit", "12M", ""},
    {"-t ext4 -b 1024", "8M", "discard"},
};
#define VOLUMES (sizeof volumes / sizeof volumes[0])

TEST(nothing_that_was_synced_is_lost)
{
    unsigned cuts = power_setting("KPIO_POWER_CUTS", 60), seed = power_setting("KPIO_POWER_SEED", 1);

    for (unsigned i = 0; i < VOLUMES; i++) {
        static struct power_run run;

        journal_bug = JOURNAL_NO_BUG;
        power_work(&run, volumes[i].mke2fs, volumes[i].size, volumes[i].options, 400 + cuts, seed + i);
        CHECK_EQ(run.volume.discarded > 0, volumes[i].options[0] != 0);
        unsigned faults = power_check(&run, cuts / VOLUMES, seed + i, UINT32_MAX, false);
        power_free(&run);
        CHECK_EQ(faults, 0);
    }
}

// The checker sees what is wrong: with a seeded bug, the same workload does not pass.
static void see(enum journal_bug bug)
{
    static struct power_run run;

    journal_bug = bug;
    power_work(&run, volumes[0].mke2fs, volumes[0].size, "", 400, 1);
    journal_bug = JOURNAL_NO_BUG;
    unsigned faults = power_check(&run, 200, 1, 1, true);
    power_free(&run);
    CHECK_EQ(faults, 1);
}

TEST(an_omitted_flush_is_seen) { see(JOURNAL_BUG_NO_FLUSH); }
TEST(a_commit_before_its_blocks_is_seen) { see(JOURNAL_BUG_COMMIT_FIRST); }
TEST(a_lost_revoke_is_seen) { see(JOURNAL_BUG_LOST_REVOKE); }

// As if each write of the superblock had computed its checksum anew.
TEST(a_superblock_that_can_be_torn_is_seen)
{
    static struct power_run run;
    unsigned found = 0;

    journal_bug = JOURNAL_NO_BUG;
    power_work(&run, volumes[0].mke2fs, volumes[0].size, "", 400, 1);
    for (size_t i = 0; i < run.log.record.count; i++) {
        struct recorded *w = &run.log.record.log[i];
        uint64_t before = (POWER_SUPER_SECTOR - w->sector) * SECTOR_SIZE;

        if (w->op != BLOCK_WRITE || w->sector > POWER_SUPER_SECTOR || before + sizeof(struct ext4_super) > w->bytes)
            continue;
        struct ext4_super *super = (struct ext4_super *)(w->data + before);
        CHECK_EQ(super->checksum, crc32c(~0u, super, offsetof(struct ext4_super, checksum)));
        super->snapshot_id = 0;
        super->checksum = crc32c(~0u, super, offsetof(struct ext4_super, checksum));
        found++;
    }
    CHECK(found >= 2);
    unsigned faults = power_check(&run, 200, 1, 1, true);
    power_free(&run);
    CHECK_EQ(faults, 1);
}
