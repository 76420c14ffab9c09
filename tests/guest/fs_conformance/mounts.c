// Mounts in mounts: other file systems, parts of them, and places that somebody else serves.
#include "tests/guest/fs_conformance/fs.h"

static kpio_handle tmpfs(const char *options) { return KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, options)); }

KT_TEST(mounting) {
    struct kpio_stat stat;
    kpio_handle dir = fs_begin(), other = tmpfs(NULL);
    fs_mkdir(dir, "m");
    fs_write_text(dir, "m/below", "hidden");
    fs_write_text(other, "above", "shown");
    fs_mkdir(other, "sub");
    KT_OK(kpio_mount_attach(dir, "m", other, 0, 0));
    fs_expect_text(dir, "m/above", "shown");
    KT_CHECK(!fs_exists(dir, "m/below"));
    KT_CHECK(fs_stat(dir, "m").flags & KPIO_STAT_MOUNT_ROOT);
    KT_CHECK(fs_stat(dir, "m").fs != fs_stat(dir, ".").fs);
    KT_EQUAL(fs_stat(dir, "m/sub/../..").inode, fs_stat(dir, ".").inode);
    KT_ERROR(kpio_path_stat(dir, "m", KPIO_PATH_NO_MOUNTS, &stat), EXDEV);
    KT_ERROR(kpio_path_rename(dir, "m/above", dir, "here", 0), EXDEV);
    KT_ERROR(kpio_path_unlink(dir, "m", KPIO_UNLINK_DIRECTORY), EBUSY);
    KT_ERROR(kpio_path_rename(dir, "m", dir, "n", 0), EBUSY);
    if (fs_has_links()) KT_ERROR(kpio_path_link(dir, "m/above", dir, "here", 0), EXDEV);
    kpio_handle file = fs_open(dir, "m/above", 0, RW);
    KT_ERROR(kpio_mount_detach(dir, "m", 0), EBUSY);
    KT_ERROR(kpio_mount_detach(dir, "m/sub", 0), EINVAL);
    KT_ERROR(kpio_mount_detach(dir, "/", 0), EINVAL);
    KT_OK(kpio_mount_detach(dir, "m", KPIO_DETACH_LAZY));
    fs_expect_text(dir, "m/below", "hidden");
    char text[8];
    KT_EQUAL(file_read_all(file, text, 8, 0), 5);
    kt_close(file);
    KT_OK(kpio_mount_attach(dir, "m", other, 0, 0));
    KT_OK(kpio_mount_detach(dir, "m", 0));
    KT_ERROR(kpio_mount_attach(dir, "none", other, 0, 0), ENOENT);
    KT_ERROR(kpio_mount_attach(dir, "m/below", other, 0, 0), ENOTDIR);
    KT_ERROR(kpio_mount_attach(dir, "m", 0, 0, 0), EINVAL);
    KT_ERROR(kpio_fs_mount("none", 0, 0, NULL), EINVAL);
    KT_ERROR(kpio_fs_mount("ext4", 0, 0, NULL), EINVAL);
    KT_ERROR(kpio_fs_mount("tmpfs", 0, 0, "nonsense=1"), EINVAL);
    kt_close(other);
    fs_end();
}

// The mount that is seen at that path: whether there is one.
static bool listed(kpio_handle dir, const char *at, struct kpio_mount_info *info) {
    uint8_t path[256];
    info->id = 0;
    for (int64_t bytes; (bytes = kpio_mount_list(dir, info->id, info, path, sizeof path)) != -ENOENT;) {
        KT_CHECK(bytes >= 0 && strlen((const char *)path) == (size_t)bytes);
        if (strcmp((const char *)path, at) == 0) return true;
    }
    return false;
}

static bool is_listed(kpio_handle dir, const char *at) {
    struct kpio_mount_info info;
    return listed(dir, at, &info);
}

