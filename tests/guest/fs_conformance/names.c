// Names that come, move and go.
#include "tests/guest/fs_conformance/fs.h"

KT_TEST(making_and_removing_directories) {
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    if (fs_has_links()) KT_EQUAL(fs_stat(dir, "d").links, 2);
    fs_mkdir(dir, "d/sub/");
    if (fs_has_links()) KT_EQUAL(fs_stat(dir, "d").links, 3);
    KT_ERROR(directory_make(dir, "d"), EEXIST);
    KT_ERROR(directory_make(dir, "."), EEXIST);
    KT_ERROR(directory_make(dir, "/"), EEXIST);
    KT_ERROR(directory_make(dir, "none/d"), ENOENT);
    KT_ERROR(kpio_path_unlink(dir, "d", 0), EISDIR);
    KT_ERROR(kpio_path_unlink(dir, "d", KPIO_UNLINK_DIRECTORY), ENOTEMPTY);
    KT_ERROR(kpio_path_unlink(dir, "d/.", KPIO_UNLINK_DIRECTORY), EINVAL);
    KT_ERROR(kpio_path_unlink(dir, "d/sub/..", KPIO_UNLINK_DIRECTORY), ENOTEMPTY);
    KT_ERROR(kpio_path_unlink(dir, "/", KPIO_UNLINK_DIRECTORY), EBUSY);
    KT_ERROR(kpio_path_unlink(dir, "none", KPIO_UNLINK_DIRECTORY), ENOENT);
    KT_OK(kpio_path_unlink(dir, "d/sub/", KPIO_UNLINK_DIRECTORY));
    KT_OK(kpio_path_unlink(dir, "d", KPIO_UNLINK_DIRECTORY));
    KT_CHECK(!fs_exists(dir, "d"));
    fs_write_text(dir, "file", "x");
    KT_ERROR(kpio_path_unlink(dir, "file", KPIO_UNLINK_DIRECTORY), ENOTDIR);
    KT_ERROR(kpio_path_unlink(dir, "file/", 0), ENOTDIR);
    KT_ERROR(kpio_path_unlink(dir, "file", 1 << 5), EINVAL);
    KT_OK(kpio_path_unlink(dir, "file", 0));
    KT_ERROR(kpio_path_unlink(dir, "file", 0), ENOENT);
    fs_end();
}

KT_TEST(an_open_file_outlives_its_name) {
    uint8_t buffer[16];
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    KT_EQUAL(file_write_all(file, "before", 6, 0), 6);
    KT_OK(kpio_path_unlink(dir, "file", 0));
    KT_CHECK(!fs_exists(dir, "file"));
    KT_EQUAL(file_write_all(file, "after", 5, 6), 5);
    KT_EQUAL(file_read_all(file, buffer, 16, 0), 11);
    KT_EQUAL(memcmp(buffer, "beforeafter", 11), 0);
    KT_OK(kpio_path_stat(file, NULL, 0, &stat));
    KT_EQUAL(stat.links, 0);
    KT_CHECK(stat.flags & KPIO_STAT_DELETED);
    fs_write_text(dir, "file", "another");
    KT_EQUAL(file_read_all(file, buffer, 16, 0), 11);
    KT_OK(kpio_file_sync(file, 0));
    kt_close(file);
    fs_expect_text(dir, "file", "another");
    fs_end();
}

