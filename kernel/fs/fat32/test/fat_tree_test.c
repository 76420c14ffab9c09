// Trees from mtools to KPIO and back, over many kinds of volumes: names, contents, sizes, times.
// links: kernel/fs/fat32/volume.c kernel/fs/fat32/table.c kernel/fs/fat32/sync.c kernel/fs/fat32/chain.c kernel/fs/fat32/name.c
// links: kernel/fs/fat32/directory.c kernel/fs/fat32/inode.c kernel/fs/fat32/namei.c kernel/fs/fat32/data.c
// links: kernel/fs/fat32/test/fat_host.c kernel/fs/vfs/inode.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/block/block.c
// links: lib/fmt.c
#include "kernel/fs/fat32/test/fat_host.h"
#include "tests/unit/unit.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// mtools know a FAT32 by how many clusters it has.
static const struct {
    unsigned mib;
    const char *options;
} volumes[] = {{34, "-s 1"}, {68, "-s 2"}, {136, "-s 4"}, {68, "-S 1024 -s 1"}, {264, "-S 4096 -s 1"}, {68, "-f 1 -s 2"},
             {36, "-R 64 -s 1"}};
#define VOLUMES (sizeof volumes / sizeof volumes[0])

static struct fat_host h;
static int error;
static char folder[] = "/tmp/kpio-fat-tree-XXXXXX";
static size_t root_length;  // of the source's path, and its slash

// In this test's folder, with the image as $IMAGE.
static int shell(const char *script)
{
    setenv("IMAGE", h.path, 1);
    setenv("SCRIPT", script, 1);
    setenv("FOLDER", folder, 1);
    return system("(export LC_ALL=C.UTF-8 TZ=UTC MTOOLS_SKIP_CHECK=1; cd $FOLDER && eval \"$SCRIPT\") >/dev/null 2>&1");
}

static void source_make(void)
{
    static const char script[] =
        "mkdir -p in/sub/deep/er 'in/Ein Verzeichnis' in/UPPER && for i in $(seq 1 60); do "
        "case $((i % 6)) in 0) n=in/sub/f$i;; 1) n=\"in/Ein Verzeichnis/näme ελ ж $i.text\";; 2) n=in/UPPER/F$i.TXT;; "
        "3) n=in/sub/deep/er/a.name.with.dots.$i;; 4) n=in/$(printf 'long%.0s' $(seq 1 $((i % 50 + 1))));; "
        "*) n=in/sub/deep/x+y,z=$i;; esac; seq $i $((i * i * 9)) | head -c 190000 > \"$n\"; "
        "touch -d @$((1600000000 + i * 1000002)) \"$n\"; done && : > in/empty && touch -d @1700000000 in/empty";

    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    CHECK_EQ(shell(script), 0);
    root_length = strlen(folder) + sizeof "/in/" - 1;
}

static void walk(int (*visit)(const char *, const struct stat *, int, struct FTW *))
{
    char path[64];

    snprintf(path, sizeof path, "%s/in", folder);
    CHECK_EQ(nftw(path, visit, 16, FTW_PHYS), 0);
}

static uint8_t *host_file(const char *path, uint64_t bytes)
{
    uint8_t *data = malloc(bytes + 1);
    FILE *file = fopen(path, "rb");

    CHECK(data != NULL && file != NULL && fread(data, 1, bytes, file) == bytes);
    fclose(file);
    return data;
}

// ---- KPIO writes --------------------------------------------------------------------------------------------------------------

static int put(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)at;
    if (strlen(path) < root_length)
        return 0;
    struct inode *inode = fat_host_create(&h, path + root_length, type == FTW_D ? FS_DIRECTORY | 0755 : FS_REGULAR | 0644, &error);
    CHECK_EQ(error, 0);
    if (type == FTW_F && stat->st_size > 0) {
        uint8_t *data = host_file(path, (uint64_t)stat->st_size);

        CHECK_EQ(fat_host_write(inode, 0, data, (uint64_t)stat->st_size), 0);
        free(data);
    }
    struct inode_change change = {.what = FS_SET_MODIFIED, .modified = {.seconds = stat->st_mtime}};
    CHECK_EQ(inode->ops->change(inode, &change), 0);
    inode_put(inode);
    return 0;
}

TEST(mtools_read_the_tree_that_was_written)
{
    for (unsigned i = 0; i < VOLUMES; i++) {
        source_make();
        fat_host_make(&h, volumes[i].mib, volumes[i].options);
        CHECK_EQ(fat_host_mount(&h, 0), 0);
        walk(put);
        fat_host_unmount(&h);
        CHECK_EQ(fat_host_check(&h), 0);
        if (shell("mkdir out && mcopy -s -m -n -i $IMAGE '::/*' out && diff -r in out && for d in in out; do (cd $d && "
                  "find . -type f -printf '%P %Ts\\n' | sort) > $d.times; done && cmp in.times out.times") != 0)
            unit_fail(__FILE__, __LINE__, "mtools see another tree, mkfs.fat %s", volumes[i].options);
        fat_host_destroy(&h);
        CHECK_EQ(shell("rm -r $FOLDER"), 0);
    }
}

// ---- KPIO reads ---------------------------------------------------------------------------------------------------------------

static unsigned lines(const char *text)
{
    unsigned count = 0;

    for (; *text != 0; text++)
        count += *text == '\n';
    return count;
}

static void check_directory(const char *path, struct inode *inode)
{
    char list[8192];
    unsigned names = 0;
    DIR *dir = opendir(path);

    CHECK(dir != NULL && FS_TYPE(inode->mode) == FS_DIRECTORY);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        names += entry->d_name[0] != '.';
    closedir(dir);
    CHECK_EQ(fat_host_list(inode, list, sizeof list), 0);
    CHECK_EQ(lines(list), names);
}

static int compare(const char *path, const struct stat *stat, int type, struct FTW *at)
{
    (void)at;
    struct inode *inode = fat_host_find(&h, strlen(path) < root_length ? "" : path + root_length, &error);
    if (inode == NULL)
        unit_fail(__FILE__, __LINE__, "%s: error %d", path, error);
    if (type == FTW_D) {
        check_directory(path, inode);
    } else {
        uint64_t bytes = (uint64_t)stat->st_size;
        uint8_t *want = host_file(path, bytes), *got = malloc(bytes + 1);

        CHECK_EQ(inode_size(inode), bytes);
        CHECK(bytes == 0 || fat_host_read(inode, 0, got, bytes) == 0);
        if (memcmp(want, got, bytes) != 0 || inode->modified.seconds != stat->st_mtime)
            unit_fail(__FILE__, __LINE__, "%s is another", path);
        free(want);
        free(got);
    }
    inode_put(inode);
    return 0;
}

TEST(the_tree_that_mtools_wrote_is_read)
{
    for (unsigned i = 0; i < VOLUMES; i++) {
        source_make();
        fat_host_make(&h, volumes[i].mib, volumes[i].options);
        CHECK_EQ(shell("mcopy -s -m -i $IMAGE in/* ::/"), 0);
        fat_host_load(&h);
        CHECK_EQ(fat_host_mount(&h, 0), 0);
        walk(compare);
        fat_host_unmount(&h);
        fat_host_destroy(&h);
        CHECK_EQ(shell("rm -r $FOLDER"), 0);
    }
}
