// What is found after a power cut, judged by the model and by e2fsck.
#include "kernel/fs/ext4/test/power.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct finding {
    char image[160], output[160];
    char text[512];  // the first fault; empty: none
};

static void fault(struct finding *f, const char *who, const char *what)
{
    if (f->text[0] == 0)
        snprintf(f->text, sizeof f->text, "%s: %s", who, what);
}

static void put_image(const struct finding *f, const uint8_t *data, uint64_t bytes)
{
    int fd = open(f->image, O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || write(fd, data, bytes) != (ssize_t)bytes)
        abort();
    close(fd);
}

// What e2fsck says of a journal that it replays, of files that were open, and of the superblock's sums, which are written at
// unmount and on sync only; all else it says is of a fault.
static bool is_harmless(const char *line)
{
    static const char *const harmless[] = {
        "e2fsck ", "Pass ", "recovering journal", "Clearing orphaned inode", "Truncating orph", "files (", "(uid=", "Optimizing",
        "FILE SYSTEM WAS MODIFIED", "Setting free", "Free blocks count wrong (", "Free inodes count wrong (", "Fix? yes",
        "was corrupt, replay was aborted",  // a torn commit record: the log ends before it
    };

    for (unsigned i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (strstr(line, harmless[i]) != NULL)
            return true;
    return line[0] == '\n' || line[0] == 0;
}

static void run_e2fsck(struct finding *f, const char *options, const char *who, int worst)
{
    char command[512], line[400];

    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin e2fsck %s %s > %s 2>&1", options, f->image, f->output);
    int status = system(command);
    FILE *out = fopen(f->output, "r");
    if (out == NULL)
        abort();
    while (fgets(line, sizeof line, out) != NULL)
        if (!is_harmless(line))
            fault(f, who, line);
    fclose(out);
    if (status < 0 || (status >> 8) > worst || (status & 255) != 0)
        fault(f, who, "its status");
}

static void check_files(struct finding *f, struct volume_host *v, const struct power_model *model, const char *who)
{
    static uint8_t data[(POWER_SECTORS + 1) * POWER_SECTOR];
    char why[256], path[32], text[400];

    for (uint32_t p = 0; p < POWER_PATHS; p++) {
        struct inode *inode;
        int64_t bytes = 0;

        snprintf(path, sizeof path, "d%u/file%u", p % 3, p);
        int error = host_find(v, path, &inode);
        if (error == 0) {
            bytes = host_read(v, inode, 0, data, sizeof data);
            inode_put(inode);
        }
        if ((error != 0 && error != -2) || bytes < 0) {
            snprintf(text, sizeof text, "%s: error %d", path, error != 0 ? error : (int)bytes);
            fault(f, who, text);
        } else if (!power_model_allows(model, p, error == 0 ? data : NULL, (uint64_t)bytes, why, sizeof why)) {
            snprintf(text, sizeof text, "%s: %s", path, why);
            fault(f, who, text);
        }
    }
}

// Mounts the image, with our recovery if there is something to recover, compares the files, unmounts.
static void mount_and_check(struct finding *f, const struct power_model *model, const char *who)
{
    struct volume_host v;

    volume_host_open(&v, f->image);
    int error = volume_host_mount(&v, 0);
    if (error != 0) {
        char text[64];
        snprintf(text, sizeof text, "cannot be mounted: error %d", error);
        fault(f, who, text);
    } else {
        check_files(f, &v, model, who);
        volume_host_unmount(&v);
    }
    close(v.fd);
}

static void check_cut(struct finding *f, const struct power_model *model, const uint8_t *image, uint64_t bytes)
{
    put_image(f, image, bytes);
    mount_and_check(f, model, "after KPIO's recovery");
    run_e2fsck(f, "-fn", "e2fsck -fn after KPIO's recovery", 0);
    put_image(f, image, bytes);
    run_e2fsck(f, "-fy", "e2fsck -fy", 1);
    run_e2fsck(f, "-fn", "e2fsck -fn after e2fsck's recovery", 0);
    mount_and_check(f, model, "after e2fsck's recovery");
}

static int by_value(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static bool orders(const struct recorded *r) { return r->op == BLOCK_FLUSH || r->flags & BLOCK_FUA; }

static bool writes_super(const struct recorded *r)
{
    return r->op == BLOCK_WRITE && r->sector <= POWER_SUPER_SECTOR && r->sector + r->bytes / SECTOR_SIZE > POWER_SUPER_SECTOR;
}

// A quarter right after a flush or a commit record, a quarter right before one, a quarter with the superblock on its way,
// which mounting and unmounting write in place, and a quarter anywhere; in order.
static size_t *choose_cuts(const struct power_run *run, unsigned cuts, uint64_t *random)
{
    size_t *chosen = malloc(cuts * sizeof *chosen), count = run->record.count;

    if (chosen == NULL)
        abort();
    for (unsigned i = 0; i < cuts; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        size_t at = (*random >> 33) % count;

        for (size_t steps = 0; i % 4 == 2 && steps < count && !writes_super(&run->record.log[at]); steps++)
            at = (at + 1) % count;
        while (i % 4 < 2 && at + 1 < count && !orders(&run->record.log[at]))
            at++;
        chosen[i] = at + (i % 4 == 0);
    }
    qsort(chosen, cuts, sizeof *chosen, by_value);
    return chosen;
}

static const char *const mode_names[] = {"all arrived", "only what is certain", "some writes", "some sectors", "one write torn"};

unsigned power_check(struct power_run *run, unsigned cuts, uint64_t seed, unsigned enough, bool quiet)
{
    struct finding f = {0};
    struct power_cut cut;
    uint64_t random = seed;
    unsigned faults = 0;
    const char *progress = getenv("KPIO_PROGRESS");
    uint8_t *image = malloc(run->bytes), *medium = malloc(run->bytes);

    if (image == NULL || medium == NULL)
        abort();
    memcpy(medium, run->medium, run->bytes);
    snprintf(f.image, sizeof f.image, "%s.cut", run->volume.image);
    snprintf(f.output, sizeof f.output, "%s.out", run->volume.image);
    size_t *chosen = choose_cuts(run, cuts, &random);
    power_cut_begin(&cut, &run->record, medium);
    for (unsigned i = 0; i < cuts && faults < enough; i++) {
        struct power_model *model = power_model_at(&run->events, chosen[i]);
        enum cut_mode mode = (enum cut_mode)((i * 7 + seed) % CUT_MODES);

        f.text[0] = 0;
        power_cut_advance(&cut, chosen[i]);
        power_cut_image(&cut, mode, seed + i, image, run->bytes);
        check_cut(&f, model, image, run->bytes);
        power_model_free(model);
        if (f.text[0] != 0 && faults++ < 5 && !quiet)
            printf("cut at request %zu of %zu (%s): %s\n", chosen[i], run->record.count, mode_names[mode], f.text);
        if (progress != NULL && (i + 1) % 10 == 0)
            printf("PROGRESS %u of %u cuts, %u faults\n", i + 1, cuts, faults), fflush(stdout);
    }
    free(chosen);
    free(image);
    free(medium);
    unlink(f.image);
    unlink(f.output);
    return faults;
}
