// Creating, reading, writing, size.
#include "tests/guest/fs_conformance/fs.h"

#define PAGE 4096u
static uint8_t buffer[5 * PAGE], other[5 * PAGE];

KT_TEST(a_new_file_is_empty) {
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    struct kpio_stat stat = fs_stat(dir, "file");
    KT_EQUAL(stat.size, 0);
    KT_EQUAL(stat.mode & 0170000, 0100000);
    KT_EQUAL(stat.links, 1);
    KT_CHECK(stat.modified.seconds > 1500000000);
    KT_EQUAL(kpio_file_read(file, buffer, 10, 0), 0);
    kt_close(file);
    fs_end();
}

KT_TEST(what_is_written_is_read) {
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    for (unsigned i = 0; i < sizeof buffer; i++) buffer[i] = (uint8_t)kt_random();
    KT_EQUAL(file_write_all(file, buffer, 3 * PAGE + 100, 777), 3 * PAGE + 100);
    KT_EQUAL(fs_stat(dir, "file").size, 777 + 3 * PAGE + 100);
    KT_EQUAL(file_read_all(file, other, sizeof other, 777), 3 * PAGE + 100);
    KT_EQUAL(memcmp(buffer, other, 3 * PAGE + 100), 0);
    KT_EQUAL(file_read_all(file, other, 777, 0), 777);
    for (unsigned i = 0; i < 777; i++) KT_EQUAL(other[i], 0);
    kt_close(file);
    file = fs_open(dir, "file", 0, KPIO_RIGHT_READ);
    KT_EQUAL(file_read_all(file, other, 100, 777 + PAGE), 100);
    KT_EQUAL(memcmp(buffer + PAGE, other, 100), 0);
    kt_close(file);
    fs_end();
}

KT_TEST(the_offset_is_shared_by_duplicates) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "abcdefghij");
    kpio_handle file = fs_open(dir, "file", 0, RW), twin = KT_HANDLE(kpio_handle_dup(file, KPIO_RIGHTS_SAME));
    kpio_handle apart = fs_open(dir, "file", 0, KPIO_RIGHT_READ);
    KT_EQUAL(kpio_file_read(file, buffer, 3, KPIO_OFFSET_CURRENT), 3);
    KT_EQUAL(kpio_file_read(twin, buffer, 3, KPIO_OFFSET_CURRENT), 3);
    KT_EQUAL(memcmp(buffer, "def", 3), 0);
    KT_EQUAL(kpio_file_read(apart, buffer, 3, KPIO_OFFSET_CURRENT), 3);
    KT_EQUAL(memcmp(buffer, "abc", 3), 0);
    KT_EQUAL(kpio_file_write(twin, (const uint8_t *)"XY", 2, KPIO_OFFSET_CURRENT, 0), 2);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_CURRENT), 8);
    KT_EQUAL(kpio_file_seek(file, -3, KPIO_SEEK_END), 7);
    KT_EQUAL(kpio_file_seek(twin, 2, KPIO_SEEK_CURRENT), 9);
    KT_ERROR(kpio_file_seek(file, -20, KPIO_SEEK_CURRENT), EINVAL);
    KT_ERROR(kpio_file_seek(file, INT64_MAX, KPIO_SEEK_END), EOVERFLOW);
    KT_ERROR(kpio_file_seek(file, 0, 9), EINVAL);
    KT_EQUAL(kpio_file_seek(file, 100, KPIO_SEEK_SET), 100);
    KT_EQUAL(kpio_file_read(file, buffer, 3, KPIO_OFFSET_CURRENT), 0);
    kt_close(file);
    kt_close(twin);
    kt_close(apart);
    fs_expect_text(dir, "file", "abcdefXYij");
    fs_end();
}

KT_TEST(appending) {
    kpio_handle dir = fs_begin();
    kpio_handle a = fs_open(dir, "file", KPIO_OPEN_CREATE | KPIO_OPEN_APPEND, KPIO_RIGHT_WRITE);
    kpio_handle b = fs_open(dir, "file", 0, RW);
    KT_EQUAL(kpio_file_write(a, (const uint8_t *)"one", 3, KPIO_OFFSET_CURRENT, 0), 3);
    KT_EQUAL(kpio_file_write(b, (const uint8_t *)"two", 3, 3, 0), 3);
    KT_EQUAL(kpio_file_write(a, (const uint8_t *)"three", 5, KPIO_OFFSET_CURRENT, 0), 5);
    KT_EQUAL(kpio_file_write(b, (const uint8_t *)"!", 1, 0, KPIO_WRITE_APPEND), 1);
    fs_expect_text(dir, "file", "onetwothree!");
    KT_EQUAL(kpio_file_flags(a, KPIO_OPEN_APPEND, 0x5000000), 0x5000000);
    KT_EQUAL(kpio_file_write(a, (const uint8_t *)"ONE", 3, 0, 0), 3);
    KT_ERROR(kpio_file_flags(a, 0, KPIO_OPEN_CREATE), EINVAL);
    fs_expect_text(dir, "file", "ONEtwothree!");
    kt_close(a);
    kt_close(b);
    fs_end();
}

