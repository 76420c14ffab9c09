// FAT32 against images of mkfs.fat: what is written is read back, fsck.fat finds nothing, mtools read the same.
// links: kernel/fs/fat32/volume.c kernel/fs/fat32/table.c kernel/fs/fat32/sync.c kernel/fs/fat32/chain.c kernel/fs/fat32/name.c
// links: kernel/fs/fat32/directory.c kernel/fs/fat32/inode.c kernel/fs/fat32/namei.c kernel/fs/fat32/data.c
// links: kernel/fs/fat32/test/fat_host.c kernel/fs/vfs/inode.c kernel/block/buffer.c kernel/block/buffer_write.c kernel/block/block.c
// links: lib/fmt.c
#include "abi/gen/errors.h"
#include "kernel/core/rcu.h"
#include "kernel/fs/fat32/test/fat_host.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fat_host h;
static int error;

static void begin(unsigned mib, const char *options)
{
    fat_host_make(&h, mib, options);
    CHECK_EQ(fat_host_mount(&h, 0), 0);
}

static void end_clean(void)
{
    fat_host_unmount(&h);
    CHECK_EQ(fat_host_check(&h), 0);
    fat_host_destroy(&h);
}

static uint8_t *pattern(uint64_t bytes, unsigned seed)
{
    uint8_t *data = malloc(bytes + 1);

    for (uint64_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8) * 3);
    return data;
}

static void put(const char *path, uint64_t bytes, unsigned seed)
{
    struct inode *file = fat_host_create(&h, path, FS_REGULAR | 0644, &error);
    uint8_t *data = pattern(bytes, seed);

    CHECK_EQ(error, 0);
    if (bytes > 0)
        CHECK_EQ(fat_host_write(file, 0, data, bytes), 0);
    inode_put(file);
    free(data);
}

static void check_file(const char *path, uint64_t bytes, unsigned seed)
{
    struct inode *file = fat_host_find(&h, path, &error);
    uint8_t *want = pattern(bytes, seed), *got = malloc(bytes + 1);

    CHECK_EQ(error, 0);
    CHECK_EQ(inode_size(file), bytes);
    if (bytes > 0)
        CHECK_EQ(fat_host_read(file, 0, got, bytes), 0);
    CHECK(memcmp(want, got, bytes) == 0);
    inode_put(file);
    free(want);
    free(got);
}

static void make_directory(const char *path)
{
    struct inode *dir = fat_host_create(&h, path, FS_DIRECTORY | 0755, &error);

    CHECK_EQ(error, 0);
    inode_put(dir);
}

static void remount(void)
{
    fat_host_unmount(&h);
    CHECK_EQ(fat_host_mount(&h, 0), 0);
}

// Writes what a tool says about the image into `out`.
static void tool(const char *command, char *out, size_t room)
{
    char line[512];
    FILE *pipe;
    size_t got;

    snprintf(line, sizeof line, command, h.path);
    pipe = popen(line, "r");
    CHECK(pipe != NULL);
    got = fread(out, 1, room - 1, pipe);
    out[got] = '\0';
    CHECK_EQ(pclose(pipe), 0);
}

TEST(an_empty_volume_stays_good)
{
    static const char *const options[] = {"-s 1", "-s 8", "-s 64 -n LABEL", "-S 4096 -s 1", "-f 1 -s 2", "-R 64 -b 8"};

    for (unsigned i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct fs_statistics s;

        begin(64, options[i]);
        h.fs->ops->statistics(h.fs, &s);
        CHECK(s.blocks > 0 && s.blocks_free == s.blocks - 1);
        end_clean();
    }
}

TEST(files_are_read_back)
{
    static const uint64_t sizes[] = {0, 1, 511, 512, 513, 4095, 4096, 4097, 100000, 3 << 20};
    static const char *const options[] = {"-s 1", "-s 8", "-S 4096 -s 2"};
    char path[64];

    for (unsigned o = 0; o < 3; o++) {
        begin(64, options[o]);
        for (unsigned i = 0; i < 10; i++) {
            snprintf(path, sizeof path, "A file of %lu bytes.data", (unsigned long)sizes[i]);
            put(path, sizes[i], i);
            check_file(path, sizes[i], i);
        }
        remount();
        for (unsigned i = 0; i < 10; i++) {
            snprintf(path, sizeof path, "a FILE of %lu bytes.DATA", (unsigned long)sizes[i]);
            check_file(path, sizes[i], i);
        }
        end_clean();
    }
}

