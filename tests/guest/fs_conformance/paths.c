// What paths mean: links, dots, slashes, roots.
#include "lib/fmt.h"
#include "tests/guest/fs_conformance/fs.h"

static void expect_same(kpio_handle dir, const char *a, const char *b) {
    struct kpio_stat one, two;
    KT_OK(kpio_path_stat(dir, a, 0, &one));
    KT_OK(kpio_path_stat(dir, b, 0, &two));
    KT_CHECK(one.inode == two.inode && one.fs == two.fs);
}

KT_TEST(dots_and_slashes) {
    kpio_handle dir = fs_begin();
    struct kpio_stat stat;
    fs_mkdir(dir, "a");
    fs_mkdir(dir, "a/b");
    fs_write_text(dir, "a/b/file", "x");
    expect_same(dir, "a/b/file", "/a/b/file");
    expect_same(dir, "a/b/file", "./a//./b///file");
    expect_same(dir, "a/b/file", "a/../a/b/../b/file");
    expect_same(dir, "a", "a/b/..");
    expect_same(dir, "a", "a/");
    expect_same(dir, "a", "a/.");
    expect_same(dir, "/", "../../..");
    expect_same(dir, "/", "a/b/../../../../.");
    expect_same(dir, "a", "/../a");
    KT_ERROR(kpio_path_stat(dir, "", 0, &stat), ENOENT);
    KT_ERROR(kpio_path_stat(dir, "none", 0, &stat), ENOENT);
    KT_ERROR(kpio_path_stat(dir, "none/file", 0, &stat), ENOENT);
    KT_ERROR(kpio_path_stat(dir, "a/b/file/", 0, &stat), ENOTDIR);
    KT_ERROR(kpio_path_stat(dir, "a/b/file/.", 0, &stat), ENOTDIR);
    KT_ERROR(kpio_path_stat(dir, "a/b/file/..", 0, &stat), ENOTDIR);
    KT_ERROR(kpio_path_stat(dir, "a/b/file/x", 0, &stat), ENOTDIR);
    fs_end();
}

KT_TEST(long_names_and_paths) {
    static char text[5000];
    kpio_handle dir = fs_begin();
    struct kpio_stat stat;
    memset(text, 'n', 255);
    text[255] = 0;
    fs_write_text(dir, text, "long");
    fs_expect_text(dir, text, "long");
    memset(text, 'n', 256);
    text[256] = 0;
    KT_ERROR(kpio_path_stat(dir, text, 0, &stat), ENAMETOOLONG);
    KT_ERROR(file_save(dir, text, "x", 1), ENAMETOOLONG);
    for (unsigned i = 0; i < 4094; i += 2) memcpy(text + i, "./", 2);
    text[4094] = '.';
    text[4095] = 0;
    KT_OK(kpio_path_stat(dir, text, 0, &stat));
    text[4095] = '/';
    text[4096] = 0;
    KT_ERROR(kpio_path_stat(dir, text, 0, &stat), ENAMETOOLONG);
    KT_ERROR(kpio_path_stat(dir, KT_UNMAPPED_ADDRESS, 0, &stat), EFAULT);
    KT_ERROR(kpio_path_stat(dir, ".", 1u << 30, &stat), EINVAL);
    KT_ERROR(kpio_path_stat(dir, ".", 0, KT_UNMAPPED_ADDRESS), EFAULT);
    KT_ERROR(kpio_path_stat(kt_job(), ".", 0, &stat), EWRONGTYPE);
    fs_end();
}