KT_TEST(resizing) {
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    memset(buffer, 'x', sizeof buffer);
    KT_EQUAL(file_write_all(file, buffer, 2 * PAGE, 0), 2 * PAGE);
    KT_OK(kpio_file_resize(file, 100));
    KT_EQUAL(fs_stat(dir, "file").size, 100);
    KT_OK(kpio_file_resize(file, 3 * PAGE));
    KT_EQUAL(file_read_all(file, other, sizeof other, 0), 3 * PAGE);
    for (unsigned i = 0; i < 3 * PAGE; i++) KT_EQUAL(other[i], i < 100 ? 'x' : 0);
    KT_OK(kpio_file_resize(file, 0));
    KT_EQUAL(file_read_all(file, other, sizeof other, 0), 0);
    KT_EQUAL(file_write_all(file, "end", 3, 10), 3);
    KT_EQUAL(file_read_all(file, other, sizeof other, 0), 13);
    for (unsigned i = 0; i < 10; i++) KT_EQUAL(other[i], 0);
    KT_ERROR(kpio_file_resize(file, UINT64_MAX), EINVAL);
    KT_ERROR(kpio_file_resize(file, INT64_MAX), EFBIG);
    kt_close(file);
    kt_close(fs_open(dir, "file", KPIO_OPEN_TRUNCATE, KPIO_RIGHT_WRITE));
    KT_EQUAL(fs_stat(dir, "file").size, 0);
    fs_end();
}

// What the buffer has room for arrives, or nothing; at any distance from where its memory ends.
KT_TEST(a_buffer_ends_where_nothing_is_mapped) {
    kpio_handle dir = fs_begin(), vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), 0, 0, 2 * PAGE, KPIO_MAP_RESERVE, 0));
    KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, at));
    memset(buffer, 'b', PAGE);
    kpio_handle file = fs_create(dir, "file");
    KT_EQUAL(file_write_all(file, buffer, PAGE, 0), PAGE);
    for (uint64_t room = 0; room < 20; room++) {
        int64_t got = kpio_file_read(file, (uint8_t *)at + PAGE - room, 64, 0);
        KT_CHECK(got == -EFAULT || (got > 0 && got <= (int64_t)room));
        int64_t put = kpio_file_write(file, (uint8_t *)at + PAGE - room, 64, 0, 0);
        KT_CHECK(put == -EFAULT || (put > 0 && put <= (int64_t)room));
    }
    KT_OK(kpio_aspace_unmap(kt_aspace(), at, 2 * PAGE));
    kt_close(vmo);
    kt_close(file);
    fs_end();
}

KT_TEST(bad_buffers_and_arguments) {
    kpio_handle dir = fs_begin();
    fs_write_text(dir, "file", "text");
    kpio_handle file = fs_open(dir, "file", 0, RW);
    KT_ERROR(kpio_file_read(file, KT_UNMAPPED_ADDRESS, 4, 0), EFAULT);
    KT_ERROR(kpio_file_read(file, KT_KERNEL_ADDRESS, 4, 0), EFAULT);
    KT_ERROR(kpio_file_write(file, KT_UNMAPPED_ADDRESS, 4, 0, 0), EFAULT);
    KT_ERROR(kpio_file_write(file, KT_NULL_PAGE, 4, 0, 0), EFAULT);
    KT_ERROR(kpio_file_write(file, buffer, 4, 0, 1u << 30), EINVAL);
    KT_ERROR(kpio_file_read(file, buffer, 4, -2), EINVAL);
    KT_ERROR(kpio_file_write(file, buffer, 4, INT64_MIN, 0), EINVAL);
    KT_ERROR(kpio_file_write(file, buffer, 4, INT64_MAX - 1, 0), EFBIG);
    KT_EQUAL(kpio_file_write(file, buffer, 0, 0, 0), 0);
    KT_EQUAL(kpio_file_read(file, buffer, 4, INT64_MAX), 0);
    KT_EQUAL(fs_stat(dir, "file").size, 4);
    KT_ERROR(kpio_file_read(dir, buffer, 4, 0), EWRONGTYPE);
    kt_close(file);
    fs_expect_text(dir, "file", "text");
    fs_end();
}

