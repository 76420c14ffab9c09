// Power cuts of a guest that works on FAT32: QEMU's record of the disk that tests/guest/power.c worked on, and the image as it
// was before, come in KPIO_POWER_LOG and KPIO_POWER_IMAGE (tests/system/test_power.py, `kpio soak power`). Without them the
// same steps are done here, by turns, on the host's build, and its own record is looked at in the same way.
// links: kernel/fs/fat32/volume.c kernel/fs/fat32/table.c kernel/fs/fat32/sync.c kernel/fs/fat32/chain.c kernel/fs/fat32/name.c
// links: kernel/fs/fat32/directory.c kernel/fs/fat32/inode.c kernel/fs/fat32/namei.c kernel/fs/fat32/data.c
// links: kernel/fs/fat32/test/fat_host.c kernel/fs/fat32/test/fat_power.c kernel/fs/vfs/test/power_model.c
// links: kernel/fs/vfs/test/power_cuts.c kernel/fs/vfs/test/power_guest.c kernel/block/test/recorder.c
// links: kernel/fs/vfs/inode.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/block/block.c lib/fmt.c
#include "kernel/fs/fat32/test/fat_power.h"
#include "kernel/fs/vfs/test/power_guest.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 60u

static struct power_log power;

// ---- the steps, here ------------------------------------------------------------------------------------------------------------

static void change_file(struct fat_host *h, const struct power_step *step, const char *path)
{
    static uint8_t data[POWER_SECTORS * POWER_SECTOR];
    int error;
    struct inode *file = step->what == POWER_DO_CREATE ? fat_host_create(h, path, FS_REGULAR | 0644, &error)
                                                       : fat_host_find(h, path, &error);

    CHECK(file != NULL);
    if (step->what == POWER_DO_SYNC)
        CHECK_EQ(file->ops->sync(file, false), 0);
    if (step->what == POWER_DO_RESIZE)
        CHECK_EQ(fat_host_truncate(file, (uint64_t)step->first * POWER_SECTOR), 0);
    if (step->what == POWER_DO_WRITE) {
        power_fill(data, step->id, step->first, step->count, step->version);
        CHECK_EQ(fat_host_write(file, (uint64_t)step->first * POWER_SECTOR, data, (uint64_t)step->count * POWER_SECTOR), 0);
    }
    inode_put(file);
}

static void do_step(struct fat_host *h, const struct power_step *step)
{
    char path[POWER_NAME_ROOM], to[POWER_NAME_ROOM];

    power_path_name(step->path, path);
    if (step->what == POWER_DO_RENAME)
        CHECK_EQ(fat_host_rename(h, path, power_path_name(step->to, to)), 0);
    else if (step->what == POWER_DO_UNLINK)
        CHECK_EQ(fat_host_unlink(h, path), 0);
    else
        change_file(h, step, path);
}

static void work_here(unsigned steps, uint64_t seed)
{
    static struct fat_host h;
    struct power_script scripts[POWER_PROCESSES];
    int error;

    fat_host_make(&h, 34, "-s 1");
    power = (struct power_log){.bytes = h.bytes, .medium = malloc(h.bytes)};
    CHECK(power.medium != NULL);
    memcpy(power.medium, h.disk.data, h.bytes);
    recorder_begin(&power.record, &h.disk.device);
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    for (unsigned i = 0; i < 3; i++)
        inode_put(fat_host_create(&h, (char[]){'d', (char)('0' + i), 0}, FS_DIRECTORY | 0755, &error));
    for (uint32_t p = 0; p < POWER_PROCESSES; p++)
        power_script_begin(&scripts[p], p, seed);
    for (unsigned i = 0; i < steps * POWER_PROCESSES; i++) {
        struct power_step step = power_next_step(&scripts[i % POWER_PROCESSES]);
        do_step(&h, &step);
    }
    fat_host_unmount(&h);
    recorder_end(&power.record);
    fat_host_destroy(&h);
}

static void load_guest(const char *log, const char *image)
{
    FILE *file = fopen(image, "rb");

    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    power = (struct power_log){.bytes = (uint64_t)ftell(file)};
    power.medium = malloc(power.bytes);
    rewind(file);
    CHECK(power.medium != NULL && fread(power.medium, 1, power.bytes, file) == power.bytes);
    fclose(file);
    CHECK(recorder_load(&power.record, log));
}

static unsigned check(unsigned steps, unsigned cuts, uint64_t seed, unsigned enough)
{
    struct fat_judge judge;
    struct power_plan plan = {.cuts = cuts, .seed = seed, .sector = 0, .enough = enough, .quiet = enough != UINT32_MAX,
                              .judge = fat_power_judge, .context = &judge};

    CHECK(power.record.count > 0);
    power_guest_note(&power, steps, seed);
    fat_judge_begin(&judge, power.bytes);
    unsigned faults = power_check_cuts(&power, &plan);
    fat_judge_end(&judge);
    power_log_free(&power);
    return faults;
}

TEST(what_a_guest_synced_is_there)
{
    const char *log = getenv("KPIO_POWER_LOG"), *image = getenv("KPIO_POWER_IMAGE");
    unsigned steps = power_setting("KPIO_POWER_STEPS", STEPS), seed = power_setting("KPIO_POWER_SEED", 1);

    if (log == NULL)
        work_here(steps, seed);
    else
        load_guest(log, image);
    CHECK_EQ(check(steps, power_setting("KPIO_POWER_CUTS", 30), seed, UINT32_MAX), 0);
}

// ---- the checker sees what is wrong -----------------------------------------------------------------------------------------------

TEST(a_sync_that_does_nothing_is_seen)
{
    size_t kept = 0;

    work_here(STEPS, 1);
    for (size_t i = 0; i < power.record.count; i++) {
        power.record.log[i].flags &= (uint8_t)~BLOCK_FUA;
        if (power.record.log[i].op != BLOCK_FLUSH)
            power.record.log[kept++] = power.record.log[i];
    }
    power.record.count = kept;
    CHECK_EQ(check(STEPS, 100, 1, 1), 1);
}

static uint64_t data_start(void)
{
    uint16_t reserved;
    uint32_t table;

    memcpy(&reserved, power.medium + 14, sizeof reserved);
    memcpy(&table, power.medium + 36, sizeof table);
    return reserved + (uint64_t)power.medium[16] * table;
}

// As if entries went to the disk together with the tables that they need.
TEST(entries_without_their_tables_are_seen)
{
    size_t kept = 0;

    work_here(STEPS, 1);
    uint64_t entries = data_start();
    for (size_t i = 0; i < power.record.count; i++) {
        const struct recorded *r = &power.record.log[i], *next = r + 1;

        if (r->op == BLOCK_FLUSH && i + 1 < power.record.count && next->op == BLOCK_WRITE && next->sector >= entries)
            continue;
        power.record.log[kept++] = *r;
    }
    power.record.count = kept;
    CHECK_EQ(check(STEPS, 100, 1, 1), 1);
}