KT_TEST(symbolic_links) {
    if (!fs_has_links()) kt_skip("no links here");
    char target[64];
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    fs_write_text(dir, "d/file", "text");
    KT_OK(kpio_path_symlink(dir, "relative", "d/file", 0));
    KT_OK(kpio_path_symlink(dir, "absolute", "/d/file", 0));
    KT_OK(kpio_path_symlink(dir, "d/up", "../d", 0));
    KT_OK(kpio_path_symlink(dir, "dangling", "none", 0));
    KT_OK(kpio_path_symlink(dir, "outside", "/../../../d/up", 0));
    fs_expect_text(dir, "relative", "text");
    fs_expect_text(dir, "absolute", "text");
    fs_expect_text(dir, "d/up/up/up/file", "text");
    expect_same(dir, "outside", "d");
    KT_ERROR(kpio_path_stat(dir, "dangling", 0, &stat), ENOENT);
    KT_EQUAL(fs_stat(dir, "dangling").mode & 0170000, 0120000);
    KT_EQUAL(fs_stat(dir, "dangling").size, 4);
    KT_ERROR(kpio_path_stat(dir, "relative/", KPIO_PATH_NO_FOLLOW, &stat), ENOTDIR);
    KT_OK(kpio_path_stat(dir, "d/up/", KPIO_PATH_NO_FOLLOW, &stat));
    KT_EQUAL(stat.mode & 0170000, 0040000);
    KT_EQUAL(kpio_path_readlink(dir, "relative", (uint8_t *)target, sizeof target), 6);
    KT_EQUAL(memcmp(target, "d/file", 6), 0);
    KT_EQUAL(kpio_path_readlink(dir, "relative", (uint8_t *)target, 3), 3);
    KT_ERROR(kpio_path_readlink(dir, "d", (uint8_t *)target, 3), EINVAL);
    KT_ERROR(kpio_path_readlink(dir, "relative", (uint8_t *)target, 0), EINVAL);
    KT_ERROR(kpio_path_symlink(dir, "relative", "x", 0), EEXIST);
    KT_ERROR(kpio_path_symlink(dir, "empty", "", 0), ENOENT);
    KT_ERROR(file_open(dir, "relative", KPIO_PATH_NO_FOLLOW, KPIO_RIGHT_READ), ELOOP);
    kt_close(KT_HANDLE(file_open(dir, "relative", KPIO_PATH_NO_FOLLOW, 0)));
    KT_ERROR(kpio_path_stat(dir, "d/up/file", KPIO_PATH_NO_LINKS, &stat), ELOOP);
    // Creating through a dangling link makes what it names.
    KT_ERROR(file_open(dir, "dangling", KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, RW), EEXIST);
    fs_write_text(dir, "dangling", "now");
    fs_expect_text(dir, "none", "now");
    fs_end();
}

KT_TEST(rings_of_links) {
    if (!fs_has_links()) kt_skip("no links here");
    char name[8], target[8];
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    KT_OK(kpio_path_symlink(dir, "self", "self", 0));
    KT_ERROR(kpio_path_stat(dir, "self", 0, &stat), ELOOP);
    KT_ERROR(file_open(dir, "self", KPIO_OPEN_CREATE, RW), ELOOP);
    KT_ERROR(file_open(dir, "self/", KPIO_OPEN_CREATE, RW), EISDIR);
    KT_OK(kpio_path_symlink(dir, "one", "two/x", 0));
    KT_OK(kpio_path_symlink(dir, "two", "one/y", 0));
    KT_ERROR(kpio_path_stat(dir, "one", 0, &stat), ELOOP);
    fs_write_text(dir, "l0", "end");
    for (unsigned i = 1; i <= 41; i++) {
        (void)fmt_print(name, sizeof name, "l%u", i);
        (void)fmt_print(target, sizeof target, "l%u", i - 1);
        KT_OK(kpio_path_symlink(dir, name, target, 0));
    }
    KT_OK(kpio_path_stat(dir, "l40", 0, &stat));
    KT_ERROR(kpio_path_stat(dir, "l41", 0, &stat), ELOOP);
    fs_end();
}