KT_TEST(holes_and_data) {
    kpio_handle dir = fs_begin();
    if (!fs_has_holes()) {
        fs_end();
        kt_skip("files have no holes here");
    }
    kpio_handle file = fs_create(dir, "file");
    memset(buffer, 'd', sizeof buffer);
    KT_EQUAL(file_write_all(file, buffer, PAGE, 4 * PAGE), PAGE);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_DATA), 4 * PAGE);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_HOLE), 0);
    KT_EQUAL(kpio_file_seek(file, 4 * PAGE + 5, KPIO_SEEK_DATA), 4 * PAGE + 5);
    KT_EQUAL(kpio_file_seek(file, 4 * PAGE, KPIO_SEEK_HOLE), 5 * PAGE);
    KT_ERROR(kpio_file_seek(file, 5 * PAGE, KPIO_SEEK_DATA), ENXIO);
    KT_ERROR(kpio_file_seek(file, 5 * PAGE, KPIO_SEEK_HOLE), ENXIO);
    KT_EQUAL(file_write_all(file, buffer, 4 * PAGE, 0), 4 * PAGE);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_HOLE), 5 * PAGE);
    KT_OK(kpio_file_allocate(file, KPIO_ALLOCATE_PUNCH_HOLE | KPIO_ALLOCATE_KEEP_SIZE, PAGE, 2 * PAGE));
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_HOLE), PAGE);
    KT_EQUAL(kpio_file_seek(file, PAGE, KPIO_SEEK_DATA), 3 * PAGE);
    KT_EQUAL(file_read_all(file, other, sizeof other, 0), 5 * PAGE);
    for (unsigned i = 0; i < 5 * PAGE; i++) KT_EQUAL(other[i], i / PAGE == 1 || i / PAGE == 2 ? 0 : 'd');
    KT_OK(kpio_file_allocate(file, KPIO_ALLOCATE_PUNCH_HOLE | KPIO_ALLOCATE_KEEP_SIZE, 10, 20));
    KT_EQUAL(file_read_all(file, other, 40, 0), 40);
    for (unsigned i = 0; i < 40; i++) KT_EQUAL(other[i], i >= 10 && i < 30 ? 0 : 'd');
    KT_EQUAL(fs_stat(dir, "file").size, 5 * PAGE);
    kt_close(file);
    fs_end();
}

KT_TEST(allocating) {
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    if (!fs_has_holes()) {
        kt_close(file);
        fs_end();
        kt_skip("no allocate here");
    }
    KT_OK(kpio_file_allocate(file, KPIO_ALLOCATE_KEEP_SIZE, 0, 4 * PAGE));
    KT_EQUAL(fs_stat(dir, "file").size, 0);
    KT_OK(kpio_file_allocate(file, 0, PAGE, 2 * PAGE));
    KT_EQUAL(fs_stat(dir, "file").size, 3 * PAGE);
    KT_EQUAL(file_read_all(file, other, sizeof other, 0), 3 * PAGE);
    for (unsigned i = 0; i < 3 * PAGE; i++) KT_EQUAL(other[i], 0);
    memset(buffer, 'z', sizeof buffer);
    KT_EQUAL(file_write_all(file, buffer, 3 * PAGE, 0), 3 * PAGE);
    KT_OK(kpio_file_allocate(file, KPIO_ALLOCATE_ZERO_RANGE, 100, PAGE));
    KT_EQUAL(file_read_all(file, other, sizeof other, 0), 3 * PAGE);
    for (unsigned i = 0; i < 3 * PAGE; i++) KT_EQUAL(other[i], i >= 100 && i < 100 + PAGE ? 0 : 'z');
    KT_ERROR(kpio_file_allocate(file, KPIO_ALLOCATE_PUNCH_HOLE, 0, 1), EINVAL);
    KT_ERROR(kpio_file_allocate(file, 0, 0, 0), EINVAL);
    KT_ERROR(kpio_file_allocate(file, 0, UINT64_MAX, 1), EINVAL);
    KT_ERROR(kpio_file_allocate(file, 0, 1ull << 62, 1ull << 62), EFBIG);
    kt_close(file);
    fs_end();
}

KT_TEST(synced_files) {
    kpio_handle dir = fs_begin();
    kpio_handle file = fs_create(dir, "file");
    KT_EQUAL(file_write_all(file, "data", 4, 0), 4);
    KT_OK(kpio_file_sync(file, 0));
    KT_OK(kpio_file_sync(file, KPIO_SYNC_DATA));
    KT_ERROR(kpio_file_sync(file, 8), EINVAL);
    KT_EQUAL(kpio_file_write(file, (const uint8_t *)"x", 1, 4, KPIO_WRITE_SYNC), 1);
    KT_OK(kpio_file_sync(dir, 0));
    KT_OK(kpio_fs_sync(dir));
    KT_OK(kpio_fs_sync(0));
    KT_OK(kpio_file_advise(file, 0, 0, KPIO_ADVICE_DROP));
    kt_close(file);
    fs_expect_text(dir, "file", "datax");
    fs_end();
}
