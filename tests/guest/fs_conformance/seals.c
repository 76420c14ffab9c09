// Seals of files in memory, and opening by type.
#include "tests/guest/fs_conformance/fs.h"

#define PAGE 4096u

KT_TEST(seals_are_for_files_in_memory) {
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file");
    bool memory = strcmp(fs_type(), "tmpfs") == 0;
    if (memory) KT_EQUAL(kpio_file_seal(file, 0), 0);
    else KT_ERROR(kpio_file_seal(file, 0), EINVAL);
    KT_ERROR(kpio_file_seal(file, 1u << 9), EINVAL);
    kpio_handle reader = fs_open(dir, "file", 0, KPIO_RIGHT_READ);
    KT_ERROR(kpio_file_seal(reader, KPIO_SEAL_WRITE), EACCES);
    kt_close(reader);
    kt_close(file);
    fs_end();
}

KT_TEST(sealed_sizes) {
    if (strcmp(fs_type(), "tmpfs") != 0) kt_skip("no file in memory");
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file");
    KT_OK(kpio_file_resize(file, 100));
    KT_EQUAL(kpio_file_seal(file, KPIO_SEAL_SHRINK), KPIO_SEAL_SHRINK);
    KT_ERROR(kpio_file_resize(file, 99), EPERM);
    KT_ERROR(kpio_path_set_attributes(dir, "file", 0, &(struct kpio_attributes){.what = KPIO_SET_SIZE, .size = 1}), EPERM);
    KT_ERROR(kpio_path_open(dir, "file", KPIO_OPEN_TRUNCATE, 0, RW), EPERM);
    KT_EQUAL(kpio_file_seal(file, KPIO_SEAL_GROW), KPIO_SEAL_SHRINK | KPIO_SEAL_GROW);
    KT_ERROR(kpio_file_write(file, "xx", 2, 99, 0), EPERM);
    KT_ERROR(kpio_file_write(file, "x", 1, 0, KPIO_WRITE_APPEND), EPERM);
    KT_ERROR(kpio_file_allocate(file, 0, 0, 101), EPERM);
    KT_EQUAL(kpio_file_write(file, "x", 1, 99, 0), 1);
    KT_OK(kpio_file_seal(file, KPIO_SEAL_SEAL));
    KT_ERROR(kpio_file_seal(file, KPIO_SEAL_WRITE), EPERM);
    kt_close(file);
    fs_end();
}

KT_TEST(sealed_content) {
    if (strcmp(fs_type(), "tmpfs") != 0) kt_skip("no file in memory");
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file"), other = fs_create(dir, "other");
    KT_OK(kpio_file_resize(file, PAGE));
    KT_EQUAL(kpio_file_write(other, "x", 1, 0, 0), 1);
    kpio_handle vmo = KT_HANDLE(kpio_file_vmo(file, RW));
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    kt_close(vmo);
    KT_ERROR(kpio_file_seal(file, KPIO_SEAL_WRITE), EBUSY);
    KT_EQUAL(kpio_file_seal(file, KPIO_SEAL_FUTURE_WRITE), KPIO_SEAL_FUTURE_WRITE);
    *(volatile char *)at = 'x';
    KT_ERROR(kpio_file_write(file, "x", 1, 0, 0), EPERM);
    KT_ERROR(kpio_file_copy(other, 0, file, 0, 1), EPERM);
    KT_ERROR(kpio_file_vmo(file, RW), EPERM);
    KT_OK(kpio_aspace_unmap(kt_aspace(), at, PAGE));
    KT_OK(kpio_file_seal(file, KPIO_SEAL_WRITE));
    KT_ERROR(kpio_file_allocate(file, KPIO_ALLOCATE_PUNCH_HOLE | KPIO_ALLOCATE_KEEP_SIZE, 0, PAGE), EPERM);
    kt_close(KT_HANDLE(kpio_file_vmo(file, KPIO_RIGHT_READ)));
    kt_close(other);
    kt_close(file);
    fs_end();
}

static uint32_t rights_of(kpio_handle handle) {
    struct kpio_handle_info info;
    KT_OK(kpio_handle_info(handle, &info));
    return info.rights & RWX;
}

KT_TEST(opening_by_type) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "x");
    fs_mkdir(dir, "folder");
    kpio_handle folder = fs_open(dir, "folder", KPIO_OPEN_BY_TYPE, KPIO_RIGHT_READ);
    KT_EQUAL(rights_of(folder) & RW, RW);
    KT_ERROR(kpio_path_open(dir, "folder", KPIO_OPEN_BY_TYPE, 0, KPIO_RIGHT_WRITE), EISDIR);
    const uint32_t run = fs_executes() ? KPIO_RIGHT_EXECUTE : 0;
    kpio_handle read = fs_open(dir, "file", KPIO_OPEN_BY_TYPE, KPIO_RIGHT_READ);
    KT_EQUAL(rights_of(read) & ~run, KPIO_RIGHT_READ);
    kpio_handle write = fs_open(dir, "file", KPIO_OPEN_BY_TYPE, RW);
    KT_EQUAL(rights_of(write), RW);
    kpio_handle given = KT_HANDLE(kpio_handle_dup(dir, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT));
    kpio_handle bound = fs_open(given, "folder", KPIO_OPEN_BY_TYPE, KPIO_RIGHT_READ);
    KT_EQUAL(rights_of(bound), KPIO_RIGHT_READ);
    kt_close(bound);
    kt_close(given);
    kt_close(write);
    kt_close(read);
    kt_close(folder);
    fs_end();
}