KT_TEST(opening) {
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    fs_write_text(dir, "file", "text");
    KT_ERROR(file_open(dir, "none", 0, RW), ENOENT);
    KT_ERROR(file_open(dir, "file", KPIO_OPEN_DIRECTORY, RW), ENOTDIR);
    KT_ERROR(file_open(dir, "file", KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, RW), EEXIST);
    KT_ERROR(file_open(dir, "d", KPIO_OPEN_CREATE, RW), EISDIR);
    KT_ERROR(file_open(dir, "d", KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, RW), EEXIST);
    KT_ERROR(file_open(dir, "d", KPIO_OPEN_TRUNCATE, RW), EISDIR);
    KT_ERROR(file_open(dir, "new/", KPIO_OPEN_CREATE, RW), EISDIR);
    KT_ERROR(file_open(dir, "new//", KPIO_OPEN_CREATE | KPIO_OPEN_EXCLUSIVE, RW), EISDIR);
    KT_ERROR(file_open(dir, "file/", KPIO_OPEN_CREATE, RW), EISDIR);
    KT_ERROR(file_open(dir, "file/", 0, RW), ENOTDIR);
    KT_ERROR(file_open(dir, "d/.", KPIO_OPEN_CREATE, RW), EISDIR);
    KT_ERROR(file_open(dir, "file/.", KPIO_OPEN_CREATE, RW), ENOTDIR);
    KT_ERROR(file_open(dir, "none/new", KPIO_OPEN_CREATE, RW), ENOENT);
    KT_ERROR(file_open(dir, "file/new", KPIO_OPEN_CREATE, RW), ENOTDIR);
    KT_ERROR(file_open(dir, "file", 1u << 30 | 1u << 21, RW), EINVAL);
    KT_ERROR(file_open(dir, "file", KPIO_OPEN_CREATE | KPIO_OPEN_DIRECTORY, RW), EINVAL);
    KT_ERROR(file_open(dir, "file", 0, KPIO_RIGHT_KILL), EINVAL);
    int64_t opened = KT_OK(kpio_path_open(dir, "d", 0, 0, KPIO_RIGHTS_SAME));
    KT_EQUAL(opened >> 32 & 0170000, 0040000);
    kt_close((kpio_handle)opened);
    opened = KT_OK(kpio_path_open(dir, "fresh", KPIO_OPEN_CREATE, 0640, RW));
    KT_EQUAL(opened >> 32 & 0170000, 0100000);
    if (fs_has_modes()) KT_EQUAL(opened >> 32, 0100640);
    kt_close((kpio_handle)opened);
    kpio_handle temporary = fs_open(dir, "d", KPIO_OPEN_TEMPORARY, RW), inside = fs_opendir(dir, "d");
    KT_EQUAL(file_write_all(temporary, "data", 4, 0), 4);
    KT_EQUAL(fs_count(inside), fs_hides_deleted() ? 2 : 3);
    kt_close(temporary);
    kt_close(inside);
    fs_end();
}

KT_TEST(reading_directories) {
    char name[16];
    uint8_t seen[200] = {0};
    kpio_handle dir = fs_begin();
    for (unsigned i = 0; i < 200; i++) {
        (void)fmt_print(name, sizeof name, "e%u", i);
        fs_write_text(dir, name, "");
    }
    KT_EQUAL(fs_count(dir), 202);
    // While entries come and go, each that stays is shown once.
    struct directory_reader r;
    const struct kpio_directory_entry *entry;
    unsigned step = 0, dots = 0;
    directory_rewind(&r, dir);
    while (KT_OK(directory_next(&r, &entry)) > 0) {
        KT_EQUAL(entry->name_bytes, strlen(entry->name));
        if (entry->name[0] == '.') dots++;
        if (entry->name[0] == 'e') {
            unsigned n = 0;
            for (const char *c = entry->name + 1; *c != 0; c++) n = n * 10 + (unsigned)(*c - '0');
            seen[n]++;
            KT_EQUAL(entry->type, fs_lists_nodes() ? 8 : 0);
        }
        (void)fmt_print(name, sizeof name, "x%u", step);
        if (step < 100) fs_write_text(dir, name, "");
        (void)fmt_print(name, sizeof name, "e%u", 2 * (step % 100) + 1);
        if (step < 100) KT_OK(kpio_path_unlink(dir, name, 0));
        step++;
    }
    KT_EQUAL(dots, 2);
    for (unsigned i = 0; i < 200; i++) KT_CHECK(i % 2 == 0 ? seen[i] == 1 : seen[i] <= 1);
    // By the handle's own offset, a few at a time.
    uint64_t buffer[8];
    unsigned count = 0;
    kpio_handle again = fs_opendir(dir, ".");
    for (int64_t bytes; (bytes = KT_OK(kpio_directory_read(again, buffer, sizeof buffer, KPIO_OFFSET_CURRENT))) > 0;)
        for (int64_t at = 0; at < bytes; count++) at += ((struct kpio_directory_entry *)((char *)buffer + at))->bytes;
    KT_EQUAL(count, fs_count(dir));
    KT_EQUAL(kpio_file_seek(again, 0, KPIO_SEEK_SET), 0);
    KT_CHECK(KT_OK(kpio_directory_read(again, buffer, sizeof buffer, KPIO_OFFSET_CURRENT)) > 0);
    KT_ERROR(kpio_directory_read(again, buffer, 8, 0), EINVAL);
    KT_ERROR(kpio_directory_read(again, buffer, sizeof buffer, -5), EINVAL);
    kt_close(again);
    fs_end();
}

