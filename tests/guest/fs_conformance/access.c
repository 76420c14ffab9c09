// Who may do what: rights of handles, revocation, execution.
#include "tests/guest/fs_conformance/fs.h"

#define PAGE 4096u

KT_TEST(rights_bound_what_is_opened) {
    uint8_t buffer[8];
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "text");
    fs_mkdir(dir, "d");
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(dir, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT));
    KT_ERROR(file_open(reader, "file", 0, RW), EACCES);
    KT_ERROR(file_open(reader, "new", KPIO_OPEN_CREATE, KPIO_RIGHT_READ), EACCES);
    KT_ERROR(file_open(reader, "file", KPIO_OPEN_TRUNCATE, KPIO_RIGHT_READ), EACCES);
    KT_ERROR(directory_make(reader, "x"), EACCES);
    KT_ERROR(kpio_path_unlink(reader, "file", 0), EACCES);
    KT_ERROR(kpio_path_rename(reader, "file", reader, "x", 0), EACCES);
    KT_ERROR(kpio_path_symlink(reader, "s", "x", 0), EACCES);
    KT_ERROR(kpio_path_set_attributes(reader, "file", 0, &(struct kpio_attributes){0}), EACCES);
    KT_ERROR(kpio_path_xattr_set(reader, "file", 0, "user.a", "b", 1), EACCES);
    KT_ERROR(kpio_mount_attach(reader, "d", dir, 0, 0), EACCES);
    kpio_handle file = fs_open(reader, "file", 0, KPIO_RIGHTS_SAME), sub = fs_open(reader, "d", 0, KPIO_RIGHTS_SAME);
    KT_EQUAL(kpio_file_read(file, buffer, 8, 0), 4);
    KT_ERROR(kpio_file_write(file, buffer, 1, 0, 0), EACCES);
    KT_ERROR(kpio_file_resize(file, 0), EACCES);
    KT_ERROR(kpio_file_vmo(file, RW), EACCES);
    KT_ERROR(file_open(sub, "../file", 0, KPIO_RIGHT_WRITE), EACCES);
    KT_ERROR(kpio_path_set_attributes(file, NULL, 0, &(struct kpio_attributes){0}), EACCES);
    kpio_handle blind = KT_HANDLE(kpio_handle_dup(dir, KPIO_RIGHT_WRITE));
    KT_ERROR(kpio_path_stat(blind, "file", 0, &stat), EACCES);
    KT_ERROR(kpio_directory_read(blind, buffer, 8, 0), EACCES);
    KT_ERROR(file_open(blind, "file", 0, KPIO_RIGHT_READ), EACCES);
    kt_close(fs_open(blind, "new", KPIO_OPEN_CREATE, KPIO_RIGHT_WRITE));
    KT_CHECK(fs_exists(dir, "new"));
    kt_close(blind);
    kt_close(file);
    kt_close(sub);
    kt_close(reader);
    fs_end();
}

KT_TEST(revoking_the_directory_ends_all) {
    uint8_t buffer[8];
    struct kpio_stat stat;
    kpio_handle dir = fs_begin();
    fs_mkdir(dir, "d");
    fs_write_text(dir, "d/file", "text");
    kpio_handle given = KT_HANDLE(kpio_handle_dup(dir, KPIO_RIGHTS_SAME));
    kpio_handle sub = fs_opendir(given, "d"), file = fs_open(sub, "file", 0, RW), twin = KT_HANDLE(kpio_handle_dup(file, KPIO_RIGHTS_SAME));
    kpio_handle vmo = KT_HANDLE(kpio_file_vmo(file, KPIO_RIGHT_READ));
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ, 0));
    KT_EQUAL(*(volatile char *)at, 't');
    KT_CHECK(KT_OK(kpio_handle_revoke(given, 0)) >= 4);
    KT_ERROR(kpio_file_read(file, buffer, 8, 0), EBADF);
    KT_ERROR(kpio_file_read(twin, buffer, 8, 0), EBADF);
    KT_ERROR(kpio_path_stat(sub, ".", 0, &stat), EBADF);
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ, 0), EBADF);
    KT_ERROR(kpio_random_get((void *)at, 8), EFAULT);
    KT_OK(kpio_aspace_unmap(kt_aspace(), at, PAGE));
    KT_OK(kpio_path_stat(given, "d/file", 0, &stat));
    kt_close(given);
    fs_end();
}