TEST(mtools_read_what_was_written)
{
    char *got = malloc(200000);
    uint8_t *want = pattern(100000, 7);

    begin(64, "-s 1");  // mtools want as many clusters as a FAT32 has at least
    make_directory("Ein Verzeichnis");
    put("Ein Verzeichnis/Größe – ελληνικά 😀.txt", 100000, 7);
    put("SHORT.TXT", 10, 1);
    remount();
    check_file("Ein Verzeichnis/Größe – ελληνικά 😀.txt", 100000, 7);
    check_file("short.txt", 10, 1);
    fat_host_unmount(&h);
    fat_host_store(&h);
    tool("LC_ALL=C.UTF-8 mdir -b -i %s '::/Ein Verzeichnis/'", got, 200000);
    CHECK(strstr(got, "Größe – ελληνικά") != NULL);
    tool("LC_ALL=C.UTF-8 mtype -i %s '::/Ein Verzeichnis/*.txt'", got, 200000);
    CHECK(memcmp(got, want, 100000) == 0);
    free(got);
    free(want);
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    end_clean();
}

TEST(what_mtools_wrote_is_read)
{
    char list[4096];
    struct inode *dir;

    fat_host_make(&h, 64, "-s 1");
    CHECK_EQ(fat_host_run(&h, "cd /tmp && head -c 70000 /usr/bin/env > kpio-fat-source && export LC_ALL=C.UTF-8 && mmd -i %s ::/Dir && "
                              "mcopy -i %s kpio-fat-source '::/Dir/Some long näme.bin'"), 0);
    CHECK_EQ(fat_host_run(&h, "cd /tmp && mcopy -i %s kpio-fat-source ::/lower.txt && mcopy -i %s kpio-fat-source ::/UPPER.TXT"), 0);
    fat_host_load(&h);
    CHECK_EQ(fat_host_mount(&h, 0), 0);
    dir = fat_host_find(&h, "", &error);
    CHECK_EQ(fat_host_list(dir, list, sizeof list), 0);
    CHECK(strcmp(list, "Dir\nlower.txt\nUPPER.TXT\n") == 0);
    inode_put(dir);
    dir = fat_host_find(&h, "dir/some LONG näme.bin", &error);
    CHECK_EQ(error, 0);
    uint64_t size = inode_size(dir);
    uint8_t *got = malloc(size), *want = malloc(size);
    FILE *source = fopen("/tmp/kpio-fat-source", "rb");
    CHECK_EQ(fread(want, 1, size, source), size);
    fclose(source);
    CHECK_EQ(fat_host_read(dir, 0, got, size), 0);
    CHECK(memcmp(got, want, size) == 0);
    free(got);
    free(want);
    remove("/tmp/kpio-fat-source");
    inode_put(dir);
    end_clean();
}

TEST(many_names_in_one_directory)
{
    enum { COUNT = 1500 };
    char path[80], *list = malloc(200000);
    struct inode *dir;
    unsigned lines = 0;

    begin(64, "-s 1");
    make_directory("d");
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(path, sizeof path, "d/a name with the same beginning %u.txt", i);
        put(path, i % 3 ? 0 : 10, i);
    }
    for (unsigned i = 0; i < COUNT; i += 2) {
        snprintf(path, sizeof path, "d/a name with the same beginning %u.txt", i);
        CHECK_EQ(fat_host_unlink(&h, path), 0);
    }
    remount();
    dir = fat_host_find(&h, "d", &error);
    CHECK_EQ(fat_host_list(dir, list, 200000), 0);
    for (char *at = list; *at; at++)
        lines += *at == '\n';
    CHECK_EQ(lines, COUNT / 2);
    CHECK_EQ(fat_host_unlink(&h, "d"), -ENOTEMPTY);
    inode_put(dir);
    free(list);
    end_clean();
}

TEST(names_that_fat_cannot_hold)
{
    char name[300];

    begin(64, "-s 1");
    static const char *const bad[] = {"a:b", "a*", "what?", "dot.", "blank ", "\x01", "\xff\xfe", "a\"b", "\xed\xa0\x80"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fat_host_create(&h, bad[i], FS_REGULAR, &error);
        CHECK_EQ(error, -EINVAL);
    }
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    put(name, 5, 1);
    check_file(name, 5, 1);
    fat_host_create(&h, "link", FS_SYMLINK, &error);
    CHECK_EQ(error, -EPERM);
    end_clean();
}

