#include "kernel/fs/fat32/test/fat_power.h"

#include "abi/gen/errors.h"
#include "tests/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NEW_FILES 8u
#define NEW_BYTES 20000u
#define BOOT_STATE 0x41
#define TABLE_CLEAN 0x08000000u

void fat_judge_begin(struct fat_judge *j, uint64_t bytes)
{
    memset(j, 0, sizeof *j);
    j->h.bytes = bytes;
    snprintf(j->h.path, sizeof j->h.path, "/tmp/kpio-fat-cut-%d", (int)getpid());
    snprintf(j->output, sizeof j->output, "%s.out", j->h.path);
    disk_host_create(&j->h.disk, bytes);
}

void fat_judge_end(struct fat_judge *j)
{
    unlink(j->h.path);
    unlink(j->output);
    disk_host_destroy(&j->h.disk);
}

__attribute__((format(printf, 3, 4))) static void fault(struct fat_judge *j, const char *who, const char *format, ...)
{
    va_list args;

    if (j->text[0] != 0)
        return;
    int at = snprintf(j->text, POWER_FAULT_ROOM, "%s: ", who);
    va_start(args, format);
    vsnprintf(j->text + at, POWER_FAULT_ROOM - (size_t)at, format, args);
    va_end(args);
}

// ---- fsck.fat -----------------------------------------------------------------------------------------------------------------

static bool says_clean(const struct fat_host *h)
{
    uint16_t reserved;
    uint32_t state;

    memcpy(&reserved, h->disk.data + 14, 2);
    memcpy(&state, h->disk.data + reserved * 512u + 4, 4);
    return !(h->disk.data[BOOT_STATE] & 1) && (state & TABLE_CLEAN);
}

static bool begins_with_one_of(const char *line, const char *const *texts)
{
    for (; *texts != NULL; texts++)
        if (strncmp(line, *texts, strlen(*texts)) == 0)
            return true;
    return false;
}

// What FAT cannot promise: space is lost, chains are longer than their files, the copies of the table and the count of free
// clusters lag behind, a file that is being moved has two names, a name of more than a block is there in part.
static bool is_harmless(const struct fat_judge *j, const char *line)
{
    static const char *const lagging[] = {
        "There are differences between boot sector and its backup", "This is mostly harmless", "65:01/00",  // the mark
        "Not automatically fixing this", "Dirty bit is set", "Automatically removing dirty bit", "FATs differ but appear to be intact",
        "Using first FAT", "/", "Truncating file to", "Contains a free cluster", "Reclaimed ", "Free cluster summary wrong",
        "Auto-correcting", "Leaving filesystem unchanged", "*** Filesystem was changed", "Writing changes", NULL,
    };
    static const char *const twin[] = {"share clusters", "Truncating second to 0 bytes", NULL};
    static const char *const piece[] = {
        "Orphaned long file name part", "Unfinished long file name", "A new long file name starts within an old one",
        "Long filename fragment", "Auto-deleting", "It could be that", "Not auto-correcting", NULL,
    };
    unsigned long size, chain;

    if (sscanf(line, "File size is %lu bytes, cluster chain length is > %lu", &size, &chain) == 2)
        return size <= chain;
    if (sscanf(line, "File size is %lu bytes, cluster chain length is %lu", &size, &chain) == 2)
        return j->twins && chain == 0;  // of the second name
    return begins_with_one_of(line, lagging) || (j->twins && begins_with_one_of(line, twin)) ||
           (j->torn && begins_with_one_of(line, piece));
}

static bool is_summary(const char *line)
{
    return *line == 0 || strncmp(line, "fsck.fat ", 9) == 0 || strstr(line, " files, ") != NULL;
}

// Whoever says that it is clean must be.
static void run_fsck(struct fat_judge *j, const char *options, const char *who, bool clean)
{
    char command[300], line[700];

    fat_host_store(&j->h);
    snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin LC_ALL=C fsck.fat %s %s > %s 2>&1", options, j->h.path, j->output);
    int status = system(command);
    FILE *out = fopen(j->output, "r");
    if (out == NULL)
        abort();
    while (fgets(line, sizeof line, out) != NULL) {
        char *from = line + strspn(line, " ");

        from[strcspn(from, "\n")] = 0;
        if (!is_summary(from) && (clean || !is_harmless(j, from)))
            fault(j, who, "%s%.300s", clean ? "(clean) " : "", from);
    }
    fclose(out);
    if (status < 0 || (status >> 8) > (clean ? 0 : 1) || (status & 255) != 0)
        fault(j, who, "its status is %#x", (unsigned)status);
    fat_host_load(&j->h);
}

