// Modes, owners, times, extended attributes.
#include "lib/fmt.h"
#include "tests/guest/fs_conformance/fs.h"

static int64_t set(kpio_handle dir, const char *path, struct kpio_attributes a) { return kpio_path_set_attributes(dir, path, 0, &a); }

KT_TEST(modes_and_owners_are_kept) {
    if (!fs_has_modes()) kt_skip("no modes here");
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    const uint32_t all = KPIO_SET_MODE | KPIO_SET_UID | KPIO_SET_GID;
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = all, .mode = 06751, .uid = 1000, .gid = 70000}));
    struct kpio_stat stat = fs_stat(dir, "file");
    KT_EQUAL(stat.mode, 0106751);
    KT_EQUAL(stat.uid, 1000);
    KT_EQUAL(stat.gid, 70000);
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODE, .mode = 0}));
    fs_expect_text(dir, "file", "x");  // access is decided by handles
    KT_ERROR(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODE, .mode = 0100644}), EINVAL);
    KT_ERROR(set(dir, "file", (struct kpio_attributes){.what = 1u << 20}), EINVAL);
    KT_ERROR(set(dir, "none", (struct kpio_attributes){.what = KPIO_SET_MODE}), ENOENT);
    fs_end();
}

KT_TEST(times) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    struct kpio_time when = {1234567890, 0, 0};
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODIFIED, .modified = when}));
    KT_EQUAL(fs_stat(dir, "file").modified.seconds, 1234567890);
    KT_ERROR(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODIFIED, .modified = {1, 1000000000, 0}}), EINVAL);
    fs_write_text(dir, "file", "y");
    KT_CHECK(fs_stat(dir, "file").modified.seconds > 1500000000);
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODIFIED, .modified = when}));
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODIFIED_NOW | KPIO_SET_ACCESSED_NOW}));
    KT_CHECK(fs_stat(dir, "file").modified.seconds > 1500000000);
    KT_OK(set(dir, ".", (struct kpio_attributes){.what = KPIO_SET_MODIFIED, .modified = when}));
    fs_write_text(dir, "new", "");
    if (fs_has_modes()) KT_CHECK(fs_stat(dir, ".").modified.seconds > 1500000000);
    fs_end();
}

KT_TEST(extended_attributes) {
    if (!fs_has_modes()) kt_skip("none here");
    char value[64];
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    KT_OK(kpio_path_xattr_set(dir, "file", 0, "user.one", "first", 5));
    KT_OK(kpio_path_xattr_set(dir, "file", 0, "user.two", "", 0));
    KT_EQUAL(kpio_path_xattr_get(dir, "file", 0, "user.one", value, sizeof value), 5);
    KT_EQUAL(memcmp(value, "first", 5), 0);
    KT_EQUAL(kpio_path_xattr_get(dir, "file", 0, "user.one", NULL, 0), 5);
    KT_EQUAL(kpio_path_xattr_get(dir, "file", 0, "user.two", value, sizeof value), 0);
    KT_ERROR(kpio_path_xattr_get(dir, "file", 0, "user.one", value, 3), ERANGE);
    KT_ERROR(kpio_path_xattr_get(dir, "file", 0, "user.none", value, sizeof value), ENODATA);
    if (fs_minds_xattrs()) {
        KT_ERROR(kpio_path_xattr_set(dir, "file", KPIO_XATTR_CREATE, "user.one", "x", 1), EEXIST);
        KT_ERROR(kpio_path_xattr_set(dir, "file", KPIO_XATTR_REPLACE, "user.none", "x", 1), ENODATA);
    }
    KT_OK(kpio_path_xattr_set(dir, "file", KPIO_XATTR_REPLACE, "user.one", "longer than before", 18));
    KT_EQUAL(kpio_path_xattr_get(dir, "file", 0, "user.one", value, sizeof value), 18);
    KT_EQUAL(kpio_path_xattr_list(dir, "file", 0, value, sizeof value), 18);
    KT_CHECK(memcmp(value, "user.one\0user.two", 18) == 0 || memcmp(value, "user.two\0user.one", 18) == 0);
    KT_EQUAL(kpio_path_xattr_list(dir, "file", 0, NULL, 0), 18);
    KT_ERROR(kpio_path_xattr_list(dir, "file", 0, value, 10), ERANGE);
    KT_OK(kpio_path_xattr_set(dir, "file", KPIO_XATTR_REMOVE, "user.one", NULL, 0));
    if (fs_minds_xattrs()) KT_ERROR(kpio_path_xattr_set(dir, "file", KPIO_XATTR_REMOVE, "user.one", NULL, 0), ENODATA);
    KT_EQUAL(kpio_path_xattr_list(dir, "file", 0, value, sizeof value), 9);
    KT_ERROR(kpio_path_xattr_set(dir, "file", 0, "nodot", "x", 1), EINVAL);
    KT_ERROR(kpio_path_xattr_set(dir, "file", 0, "user.", "x", 1), EINVAL);
    if (fs_minds_xattrs()) KT_ERROR(kpio_path_xattr_set(dir, "file", 0, "unknown.name", "x", 1), EOPNOTSUPP);
    KT_ERROR(kpio_path_xattr_set(dir, "file", 0, "user.big", value, 65537), E2BIG);
    kpio_handle file = fs_open(dir, "file", 0, RW);
    KT_OK(kpio_path_xattr_set(file, NULL, 0, "user.three", "3", 1));
    KT_EQUAL(kpio_path_xattr_get(file, NULL, 0, "user.three", value, sizeof value), 1);
    KT_OK(kpio_path_xattr_set(dir, ".", 0, "user.of_directory", "d", 1));
    kt_close(file);
    fs_end();
}

KT_TEST(room) {
    struct kpio_fs_statistics s;
    kpio_handle dir = fs_begin();
    KT_OK(kpio_fs_statistics(dir, &s));
    KT_EQUAL(strcmp(s.type, fs_type()), 0);
    KT_CHECK(s.blocks >= s.blocks_free && s.block_size >= 512 && s.name_max >= 255);
    KT_CHECK(s.flags == 0);
    fs_end();
}

KT_TEST(a_size_by_path) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "0123456789");
    fs_mkdir(dir, "folder");
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_SIZE, .size = 4}));
    fs_expect_text(dir, "file", "0123");
    KT_ERROR(set(dir, "folder", (struct kpio_attributes){.what = KPIO_SET_SIZE}), EISDIR);
    KT_ERROR(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_SIZE, .size = 1ull << 63}), EINVAL);
    KT_ERROR(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_SIZE | KPIO_SET_MODE}), EINVAL);
    kpio_handle file = fs_open(dir, "file", 0, RW);
    KT_ERROR(kpio_path_set_attributes(file, NULL, 0, &(struct kpio_attributes){.what = KPIO_SET_SIZE}), EINVAL);
    kt_close(file);
    fs_end();
}

KT_TEST(another_owner_takes_set_id_bits) {
    if (!fs_has_modes()) kt_skip("no modes here");
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODE, .mode = 06755}));
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_UID, .uid = 5}));
    KT_EQUAL(fs_stat(dir, "file").mode, 0100755);
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_MODE, .mode = 02644}));
    KT_OK(set(dir, "file", (struct kpio_attributes){.what = KPIO_SET_GID, .gid = 5}));
    KT_EQUAL(fs_stat(dir, "file").mode, 0102644);
    fs_end();
}