TEST(writing_behind_the_end_leaves_zeros)
{
    uint8_t *zeros = calloc(1, 300000), *got = malloc(300000), *data = pattern(100, 9);
    struct inode *file;

    begin(64, "-s 8");
    memset(h.disk.data + (8 << 20), 0xaa, 50 << 20);  // what free clusters hold is nobody's to read
    put("f", 100, 3);
    file = fat_host_find(&h, "f", &error);
    CHECK_EQ(fat_host_write(file, 250000, data, 100), 0);
    CHECK_EQ(fat_host_read(file, 100, got, 249900), 0);
    CHECK(memcmp(got, zeros, 249900) == 0);
    CHECK_EQ(fat_host_truncate(file, 290000), 0);
    CHECK_EQ(fat_host_read(file, 250100, got, 39900), 0);
    CHECK(memcmp(got, zeros, 39900) == 0);
    inode_put(file);
    remount();
    file = fat_host_find(&h, "f", &error);
    CHECK_EQ(inode_size(file), 290000);
    CHECK_EQ(fat_host_read(file, 250000, got, 40000), 0);
    CHECK(memcmp(got, data, 100) == 0 && memcmp(got + 100, zeros, 39900) == 0);
    inode_put(file);
    free(zeros);
    free(got);
    free(data);
    end_clean();
}

TEST(cutting_frees_and_growing_again_is_zero)
{
    struct fs_statistics before, after;
    struct inode *file;
    uint8_t got[4096];

    begin(64, "-s 1");
    put("f", 1 << 20, 3);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    h.fs->ops->statistics(h.fs, &before);
    file = fat_host_find(&h, "f", &error);
    CHECK_EQ(fat_host_truncate(file, 1000), 0);
    CHECK_EQ(fat_host_truncate(file, 4096), 0);
    CHECK_EQ(fat_host_read(file, 1000, got, 3096), 0);
    for (unsigned i = 24; i < 3096; i++)  // the first sectors keep what the page cache would have zeroed
        CHECK_EQ(got[i], 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    h.fs->ops->statistics(h.fs, &after);
    CHECK_EQ(after.blocks_free - before.blocks_free, 2048 - 8);
    CHECK_EQ(fat_host_truncate(file, 0), 0);
    inode_put(file);
    end_clean();
}

// Twice cut between two syncs: the second cut reaches up to the first, not over what that cut off already.
TEST(what_was_cut_twice_is_one_file_s_again)
{
    struct fs_statistics before, after;
    struct inode *file;

    begin(64, "-s 1");
    h.fs->ops->statistics(h.fs, &before);
    put("f", 40 * 512, 1);
    file = fat_host_find(&h, "f", &error);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    CHECK_EQ(fat_host_truncate(file, 20 * 512), 0);
    CHECK_EQ(fat_host_truncate(file, 10 * 512), 0);
    CHECK_EQ(fat_host_truncate(file, 25 * 512), 0);
    for (unsigned i = 0; i < 3; i++)
        CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    h.fs->ops->statistics(h.fs, &after);
    CHECK_EQ(before.blocks_free - after.blocks_free, 25);
    CHECK_EQ(fat_host_truncate(file, 50 * 512), 0);
    inode_put(file);
    CHECK_EQ(fat_host_unlink(&h, "f"), 0);
    end_clean();
}

#define MODEL_FILES 3u
#define MODEL_BYTES (64u << 10)

struct model {
    struct inode *file;
    uint64_t size;
    uint8_t data[MODEL_BYTES];
};

static unsigned random_below(uint64_t *state, unsigned limit)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(*state >> 33) % limit;
}

static void model_resize(struct model *m, uint64_t size)
{
    CHECK_EQ(fat_host_truncate(m->file, size), 0);
    if (size > m->size)
        memset(m->data + m->size, 0, size - m->size);
    m->size = size;
}

static void model_write(struct model *m, uint64_t *state)
{
    uint64_t offset = random_below(state, (unsigned)m->size + 1), bytes = 1 + random_below(state, 9000);

    if (offset + bytes > MODEL_BYTES)
        return;
    for (uint64_t i = 0; i < bytes; i++)
        m->data[offset + i] = (uint8_t)random_below(state, 256);
    if (offset + bytes > m->size)
        m->size = offset + bytes;
    CHECK_EQ(fat_host_write(m->file, offset, m->data + offset, bytes), 0);
}

// The tail of a page lies in memory as zeros, which the page cache writes when the file is cut; here it is written by hand.
static void model_cut(struct model *m, uint64_t size)
{
    static const uint8_t zeros[4096];
    uint64_t end = size + (-size & 4095);

    if (end > m->size)
        end = m->size;
    if (end > size)
        CHECK_EQ(fat_host_write(m->file, size, zeros, end - size), 0);
    model_resize(m, size);
}