KT_TEST(mapped_files) {
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    KT_EQUAL(file_write_all(file, "hello", 5, 0), 5);
    KT_OK(kpio_file_resize(file, 3 * PAGE));
    kpio_handle vmo = KT_HANDLE(kpio_file_vmo(file, RW));
    char *shared = (char *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, 3 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    char *private = (char *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, 3 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_PRIVATE, 0));
    KT_EQUAL(memcmp(shared, "hello", 5), 0);
    KT_EQUAL(memcmp(private, "hello", 5), 0);
    memcpy(shared + PAGE, "mapped", 6);
    KT_EQUAL(memcmp(private + PAGE, "mapped", 6), 0);  // an untouched page follows the file
    memcpy(private, "mine!", 5);
    char text[8];
    KT_EQUAL(file_read_all(file, text, 6, PAGE), 6);
    KT_EQUAL(memcmp(text, "mapped", 6), 0);
    KT_EQUAL(file_read_all(file, text, 5, 0), 5);
    KT_EQUAL(memcmp(text, "hello", 5), 0);
    KT_EQUAL(file_write_all(file, "HELLO", 5, 0), 5);
    KT_EQUAL(memcmp(shared, "HELLO", 5), 0);
    KT_EQUAL(memcmp(private, "mine!", 5), 0);
    KT_OK(kpio_file_resize(file, PAGE));
    KT_ERROR(kpio_random_get((void *)(shared + 2 * PAGE), 8), EFAULT);
    KT_ERROR(kpio_vmo_resize(vmo, 9 * PAGE), EPERM);
    KT_ERROR(kpio_vmo_op(vmo, KPIO_VMO_OP_ZERO, 0, PAGE), EPERM);
    KT_ERROR(kpio_vmo_clone(vmo, KPIO_CLONE_OVERLAY, 0, PAGE), EPERM);
    KT_OK(kpio_aspace_unmap(kt_aspace(), (uint64_t)shared, 3 * PAGE));
    KT_OK(kpio_aspace_unmap(kt_aspace(), (uint64_t)private, 3 * PAGE));
    kt_close(vmo);
    kt_close(file);
    fs_end();
}

KT_TEST(a_mapping_keeps_a_deleted_file) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "kept");
    kpio_handle file = fs_open(dir, "file", 0, KPIO_RIGHT_READ), vmo = KT_HANDLE(kpio_file_vmo(file, KPIO_RIGHT_READ));
    char *at = (char *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ, 0));
    kt_close(file);
    kt_close(vmo);
    KT_OK(kpio_path_unlink(dir, "file", 0));
    fs_leave();
    KT_EQUAL(memcmp(at, "kept", 4), 0);
    KT_OK(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, PAGE));
    fs_await_end();
}

// ---- in a process with the JIT right, which gets EXECUTE on what it mounts: a child says the line that failed ----------------
#define EXPECT(condition)                                                                                            \
    do {                                                                                                             \
        if (!(condition)) return __LINE__;                                                                           \
    } while (0)

static int64_t add_rights(kpio_handle dir) {
    EXPECT(directory_make(dir, "a") == 0 && directory_make(dir, "b") == 0 && file_save(dir, "a/file", "x", 1) == 0);
    kpio_handle reader = (kpio_handle)file_open(dir, "a", 0, KPIO_RIGHT_READ);
    kpio_handle plain = (kpio_handle)file_open(dir, "a", 0, RW), all = (kpio_handle)file_open(dir, "b", 0, RWX);
    EXPECT(reader > 0 && plain > 0 && all > 0);
    EXPECT(kpio_path_link(reader, "file", all, "file", 0) == -EACCES);
    EXPECT(kpio_path_link(plain, "file", all, "file", 0) == -EACCES);
    EXPECT(kpio_path_rename(plain, "file", all, "file", 0) == -EACCES);
    EXPECT(kpio_path_link(all, "../a/file", plain, "twin", 0) == 0);
    EXPECT(kpio_path_rename(all, "../a/twin", plain, "third", 0) == 0);
    EXPECT(kpio_path_rename(all, "../a/file", plain, "third", KPIO_RENAME_EXCHANGE) == -EACCES);
    return 0;
}

