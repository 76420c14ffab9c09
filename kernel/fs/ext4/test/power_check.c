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
    char *text;  // the first fault, POWER_FAULT_ROOM bytes; empty: none
};

static void fault(struct finding *f, const char *who, const char *what)
{
    if (f->text[0] == 0)
        snprintf(f->text, POWER_FAULT_ROOM, "%s: %s", who, what);
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

static void check_path(struct finding *f, struct volume_host *v, const struct power_model *model, uint32_t p, bool *found,
                       const char *who)
{
    static uint8_t data[(POWER_SECTORS + 1) * POWER_SECTOR];
    char why[256], path[POWER_NAME_ROOM], text[400];
    struct inode *inode;
    int64_t bytes = 0;
    uint32_t id;
    int error = host_find(v, power_path_name(p, path), &inode);

    if (error == 0) {
        bytes = host_read(v, inode, 0, data, sizeof data);
        inode_put(inode);
    }
    if ((error != 0 && error != -2) || bytes < 0) {
        snprintf(text, sizeof text, "%.120s: error %d", path, error != 0 ? error : (int)bytes);
        fault(f, who, text);
    } else if (!power_model_allows(model, p, error == 0 ? data : NULL, (uint64_t)bytes, &id, why, sizeof why)) {
        snprintf(text, sizeof text, "%.120s: %s", path, why);
        fault(f, who, text);
    } else {
        found[id] = true;
    }
}

static void check_files(struct finding *f, struct volume_host *v, const struct power_model *model, const char *who)
{
    bool found[POWER_FILES] = {false};
    char text[64];

    for (uint32_t p = 0; p < POWER_PATHS; p++)
        check_path(f, v, model, p, found, who);
    if (power_model_missing(model, found) == 0)
        return;
    snprintf(text, sizeof text, "file %u has none of its names", power_model_missing(model, found));
    fault(f, who, text);
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

static void judge(void *context, const struct power_model *model, uint8_t *image, uint64_t bytes, char *text)
{
    struct finding *f = context;

    f->text = text;
    put_image(f, image, bytes);
    mount_and_check(f, model, "after KPIO's recovery");
    run_e2fsck(f, "-fn", "e2fsck -fn after KPIO's recovery", 0);
    put_image(f, image, bytes);
    run_e2fsck(f, "-fy", "e2fsck -fy", 1);
    run_e2fsck(f, "-fn", "e2fsck -fn after e2fsck's recovery", 0);
    mount_and_check(f, model, "after e2fsck's recovery");
}

unsigned power_check(struct power_run *run, unsigned cuts, uint64_t seed, unsigned enough, bool quiet)
{
    struct finding f = {0};
    struct power_plan plan = {.cuts = cuts, .seed = seed, .sector = POWER_SUPER_SECTOR, .enough = enough, .quiet = quiet,
                              .judge = judge, .context = &f};

    snprintf(f.image, sizeof f.image, "%s.cut", run->volume.image);
    snprintf(f.output, sizeof f.output, "%s.out", run->volume.image);
    unsigned faults = power_check_cuts(&run->log, &plan);
    unlink(f.image);
    unlink(f.output);
    return faults;
}