static void model_replace(struct model *m, const char *name)
{
    CHECK_EQ(fat_host_unlink(&h, name), 0);
    inode_put(m->file);
    m->file = fat_host_create(&h, name, FS_REGULAR | 0644, &error);
    m->size = 0;
}

static void model_step(struct model *m, const char *name, uint64_t *state)
{
    uint64_t size = random_below(state, MODEL_BYTES);

    switch (random_below(state, 16)) {
    case 0: model_replace(m, name); break;
    case 1: case 2: CHECK_EQ(h.fs->ops->sync(h.fs), 0); break;
    case 3: case 4: case 5: model_write(m, state); break;
    default:
        if (size < m->size)
            model_cut(m, size);
        else
            model_resize(m, size);
    }
}

static void model_compare(struct model *m)
{
    static uint8_t got[MODEL_BYTES];

    CHECK_EQ(inode_size(m->file), m->size);
    if (m->size > 0)
        CHECK_EQ(fat_host_read(m->file, 0, got, m->size), 0);
    CHECK(memcmp(got, m->data, m->size) == 0);
}

TEST(cuts_and_growths_in_any_order)
{
    static struct model models[MODEL_FILES];
    static const char *const names[MODEL_FILES] = {"one", "two", "a third one"};

    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t state = seed;

        begin(64, seed % 2 ? "-s 1" : "-s 8");
        for (unsigned i = 0; i < MODEL_FILES; i++) {
            models[i].file = fat_host_create(&h, names[i], FS_REGULAR | 0644, &error);
            models[i].size = 0;
        }
        for (unsigned step = 0; step < 120; step++) {
            unsigned at = random_below(&state, MODEL_FILES);

            model_step(&models[at], names[at], &state);
            for (unsigned i = 0; i < MODEL_FILES; i++)
                model_compare(&models[i]);
        }
        for (unsigned i = 0; i < MODEL_FILES; i++)
            inode_put(models[i].file);
        end_clean();
    }
}