KT_TEST(a_path_of_a_directory) {
    char text[64];
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "one");
    fs_mkdir(dir, "one/two");
    kpio_handle two = fs_opendir(dir, "one/two");
    KT_EQUAL(kpio_directory_path(dir, (uint8_t *)text, sizeof text), 1);
    KT_EQUAL(strcmp(text, "/"), 0);
    KT_EQUAL(kpio_directory_path(two, (uint8_t *)text, sizeof text), 8);
    KT_EQUAL(strcmp(text, "/one/two"), 0);
    KT_OK(kpio_path_rename(dir, "one/two", dir, "second", 0));
    KT_EQUAL(kpio_directory_path(two, (uint8_t *)text, sizeof text), 7);
    KT_EQUAL(strcmp(text, "/second"), 0);
    KT_ERROR(kpio_directory_path(two, (uint8_t *)text, 7), ERANGE);
    KT_OK(kpio_path_unlink(dir, "second", KPIO_UNLINK_DIRECTORY));
    KT_ERROR(kpio_directory_path(two, (uint8_t *)text, sizeof text), ENOENT);
    KT_ERROR(file_save(two, "file", "x", 1), ENOENT);
    KT_ERROR(kpio_directory_read(two, text, sizeof text, 0), ENOENT);
    kt_close(two);
    fs_end();
}

KT_TEST(ways_that_a_path_may_not_take) {
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    fs_mkdir(dir, "d/e");
    fs_write_text(dir, "file", "x");
    kpio_handle d = fs_opendir(dir, "d");
    KT_OK(kpio_path_stat(d, "../file", 0, &stat));
    KT_ERROR(kpio_path_stat(d, "../file", KPIO_PATH_BENEATH, &stat), EXDEV);
    KT_ERROR(kpio_path_stat(d, "e/../../file", KPIO_PATH_BENEATH, &stat), EXDEV);
    KT_ERROR(kpio_path_stat(d, "/file", KPIO_PATH_BENEATH, &stat), EXDEV);
    KT_OK(kpio_path_stat(d, "e/..", KPIO_PATH_BENEATH, &stat));
    KT_ERROR(kpio_path_stat(d, "/file", KPIO_PATH_IN_ROOT, &stat), ENOENT);
    KT_OK(kpio_path_stat(d, "/e/../../../e", KPIO_PATH_IN_ROOT, &stat));
    kpio_handle confined = fs_open(dir, "d", KPIO_OPEN_ROOT, KPIO_RIGHTS_SAME);
    KT_ERROR(kpio_path_stat(confined, "../file", 0, &stat), ENOENT);
    KT_ERROR(kpio_path_stat(confined, "/file", 0, &stat), ENOENT);
    KT_OK(kpio_path_stat(confined, "/e", 0, &stat));
    if (fs_has_links()) {
        KT_OK(kpio_path_symlink(dir, "d/out", "/file", 0));
        KT_OK(kpio_path_stat(d, "out", 0, &stat));
        KT_ERROR(kpio_path_stat(d, "out", KPIO_PATH_BENEATH, &stat), EXDEV);
        KT_ERROR(kpio_path_stat(confined, "out", 0, &stat), ENOENT);
    }
    kt_close(confined);
    kt_close(d);
    fs_end();
}