KT_TEST(the_list_of_mounts) {
    struct kpio_mount_info root, info;
    uint8_t path[2];
    kpio_handle whole = tmpfs(NULL), other = tmpfs(NULL);
    fs_mkdir(whole, "a");
    fs_mkdir(whole, "a/m");
    fs_mkdir(whole, "proc");
    KT_CHECK(listed(whole, "/", &root));
    KT_CHECK(root.id == fs_stat(whole, ".").mount && root.fs == fs_stat(whole, ".").fs && root.parent == 0);
    KT_EQUAL(strcmp(root.type, "tmpfs"), 0);
    KT_OK(kpio_mount_attach(whole, "a/m", other, KPIO_MOUNT_READ_ONLY, 0));
    KT_OK(kpio_mount_attach(whole, "proc", 0, KPIO_MOUNT_LOCAL, 77));
    KT_CHECK(listed(whole, "/a/m", &info));
    KT_CHECK(info.id == fs_stat(whole, "a/m").mount && info.parent == root.id && info.flags & KPIO_MOUNT_READ_ONLY);
    KT_CHECK(listed(whole, "/proc", &info) && info.flags & KPIO_MOUNT_LOCAL && info.key == 77 && info.fs == 0);
    KT_ERROR(kpio_mount_list(whole, root.id, &info, path, sizeof path), ERANGE);
    // From a root within it: the mount that this lies in, and what is below.
    kpio_handle inner = KT_HANDLE(file_open(whole, "a", KPIO_OPEN_DIRECTORY | KPIO_OPEN_ROOT, KPIO_RIGHTS_SAME));
    KT_CHECK(is_listed(inner, "/m") && is_listed(inner, "/") && !is_listed(inner, "/proc"));
    kt_close(inner);
    KT_OK(kpio_mount_detach(whole, "a/m", 0));
    KT_CHECK(!is_listed(whole, "/a/m"));
    kpio_handle blind = KT_HANDLE(kpio_handle_dup(whole, KPIO_RIGHT_READ));
    KT_ERROR(kpio_mount_list(blind, 0, &info, path, sizeof path), EACCES);
    kt_close(blind);
    kt_close(other);
    kt_close(whole);
}

KT_TEST(a_mount_that_is_taken_away_lazily_takes_what_is_in_it) {
    kpio_handle dir = fs_begin(), one = tmpfs(NULL), two = tmpfs(NULL), three = tmpfs(NULL);
    fs_mkdir(dir, "m");
    fs_mkdir(one, "in");
    fs_mkdir(two, "in");
    fs_write_text(three, "file", "kept");
    KT_OK(kpio_mount_attach(dir, "m", one, 0, 0));
    KT_OK(kpio_mount_attach(dir, "m/in", two, 0, 0));
    KT_OK(kpio_mount_attach(dir, "m/in/in", three, 0, 0));
    KT_ERROR(kpio_mount_detach(dir, "m", 0), EBUSY);
    kpio_handle file = fs_open(dir, "m/in/in/file", 0, KPIO_RIGHT_READ);
    KT_OK(kpio_mount_detach(dir, "m", KPIO_DETACH_LAZY | KPIO_DETACH_FORCE));
    KT_CHECK(!fs_exists(dir, "m/in"));
    fs_expect_text(three, "file", "kept");
    char text[4];
    KT_EQUAL(file_read_all(file, text, 4, 0), 4);
    kt_close(file);
    KT_OK(kpio_mount_attach(dir, "m", one, 0, 0));
    KT_CHECK(fs_exists(dir, "m/in") && !fs_exists(dir, "m/in/in"));
    KT_OK(kpio_mount_detach(dir, "m", 0));
    KT_ERROR(kpio_mount_detach(dir, "m", 8), EINVAL);
    kt_close(one);
    kt_close(two);
    kt_close(three);
    fs_end();
}

KT_TEST(a_mount_gives_no_more_rights_than_its_source) {
    kpio_handle dir = fs_begin(), other = tmpfs(NULL);
    fs_mkdir(dir, "m");
    fs_write_text(other, "file", "x");
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(other, KPIO_RIGHT_READ | KPIO_RIGHT_MANAGE | KPIO_RIGHT_INSPECT));
    KT_OK(kpio_mount_attach(dir, "m", reader, 0, 0));
    fs_expect_text(dir, "m/file", "x");
    KT_ERROR(file_open(dir, "m/file", 0, RW), EACCES);
    KT_ERROR(file_save(dir, "m/new", "y", 1), EACCES);
    KT_ERROR(kpio_path_unlink(dir, "m/file", 0), EACCES);
    KT_ERROR(kpio_path_xattr_set(dir, "m/file", 0, "user.a", "b", 1), EACCES);
    KT_OK(kpio_mount_detach(dir, "m", 0));
    KT_OK(kpio_mount_attach(dir, "m", other, KPIO_MOUNT_READ_ONLY, 0));
    KT_ERROR(file_open(dir, "m/file", 0, RW), EROFS);
    KT_ERROR(directory_make(dir, "m/new"), EROFS);
    KT_OK(kpio_mount_detach(dir, "m", 0));
    kt_close(reader);
    kt_close(other);
    fs_end();
}