// ---- files --------------------------------------------------------------------------------------------------------------------

static bool mount(struct fat_judge *j, unsigned flags, const char *who)
{
    int error = fat_host_mount(&j->h, flags);

    if (error != 0)
        fault(j, who, "cannot be mounted: error %d", error);
    return error == 0;
}

static void unmount(struct fat_judge *j, const char *who)
{
    if (j->h.fs->flags & FS_MOUNT_DAMAGED)
        fault(j, who, "it turned read-only");
    (void)inodes_write(j->h.fs);
    CHECK_EQ(inodes_release(j->h.fs), 0);
    j->h.fs->ops->unmount(j->h.fs);
    j->h.fs = NULL;
}

// All of a file, or -ENOENT, or another error.
static int64_t read_path(struct fat_judge *j, const char *path, void *data, uint64_t room)
{
    int error;
    struct inode *file = fat_host_find(&j->h, path, &error);

    if (file == NULL)
        return error;
    int64_t bytes = (int64_t)MIN(inode_size(file), room);
    error = bytes > 0 ? fat_host_read(file, 0, data, (uint64_t)bytes) : 0;
    inode_put(file);
    return error != 0 ? error : bytes;
}

struct seen {
    uint32_t at[POWER_PATHS];  // by path: the file found there, or 0
    bool empty[POWER_PATHS];   // what fsck.fat leaves of a second name
    bool found[POWER_FILES];
};

static void check_path(struct fat_judge *j, struct seen *s, uint32_t p, const char *who)
{
    static uint8_t data[(POWER_SECTORS + 1) * POWER_SECTOR];
    char why[256], path[POWER_NAME_ROOM];
    int64_t bytes = read_path(j, power_path_name(p, path), data, sizeof data);
    uint32_t id;

    if (bytes < 0 && bytes != -ENOENT) {
        fault(j, who, "%.60s: error %d", path, (int)bytes);
        return;
    }
    if (power_model_allows(j->model, p, bytes < 0 ? NULL : data, bytes < 0 ? 0 : (uint64_t)bytes, &id, why, sizeof why)) {
        s->at[p] = id;
        j->twins |= id != 0 && s->found[id];
        s->found[id] = true;
    } else if (bytes == 0) {
        s->empty[p] = true;
    } else {
        fault(j, who, "%.60s: %s", path, why);
    }
}

// `repaired`: of two names of a file fsck.fat leaves one.
static void check_files(struct fat_judge *j, struct seen *s, bool repaired, const char *who)
{
    memset(s, 0, sizeof *s);
    for (uint32_t p = 0; p < POWER_PATHS; p++)
        check_path(j, s, p, who);
    for (uint32_t p = 0; p < POWER_PATHS; p++) {
        bool other_name = false;

        for (uint32_t q = 0; q < POWER_PATHS; q++)
            other_name |= s->at[q] != 0 && power_model_may_be(j->model, p, s->at[q]);
        if (s->empty[p] && !(repaired && other_name))
            fault(j, who, "path %u: empty", p);
    }
    if (power_model_missing(j->model, s->found) != 0)
        fault(j, who, "file %u has none of its names", power_model_missing(j->model, s->found));
}

static bool is_removed(const struct seen *s, uint32_t p)
{
    unsigned names = 0;

    for (uint32_t q = 0; q < POWER_PATHS; q++)
        names += s->at[q] == s->at[p];
    return p % 2 != 0 && s->at[p] != 0 && names == 1;
}

static void new_file(uint32_t i, char path[POWER_NAME_ROOM], uint8_t data[NEW_BYTES])
{
    snprintf(path, POWER_NAME_ROOM, "d%u/new file %u", i % 3, i);
    for (uint32_t k = 0; k < NEW_BYTES; k++)
        data[k] = (uint8_t)(i * 37 + k * 5 + (k >> 8) + 1);
}