static int64_t execute(kpio_handle dir) {
    EXPECT(file_save(dir, "file", "\xc3", 1) == 0);
    kpio_handle plain = (kpio_handle)file_open(dir, "file", 0, KPIO_RIGHT_READ);
    EXPECT(kpio_file_vmo(plain, KPIO_RIGHT_EXECUTE) == -EACCES);
    kpio_handle file = (kpio_handle)file_open(dir, "file", 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    kpio_handle writer = (kpio_handle)file_open(dir, "file", 0, KPIO_RIGHT_WRITE);
    EXPECT(file > 0 && writer > 0 && kpio_file_vmo(file, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE) == -ETXTBSY);
    (void)kpio_handle_close((uint64_t)writer);
    kpio_handle vmo = (kpio_handle)kpio_file_vmo(file, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    EXPECT(vmo > 0 && file_open(dir, "file", 0, KPIO_RIGHT_WRITE) == -ETXTBSY);
    EXPECT(file_open(dir, "file", KPIO_OPEN_TRUNCATE, KPIO_RIGHT_READ) == -ETXTBSY);
    EXPECT(file_save(dir, "file", "x", 1) == -ETXTBSY);
    kpio_handle self = startup_handle("aspace");
    int64_t at = kpio_aspace_map(self, vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_EXECUTE, 0);
    EXPECT(at > 0);
    ((void (*)(void))at)();  // ret
    (void)kpio_handle_close((uint64_t)vmo);
    (void)kpio_handle_close((uint64_t)file);
    EXPECT(file_open(dir, "file", 0, KPIO_RIGHT_WRITE) == -ETXTBSY);  // the mapping executes it still
    EXPECT(kpio_aspace_unmap(self, (uint64_t)at, PAGE) == 0);
    writer = (kpio_handle)file_open(dir, "file", 0, RW);
    vmo = (kpio_handle)kpio_file_vmo(writer, RW);
    EXPECT(writer > 0 && vmo > 0);
    (void)kpio_handle_close((uint64_t)writer);
    file = (kpio_handle)file_open(dir, "file", 0, KPIO_RIGHT_READ | KPIO_RIGHT_EXECUTE);
    EXPECT(kpio_file_vmo(file, KPIO_RIGHT_EXECUTE) == -ETXTBSY);  // the memory may be written still
    (void)kpio_handle_close((uint64_t)vmo);
    vmo = (kpio_handle)kpio_file_vmo(file, KPIO_RIGHT_EXECUTE);
    EXPECT(vmo > 0 && kpio_file_vmo(file, KPIO_RIGHT_INSPECT) == -EINVAL);
    return 0;
}

KT_CHILD(executes) {
    kpio_handle root = fs_mount_quietly();
    EXPECT(root > 0);
    int64_t line = fs_has_links() ? add_rights(root) : 0;
    return line != 0 ? line : execute(root);
}

KT_TEST(writing_and_executing_exclude_each_other) {
    if (!fs_executes()) kt_skip("nothing is executed here");
    const char *what = "", *self = startup_page()->text, *arguments[] = {self, "executes", NULL};
    const char *settings[] = {"fs", fs_type(), NULL};
    const struct process_grant grants[] = {{"console", kt_system(), KPIO_RIGHT_LOG, KPIO_SEND_COPY},
                                           {"system", kt_system(), KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    struct program program;
    KT_EQUAL(archive_program(kt_archive(), self, &program), 0);
    const struct process_spec spec = {.name = "executes", .job = kt_job(), .program = &program, .grants = grants, .grant_count = 2,
                                      .options = 1, .arguments = arguments, .settings = settings};
    KT_EQUAL(kt_wait(KT_HANDLE(process_spawn(&spec, &what))), 0);
}

// Without the JIT right a process gets no EXECUTE on what it mounts.
KT_CHILD(mounts_tmpfs) {
    struct kpio_handle_info info;
    kpio_handle root = (kpio_handle)kpio_fs_mount("tmpfs", 0, 0, NULL);
    if (kpio_handle_info(root, &info) != 0) return 1;
    if (info.rights & KPIO_RIGHT_EXECUTE) return 2;
    if (file_save(root, "file", "\xc3", 1) != 0) return 3;
    return file_open(root, "file", 0, KPIO_RIGHT_EXECUTE) == -EACCES ? 0 : 4;
}

KT_TEST(what_a_process_writes_it_cannot_execute) {
    KT_EQUAL(kt_wait(kt_spawn("mounts_tmpfs", NULL, 0)), 0);
}