KT_TEST(local_mounts_hand_the_path_back) {
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    const struct kpio_thread_block *block = thread_self();
    const char *rest = (const char *)block->message;
    fs_mkdir(dir, "proc");
    KT_OK(kpio_mount_attach(dir, "proc", 0, KPIO_MOUNT_LOCAL, 77));
    KT_ERROR(kpio_path_stat(dir, "proc/self/maps", 0, &stat), EREMOTE);
    KT_EQUAL(block->path_key, 77);
    KT_EQUAL(block->path_bytes, 10);
    KT_EQUAL(strcmp(rest, "/self/maps"), 0);
    KT_ERROR(file_open(dir, "/proc", 0, KPIO_RIGHT_READ), EREMOTE);
    KT_EQUAL(block->path_bytes, 0);
    KT_ERROR(file_open(dir, "proc/new", KPIO_OPEN_CREATE, RW), EREMOTE);
    KT_EQUAL(strcmp(rest, "/new"), 0);
    if (fs_has_links()) {
        KT_OK(kpio_path_symlink(dir, "link", "/proc/uptime", 0));
        KT_ERROR(kpio_path_stat(dir, "link", 0, &stat), EREMOTE);
        KT_EQUAL(strcmp(rest, "/uptime"), 0);
    }
    KT_ERROR(kpio_path_unlink(dir, "proc", KPIO_UNLINK_DIRECTORY), EBUSY);
    KT_OK(kpio_mount_detach(dir, "proc", 0));
    KT_OK(kpio_path_stat(dir, "proc", 0, &stat));
    fs_end();
}

KT_TEST(limits_of_tmpfs) {
    static uint8_t piece[65536];
    kpio_handle dir = tmpfs("size=1M,inodes=4"), file = fs_create(dir, "one");
    int64_t done, sum = 0;
    while ((done = kpio_file_write(file, piece, sizeof piece, KPIO_OFFSET_CURRENT, 0)) > 0) sum += done;
    KT_EQUAL(done, -ENOSPC);
    KT_CHECK(sum > 900 << 10 && sum <= 1 << 20);
    KT_OK(kpio_file_resize(file, 0));
    KT_EQUAL(file_write_all(file, piece, sizeof piece, 0), sizeof piece);
    kt_close(fs_create(dir, "two"));
    kt_close(fs_create(dir, "three"));
    KT_ERROR(file_open(dir, "four", KPIO_OPEN_CREATE, RW), ENOSPC);
    KT_OK(kpio_path_unlink(dir, "two", 0));
    int64_t four;
    for (uint64_t until = kt_soon(); (four = file_open(dir, "four", KPIO_OPEN_CREATE, RW)) == -ENOSPC && time_now() < until;)
        time_sleep_ms(1);  // an inode goes after a grace period
    kt_close(KT_HANDLE(four));
    kt_close(file);
    kt_close(dir);
}

// ---- the end of a mount ---------------------------------------------------------------------------------------------------

static int64_t wait_in_file(void *arg) {
    return kpio_futex_wait((uint64_t)arg, 0, UINT32_MAX, KPIO_TIME_NEVER, 1);
}

// A futex in a file keeps its inode, when nothing else is left of the mount. The mount ends when the wait does; nobody else
// waits for that.
KT_TEST(a_wait_in_a_file_outlives_the_mount) {
    enum { ROUNDS = 20 };
    const uint64_t page = 4096;
    struct thread waiter;
    struct kpio_system_info info;
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file");
    KT_OK(kpio_file_resize(file, page));
    kpio_handle memory = KT_HANDLE(kpio_file_vmo(file, RW));
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), memory, 0, page, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    KT_EQUAL(thread_spawn(&waiter, "waiter", wait_in_file, (void *)at, NULL, 0), 0);
    kt_blocked(waiter.handle);
    KT_OK(kpio_path_unlink(dir, "file", 0));
    KT_OK(kpio_aspace_unmap(kt_aspace(), at, page));
    kt_close(memory);
    kt_close(file);
    fs_leave();
    for (unsigned i = 0; i < ROUNDS; i++) KT_OK(kpio_system_info(kt_system(), &info));
    kt_close(tmpfs(NULL));
    KT_OK(kpio_system_info(kt_system(), &info));
    KT_OK(kpio_thread_kill(waiter.handle));
    KT_EQUAL(thread_join(&waiter, NULL), 0);
    fs_await_end();
    (void)fs_begin();
    fs_end();
}