// Half of the files go, others take their place: what was cut off, or not yet part of a file, must harm nobody.
static void live_on(struct fat_judge *j, const struct seen *s, const char *who)
{
    static uint8_t data[NEW_BYTES];
    char path[POWER_NAME_ROOM];
    int error = 0, found;

    for (uint32_t p = 0; p < POWER_PATHS && error == 0; p++)
        if (is_removed(s, p))
            error = fat_host_unlink(&j->h, power_path_name(p, path));
    for (uint32_t i = 0; i < NEW_FILES && error == 0; i++) {
        new_file(i, path, data);
        struct inode *dir = fat_host_find(&j->h, (char[]){'d', (char)('0' + i % 3), 0}, &found);
        if (dir == NULL)
            continue;
        inode_put(dir);
        struct inode *file = fat_host_create(&j->h, path, FS_REGULAR | 0644, &error);
        if (file == NULL)
            break;
        error = fat_host_write(file, 0, data, NEW_BYTES);
        if (error == 0)
            error = file->ops->sync(file, false);
        inode_put(file);
    }
    if (error != 0)
        fault(j, who, "going on: error %d", error);
}

static void check_life(struct fat_judge *j, const struct seen *before, const char *who)
{
    static uint8_t data[NEW_BYTES], want[NEW_BYTES];
    char path[POWER_NAME_ROOM];
    static struct seen now;

    memset(&now, 0, sizeof now);
    for (uint32_t p = 0; p < POWER_PATHS; p++)
        if (!is_removed(before, p) && before->at[p] != 0)
            check_path(j, &now, p, who);
        else if (is_removed(before, p) && read_path(j, power_path_name(p, path), data, NEW_BYTES) != -ENOENT)
            fault(j, who, "path %u is there again", p);
    for (uint32_t i = 0; i < NEW_FILES; i++) {
        int error;
        struct inode *dir = fat_host_find(&j->h, (char[]){'d', (char)('0' + i % 3), 0}, &error);

        if (dir == NULL)
            continue;
        inode_put(dir);
        new_file(i, path, want);
        if (read_path(j, path, data, NEW_BYTES) != NEW_BYTES || memcmp(data, want, NEW_BYTES) != 0)
            fault(j, who, "%s is another", path);
    }
}

// ---- a cut --------------------------------------------------------------------------------------------------------------------

static void go_on(struct fat_judge *j)
{
    static struct seen seen;

    if (!mount(j, 0, "mounted again"))
        return;
    check_files(j, &seen, false, "mounted again");
    live_on(j, &seen, "mounted again");
    unmount(j, "mounted again");
    run_fsck(j, "-n", "fsck.fat -n after going on", false);
    if (mount(j, 0, "after going on")) {
        check_life(j, &seen, "after going on");
        unmount(j, "after going on");
    }
    if (j->twins)  // what fsck.fat makes of two names is looked at without this
        return;
    run_fsck(j, "-a -w", "fsck.fat -a after going on", false);
    if (mount(j, 0, "after going on and fsck.fat -a")) {
        check_life(j, &seen, "after going on and fsck.fat -a");
        unmount(j, "after going on and fsck.fat -a");
    }
}

static void repair(struct fat_judge *j)
{
    static struct seen seen;

    run_fsck(j, "-a -w", "fsck.fat -a", false);
    run_fsck(j, "-n", "fsck.fat -n after fsck.fat -a", true);
    if (mount(j, 0, "after fsck.fat -a")) {
        check_files(j, &seen, true, "after fsck.fat -a");
        unmount(j, "after fsck.fat -a");
    }
}

void fat_power_judge(void *context, const struct power_model *model, uint8_t *image, uint64_t bytes, char *text)
{
    static struct seen seen;
    struct fat_judge *j = context;

    j->model = model;
    j->text = text;
    j->twins = j->torn = false;
    for (uint32_t p = 0; p < POWER_PATHS; p++)
        j->torn |= power_name_tail(p) >= POWER_NAME_LONG && !power_model_is_settled(model, p);
    memcpy(j->h.disk.data, image, bytes);
    if (mount(j, FS_MOUNT_READ_ONLY, "read only")) {
        check_files(j, &seen, false, "read only");
        unmount(j, "read only");
    }
    if (memcmp(j->h.disk.data, image, bytes) != 0)
        fault(j, "read only", "it was written to");
    run_fsck(j, "-n", "fsck.fat -n", says_clean(&j->h));
    go_on(j);
    memcpy(j->h.disk.data, image, bytes);
    repair(j);
}