KT_TEST(hard_links) {
    if (!fs_has_links()) kt_skip("no links here");
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    fs_write_text(dir, "file", "text");
    KT_OK(kpio_path_link(dir, "file", dir, "d/second", 0));
    KT_EQUAL(fs_stat(dir, "file").links, 2);
    KT_EQUAL(fs_stat(dir, "file").inode, fs_stat(dir, "d/second").inode);
    fs_write_text(dir, "d/second", "changed");
    fs_expect_text(dir, "file", "changed");
    KT_ERROR(kpio_path_link(dir, "file", dir, "d/second", 0), EEXIST);
    KT_ERROR(kpio_path_link(dir, "none", dir, "x", 0), ENOENT);
    KT_ERROR(kpio_path_link(dir, "d", dir, "x", 0), EPERM);
    KT_ERROR(kpio_path_link(dir, "file", dir, "x/", 0), ENOENT);
    KT_OK(kpio_path_unlink(dir, "file", 0));
    KT_EQUAL(fs_stat(dir, "d/second").links, 1);
    fs_expect_text(dir, "d/second", "changed");
    kpio_handle file = fs_open(dir, "d/second", 0, RW);
    KT_OK(kpio_path_link(file, NULL, dir, "third", 0));
    KT_OK(kpio_path_unlink(dir, "third", 0));
    KT_OK(kpio_path_unlink(dir, "d/second", 0));
    KT_ERROR(kpio_path_link(file, NULL, dir, "back", 0), ENOENT);
    kt_close(file);
    KT_OK(kpio_path_symlink(dir, "s", "none", 0));
    KT_OK(kpio_path_link(dir, "s", dir, "s2", KPIO_PATH_NO_FOLLOW));
    KT_EQUAL(fs_stat(dir, "s2").mode & 0170000, 0120000);
    fs_end();
}

KT_TEST(renaming) {
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "a");
    fs_mkdir(dir, "b");
    fs_write_text(dir, "a/file", "one");
    fs_write_text(dir, "b/file", "two");
    KT_OK(kpio_path_rename(dir, "a/file", dir, "a/moved", 0));
    KT_CHECK(!fs_exists(dir, "a/file"));
    fs_expect_text(dir, "a/moved", "one");
    KT_OK(kpio_path_rename(dir, "a/moved", dir, "b/file", 0));
    fs_expect_text(dir, "b/file", "one");
    KT_CHECK(!fs_exists(dir, "a/moved"));
    KT_OK(kpio_path_rename(dir, "b/file", dir, "b/file", 0));
    fs_expect_text(dir, "b/file", "one");
    KT_ERROR(kpio_path_rename(dir, "none", dir, "x", 0), ENOENT);
    KT_ERROR(kpio_path_rename(dir, "a/file", dir, "none/x", 0), ENOENT);
    KT_ERROR(kpio_path_rename(dir, "b/file", dir, "a", 0), EISDIR);
    KT_ERROR(kpio_path_rename(dir, "a", dir, "b/file", 0), ENOTDIR);
    KT_ERROR(kpio_path_rename(dir, "a", dir, "b", 0), ENOTEMPTY);
    KT_ERROR(kpio_path_rename(dir, "b/file/", dir, "x", 0), ENOTDIR);
    KT_ERROR(kpio_path_rename(dir, "b/file", dir, "x/", 0), ENOTDIR);
    KT_ERROR(kpio_path_rename(dir, "a", dir, "a/in", 0), EINVAL);
    fs_mkdir(dir, "b/deep");
    KT_ERROR(kpio_path_rename(dir, "b", dir, "b/deep/b", 0), EINVAL);
    KT_ERROR(kpio_path_rename(dir, "b/deep", dir, "b", 0), ENOTEMPTY);
    KT_ERROR(kpio_path_rename(dir, ".", dir, "x", 0), EBUSY);
    KT_ERROR(kpio_path_rename(dir, "a", dir, "..", 0), EBUSY);
    KT_OK(kpio_path_rename(dir, "b/deep", dir, "a/", 0));  // over an empty directory
    KT_CHECK(fs_exists(dir, "a") && !fs_exists(dir, "b/deep"));
    KT_OK(kpio_path_rename(dir, "a", dir, "b/a", 0));
    kpio_handle moved = fs_opendir(dir, "b/a");
    struct kpio_stat up;
    KT_OK(kpio_path_stat(moved, "..", 0, &up));
    KT_EQUAL(up.inode, fs_stat(dir, "b").inode);
    if (fs_has_links()) KT_EQUAL(fs_stat(dir, "b").links, 3);
    kt_close(moved);
    fs_end();
}