TEST(a_full_volume_says_so_and_recovers)
{
    char path[32];
    struct fs_statistics s;
    unsigned made = 0;
    uint8_t *data = pattern(1 << 20, 1);

    begin(34, "-s 1");
    for (;; made++) {
        struct inode *file;

        snprintf(path, sizeof path, "f%u", made);
        file = fat_host_create(&h, path, FS_REGULAR | 0644, &error);
        if (file == NULL)
            break;
        error = fat_host_write(file, 0, data, 1 << 20);
        inode_put(file);
        if (error != 0)
            break;
    }
    CHECK_EQ(error, -ENOSPC);
    CHECK(made > 20);
    for (unsigned i = 0; i <= made; i++) {
        snprintf(path, sizeof path, "f%u", i);
        CHECK_EQ(fat_host_unlink(&h, path), 0);
    }
    put("again", 1 << 20, 1);  // what was freed can be had at once
    CHECK_EQ(fat_host_unlink(&h, "again"), 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    h.fs->ops->statistics(h.fs, &s);
    CHECK(s.blocks - s.blocks_available < 16);  // the root directory has grown
    free(data);
    end_clean();
}

TEST(renames_in_all_ways)
{
    begin(64, "-s 2");
    make_directory("a");
    make_directory("b");
    make_directory("a/sub");
    put("a/one", 3000, 1);
    put("b/two", 5000, 2);
    put("a/sub/deep", 10, 3);
    CHECK_EQ(fat_host_rename(&h, "a/one", "a/another long name"), 0);
    check_file("a/another long name", 3000, 1);
    CHECK_EQ(fat_host_rename(&h, "a/another long name", "b/two"), 0);
    check_file("b/two", 3000, 1);
    CHECK_EQ(fat_host_rename(&h, "a/sub", "b/moved"), 0);
    check_file("b/moved/deep", 10, 3);
    CHECK(fat_host_find(&h, "a/sub", &error) == NULL && error == -ENOENT);
    make_directory("empty");
    CHECK_EQ(fat_host_rename(&h, "empty", "b/moved"), -ENOTEMPTY);
    CHECK_EQ(fat_host_unlink(&h, "b/moved/deep"), 0);
    CHECK_EQ(fat_host_rename(&h, "empty", "b/moved"), 0);
    remount();
    check_file("b/two", 3000, 1);
    end_clean();
}

TEST(an_open_file_survives_its_name)
{
    struct inode *file, *again;
    uint8_t got[3000], *want = pattern(3000, 1);

    begin(64, "-s 1");
    put("f", 3000, 1);
    file = fat_host_find(&h, "f", &error);
    CHECK_EQ(fat_host_unlink(&h, "f"), 0);
    CHECK_EQ(h.fs->ops->sync(h.fs), 0);
    put("f", 3000, 2);  // in the same place of the directory
    again = fat_host_find(&h, "f", &error);
    CHECK(again != file && again->number != file->number);
    CHECK_EQ(fat_host_read(file, 0, got, 3000), 0);
    CHECK(memcmp(got, want, 3000) == 0);
    inode_put(again);
    check_file("f", 3000, 2);
    inode_put(file);
    // One that was renamed keeps its inode, also while another takes its place.
    file = fat_host_find(&h, "f", &error);
    CHECK_EQ(fat_host_rename(&h, "f", "g"), 0);
    again = fat_host_find(&h, "g", &error);
    CHECK(again == file);
    inode_put(again);
    put("f", 10, 4);
    again = fat_host_find(&h, "f", &error);
    CHECK(again != file && again->number != file->number);
    inode_put(again);
    inode_put(file);
    check_file("g", 3000, 2);
    check_file("f", 10, 4);
    free(want);
    end_clean();
}

// A file in the place of a deleted one that is open has another number than its place says, while that one is open.
TEST(a_file_is_one_inode_whatever_goes_meanwhile)
{
    struct inode *root, *deleted, *file, *other;
    uint64_t number;

    begin(64, "-s 1");
    put("f", 3000, 1);
    deleted = fat_host_find(&h, "f", &error);
    CHECK_EQ(fat_host_unlink(&h, "f"), 0);
    put("f", 3000, 2);
    (void)inodes_reclaim(100);
    CHECK_EQ(inode_get(h.fs, h.fs->root, &root), 0);
    CHECK_EQ(root->ops->lookup(root, "f", 1, &number), 0);
    inode_put(deleted);
    file = fat_host_find(&h, "f", &error);
    CHECK(file != NULL && file->number != number);
    CHECK_EQ(inode_get(h.fs, number, &other), -EAGAIN);
    inode_put(file);
    check_file("f", 3000, 2);
    inode_put(root);
    end_clean();
}

// What has left memory is freed later, while `freed_late`.
static bool freed_late;
static struct rcu_head *late;
static void (*free_late)(struct rcu_head *);

void rcu_call(struct rcu_head *head, void (*free)(struct rcu_head *))
{
    if (freed_late)
        late = head, free_late = free;
    else
        free(head);
}

TEST(a_file_is_found_while_the_one_before_it_goes)
{
    struct inode *deleted;

    begin(64, "-s 1");
    put("f", 3000, 1);
    deleted = fat_host_find(&h, "f", &error);
    CHECK_EQ(fat_host_unlink(&h, "f"), 0);
    put("f", 3000, 2);
    (void)inodes_reclaim(100);
    freed_late = true;
    inode_put(deleted);
    freed_late = false;
    check_file("f", 3000, 2);
    free_late(late);
    end_clean();
}

TEST(times_go_there_and_back)
{
    static const int64_t seconds[] = {315532800, 951782400, 951868799, 1700000001, 4354819198};

    for (unsigned i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        uint16_t date, time;
        uint8_t tenth;

        fat_time_to((struct fs_time){seconds[i], 120000000}, &date, &time, &tenth);
        CHECK_EQ(fat_time_from(date, time, tenth).seconds, seconds[i]);
        CHECK_EQ(fat_time_from(date, time, tenth).nanoseconds, 120000000);
    }
    uint16_t date, time;
    uint8_t tenth;
    fat_time_to((struct fs_time){0, 0}, &date, &time, &tenth);
    CHECK_EQ(fat_time_from(date, time, tenth).seconds, 315532800);
    fat_time_to((struct fs_time){INT64_MAX, 0}, &date, &time, &tenth);
    CHECK_EQ(fat_time_from(date, time, tenth).seconds, 4354819199);
}

TEST(the_volume_says_when_it_is_in_use)
{
    begin(64, "-s 1");
    CHECK_EQ(h.disk.data[0x41] & 1, 0);
    put("f", 10, 1);
    CHECK_EQ(h.disk.data[0x41] & 1, 1);
    fat_host_unmount(&h);
    CHECK_EQ(h.disk.data[0x41] & 1, 0);
    CHECK_EQ(fat_host_mount(&h, FS_MOUNT_READ_ONLY), 0);
    fat_host_create(&h, "g", FS_REGULAR, &error);
    CHECK_EQ(error, -EROFS);
    check_file("f", 10, 1);
    end_clean();
}