KT_TEST(renaming_with_flags) {
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    fs_mkdir(dir, "e");
    fs_write_text(dir, "d/one", "1");
    fs_write_text(dir, "two", "2");
    KT_ERROR(kpio_path_rename(dir, "d/one", dir, "two", KPIO_RENAME_NO_REPLACE), EEXIST);
    KT_OK(kpio_path_rename(dir, "d/one", dir, "d/uno", KPIO_RENAME_NO_REPLACE));
    KT_ERROR(kpio_path_rename(dir, "two", dir, "none", KPIO_RENAME_EXCHANGE), ENOENT);
    KT_ERROR(kpio_path_rename(dir, "two", dir, "d", KPIO_RENAME_EXCHANGE | KPIO_RENAME_NO_REPLACE), EINVAL);
    int64_t error = kpio_path_rename(dir, "d/uno", dir, "two", KPIO_RENAME_EXCHANGE);
    if (error == -EOPNOTSUPP || error == -EINVAL) {
        fs_end();
        kt_skip("no exchange here");
    }
    KT_OK(error);
    fs_expect_text(dir, "two", "1");
    fs_expect_text(dir, "d/uno", "2");
    KT_OK(kpio_path_rename(dir, "two", dir, "d", KPIO_RENAME_EXCHANGE));  // a file and a directory
    fs_expect_text(dir, "d", "1");
    fs_expect_text(dir, "two/uno", "2");
    KT_OK(kpio_path_rename(dir, "two", dir, "e", KPIO_RENAME_EXCHANGE));
    fs_expect_text(dir, "e/uno", "2");
    fs_mkdir(dir, "two/sub");
    KT_OK(kpio_path_rename(dir, "two/sub", dir, "e", KPIO_RENAME_EXCHANGE));
    fs_expect_text(dir, "two/sub/uno", "2");
    KT_ERROR(kpio_path_rename(dir, "two", dir, "two/sub", KPIO_RENAME_EXCHANGE), EINVAL);
    KT_ERROR(kpio_path_rename(dir, "two/sub", dir, "two", KPIO_RENAME_EXCHANGE), EINVAL);
    fs_end();
}

KT_TEST(renaming_over_what_is_open) {
    uint8_t buffer[8];
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "old", "old");
    fs_write_text(dir, "new", "new");
    kpio_handle file = fs_open(dir, "old", 0, KPIO_RIGHT_READ);
    KT_OK(kpio_path_rename(dir, "new", dir, "old", 0));
    KT_EQUAL(file_read_all(file, buffer, 8, 0), 3);
    KT_EQUAL(memcmp(buffer, "old", 3), 0);
    fs_expect_text(dir, "old", "new");
    kt_close(file);
    if (fs_has_links()) {
        KT_OK(kpio_path_link(dir, "old", dir, "twin", 0));
        KT_OK(kpio_path_rename(dir, "old", dir, "twin", 0));  // two names of one file: nothing happens
        KT_CHECK(fs_exists(dir, "old") && fs_exists(dir, "twin"));
    }
    fs_end();
}

KT_TEST(special_nodes) {
    if (!fs_has_links()) kt_skip("no nodes here");
    kpio_handle dir = fs_begin();
    KT_OK(kpio_path_make(dir, "pipe", 0010600, 0, 0));
    KT_OK(kpio_path_make(dir, "char", 0020600, 5ull << 32 | 1, 0));
    KT_OK(kpio_path_make(dir, "socket", 0140600, 0, 0));
    KT_OK(kpio_path_make(dir, "plain", 0100600, 0, 0));
    KT_EQUAL(fs_stat(dir, "char").device, 5ull << 32 | 1);
    KT_EQUAL(fs_stat(dir, "pipe").mode, 0010600);
    KT_ERROR(file_open(dir, "pipe", 0, RW), ENXIO);
    KT_ERROR(file_open(dir, "char", 0, KPIO_RIGHT_READ), ENXIO);
    kt_close(fs_open(dir, "char", 0, 0));
    KT_ERROR(kpio_path_make(dir, "link", 0120777, 0, 0), EINVAL);
    KT_ERROR(kpio_path_make(dir, "x", 0100600, 1, 0), EINVAL);
    KT_OK(kpio_path_unlink(dir, "pipe", 0));
    fs_end();
}
