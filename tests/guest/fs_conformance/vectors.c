// Several pieces of memory at once, copies from file to file, and names for files that had none.
#include "tests/guest/fs_conformance/fs.h"
#include "tests/guest/kt/balance.h"

#define PAGE 4096u
#define CURRENT KPIO_OFFSET_CURRENT
static uint8_t data[6 * PAGE], got[6 * PAGE];
static struct kpio_io_vector parts[KPIO_IO_VECTORS_MAX + 1];

static struct kpio_io_vector piece(const void *at, uint64_t size) { return (struct kpio_io_vector){(uint64_t)at, size}; }
static void fill(void) {
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)kt_random();
    memset(got, 0, sizeof got);
}

// ---- vectors -------------------------------------------------------------------------------------------------------------

KT_TEST(pieces_of_a_file) {
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file");
    fill();
    parts[0] = piece(data, 5000);
    parts[1] = piece(NULL, 0);
    parts[2] = piece(data + 5000, 3);
    parts[3] = piece(data + 5003, 4997);
    KT_EQUAL(kpio_file_write_vector(file, parts, 4, CURRENT, 0), 10000);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_CURRENT), 10000);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_SET), 0);
    parts[0] = piece(got, 1);
    parts[1] = piece(got + 1, 8191);
    parts[2] = piece(got + 8192, PAGE);
    KT_EQUAL(kpio_file_read_vector(file, parts, 3, CURRENT, 0), 10000);  // short at the end
    KT_EQUAL(memcmp(got, data, 10000), 0);
    KT_EQUAL(kpio_file_read_vector(file, parts, 3, CURRENT, 0), 0);
    KT_EQUAL(kpio_file_read_vector(file, parts, 2, 9990, 0), 10);
    KT_EQUAL(memcmp(got, data + 9990, 10), 0);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_CURRENT), 10000);
    parts[0] = piece(data, 4);
    parts[1] = piece(data + 4, 4);
    KT_EQUAL(kpio_file_write_vector(file, parts, 2, 0, KPIO_WRITE_APPEND), 8);
    KT_EQUAL(fs_stat(dir, "file").size, 10008);
    KT_EQUAL(file_read_all(file, got, 8, 10000), 8);
    KT_EQUAL(memcmp(got, data, 8), 0);
    for (unsigned i = 0; i <= KPIO_IO_VECTORS_MAX; i++) parts[i] = piece(data + i * 5, 5);
    KT_EQUAL(kpio_file_write_vector(file, parts, KPIO_IO_VECTORS_MAX, 0, 0), 5 * KPIO_IO_VECTORS_MAX);
    KT_EQUAL(file_read_all(file, got, 5 * KPIO_IO_VECTORS_MAX, 0), 5 * KPIO_IO_VECTORS_MAX);
    KT_EQUAL(memcmp(got, data, 5 * KPIO_IO_VECTORS_MAX), 0);
    KT_ERROR(kpio_file_write_vector(file, parts, KPIO_IO_VECTORS_MAX + 1, 0, 0), EINVAL);
    KT_EQUAL(kpio_file_write_vector(file, NULL, 0, 0, 0), 0);
    kt_close(file);
    fs_end();
}

KT_TEST(bad_pieces_of_a_file) {
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file"), reader = fs_open(dir, "file", 0, KPIO_RIGHT_READ);
    fill();
    parts[0] = piece(data, 100);
    parts[1] = piece(KT_KERNEL_ADDRESS, 10);
    KT_ERROR(kpio_file_write_vector(file, parts, 2, 0, 0), EFAULT);
    KT_EQUAL(fs_stat(dir, "file").size, 0);
    parts[1] = piece(data, INT64_MAX);
    KT_ERROR(kpio_file_write_vector(file, parts, 2, 0, 0), EINVAL);
    parts[1] = piece(KT_UNMAPPED_ADDRESS, 10);
    KT_EQUAL(kpio_file_write_vector(file, parts, 2, 0, 0), 100);  // what came before it
    KT_ERROR(kpio_file_read_vector(file, parts + 1, 1, 0, 0), EFAULT);
    KT_ERROR(kpio_file_read_vector(file, KT_UNMAPPED_ADDRESS, 3, 0, 0), EFAULT);
    KT_ERROR(kpio_file_read_vector(file, parts, 1, -2, 0), EINVAL);
    KT_ERROR(kpio_file_read_vector(file, parts, 1, -2, KPIO_READ_NOWAIT), EINVAL);
    KT_ERROR(kpio_file_read_vector(file, parts, 1, 0, 2), EINVAL);
    KT_ERROR(kpio_file_write_vector(file, parts, 1, 0, 1u << 9), EINVAL);
    KT_ERROR(kpio_file_write_vector(reader, parts, 1, 0, 0), EACCES);
    KT_ERROR(kpio_file_read_vector(kt_job(), parts, 1, 0, 0), EWRONGTYPE);
    KT_ERROR(kpio_file_read_vector(0, parts, 1, 0, 0), EBADF);
    kt_close(reader);
    kt_close(file);
    fs_end();
}

// Only what is in memory: all of a file that was just written, nothing once it is dropped. A driver is not asked.
KT_TEST(pieces_without_waiting) {
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file");
    fill();
    KT_EQUAL(kpio_file_write(file, data, 10000, 0, 0), 10000);
    parts[0] = piece(got, 1);
    parts[1] = piece(got + 1, 10001);
    int64_t moved = kpio_file_read_vector(file, parts, 2, 0, KPIO_READ_NOWAIT);
    if (moved != -EAGAIN) {
        KT_EQUAL(moved, 10000);
        KT_EQUAL(memcmp(got, data, 10000), 0);
        KT_EQUAL(kpio_file_read_vector(file, parts, 2, 10000, KPIO_READ_NOWAIT), 0);
        KT_EQUAL(kpio_file_seek(file, 9000, KPIO_SEEK_SET), 9000);
        KT_EQUAL(kpio_file_read_vector(file, parts, 2, CURRENT, KPIO_READ_NOWAIT), 1000);
        KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_CURRENT), 10000);
    } else KT_CHECK(strcmp(fs_type(), "fuse") == 0);
    KT_EQUAL(kpio_file_sync(file, 0), 0);
    KT_EQUAL(kpio_file_advise(file, 0, 0, KPIO_ADVICE_DROP), 0);
    moved = kpio_file_read_vector(file, parts, 2, 0, KPIO_READ_NOWAIT);
    KT_CHECK(moved == -EAGAIN || strcmp(fs_type(), "tmpfs") == 0);
    kt_close(file);
    fs_end();
}

// Records of several pieces, written through one offset by many: none is torn.
static kpio_handle shared;
static int64_t write_records(void *arg) {
    uint8_t own[3][50];
    struct kpio_io_vector vector[3];
    for (unsigned i = 0; i < 3; i++) {
        memset(own[i], (int)(uint64_t)arg, 50);
        vector[i] = piece(own[i], 50);
    }
    for (unsigned i = 0; i < 20; i++)
        if (kpio_file_write_vector(shared, vector, 3, CURRENT, 0) != 150) return -1;
    return 0;
}
KT_TEST(vectors_are_whole) {
    static struct thread threads[4];
    kpio_handle dir = fs_begin();
    shared = fs_create(dir, "file");
    for (uint64_t i = 0; i < 4; i++) KT_EQUAL(thread_spawn(&threads[i], "writer", write_records, (void *)(i + 1), NULL, 0), 0);
    for (unsigned i = 0; i < 4; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    KT_EQUAL(file_read_all(shared, got, sizeof got, 0), 4 * 20 * 150);
    for (unsigned i = 0; i < 4 * 20 * 150; i++) KT_EQUAL(got[i], got[i / 150 * 150]);
    kt_close(shared);
    fs_end();
}

// ---- copies ----------------------------------------------------------------------------------------------------------------

KT_TEST(copies) {
    kpio_handle dir = fs_begin(), from = fs_create(dir, "from"), to = fs_create(dir, "to");
    fill();
    KT_EQUAL(file_write_all(from, data, sizeof data, 0), sizeof data);
    KT_EQUAL(kpio_file_copy(from, 0, to, 0, sizeof data), sizeof data);
    KT_EQUAL(file_read_all(to, got, sizeof got, 0), sizeof got);
    KT_EQUAL(memcmp(got, data, sizeof data), 0);
    KT_EQUAL(kpio_file_copy(from, 5 * PAGE + 7, to, 11, 3 * PAGE), PAGE - 7);  // short at the end
    KT_EQUAL(file_read_all(to, got, PAGE, 11), PAGE);
    KT_EQUAL(memcmp(got, data + 5 * PAGE + 7, PAGE - 7), 0);
    KT_EQUAL(kpio_file_copy(from, sizeof data, to, 0, 10), 0);
    KT_EQUAL(kpio_file_copy(from, 0, to, 0, 0), 0);
    KT_EQUAL(kpio_file_seek(from, 10, KPIO_SEEK_SET), 10);
    KT_EQUAL(kpio_file_seek(to, 20, KPIO_SEEK_SET), 20);
    KT_EQUAL(kpio_file_copy(from, CURRENT, to, CURRENT, 100), 100);
    KT_EQUAL(kpio_file_seek(from, 0, KPIO_SEEK_CURRENT), 110);
    KT_EQUAL(kpio_file_seek(to, 0, KPIO_SEEK_CURRENT), 120);
    KT_EQUAL(file_read_all(to, got, 100, 20), 100);
    KT_EQUAL(memcmp(got, data + 10, 100), 0);
    kt_close(from);
    kt_close(to);
    fs_end();
}

KT_TEST(copies_within_a_file) {
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file"), again = fs_open(dir, "file", 0, RW);
    fill();
    KT_EQUAL(file_write_all(file, data, 1000, 0), 1000);
    KT_EQUAL(kpio_file_copy(file, 0, again, 500, 500), 500);
    KT_EQUAL(file_read_all(file, got, 1000, 0), 1000);
    KT_CHECK(memcmp(got, data, 500) == 0 && memcmp(got + 500, data, 500) == 0);
    KT_ERROR(kpio_file_copy(file, 0, file, 100, 200), EINVAL);
    KT_ERROR(kpio_file_copy(file, 100, again, 0, 101), EINVAL);
    KT_EQUAL(kpio_file_seek(file, 0, KPIO_SEEK_SET), 0);
    KT_ERROR(kpio_file_copy(file, CURRENT, file, CURRENT, 1), EINVAL);
    KT_EQUAL(kpio_file_copy(file, 0, file, 1000, 500), 500);
    KT_EQUAL(fs_stat(dir, "file").size, 1500);
    kt_close(again);
    kt_close(file);
    fs_end();
}

KT_TEST(copies_that_may_not_be) {
    kpio_handle dir = fs_begin(), file = fs_create(dir, "file"), other = fs_create(dir, "other");
    kpio_handle reader = fs_open(dir, "other", 0, KPIO_RIGHT_READ), writer = fs_open(dir, "file", 0, KPIO_RIGHT_WRITE);
    kpio_handle appends = fs_open(dir, "other", KPIO_OPEN_APPEND, RW);
    KT_ERROR(kpio_file_copy(file, 0, reader, 0, 1), EACCES);
    KT_ERROR(kpio_file_copy(writer, 0, other, 0, 1), EACCES);
    KT_ERROR(kpio_file_copy(dir, 0, other, 0, 1), EWRONGTYPE);
    KT_ERROR(kpio_file_copy(file, 0, kt_job(), 0, 1), EWRONGTYPE);
    KT_ERROR(kpio_file_copy(0, 0, other, 0, 1), EBADF);
    KT_ERROR(kpio_file_copy(file, -2, other, 0, 1), EINVAL);
    KT_ERROR(kpio_file_copy(file, 0, other, INT64_MIN, 1), EINVAL);
    KT_ERROR(kpio_file_copy(file, 1, other, 0, INT64_MAX), EINVAL);
    KT_ERROR(kpio_file_copy(file, 0, appends, 0, 1), EINVAL);
    kt_close(appends);
    kt_close(writer);
    kt_close(reader);
    kt_close(other);
    kt_close(file);
    fs_end();
}

static kpio_handle crossed[2];
static int64_t copy_across(void *arg) {
    unsigned mine = (unsigned)(uint64_t)arg;
    for (unsigned i = 0; i < 100; i++) {
        (void)kpio_file_seek(crossed[mine], 0, KPIO_SEEK_SET);
        int64_t n = kpio_file_copy(crossed[mine], CURRENT, crossed[!mine], CURRENT, 3000);
        if (n < 0) return n;
    }
    return 0;
}
KT_TEST(copies_in_both_directions) {
    static struct thread threads[2];
    kpio_handle dir = fs_begin();
    fill();
    for (unsigned i = 0; i < 2; i++) {
        crossed[i] = fs_create(dir, i == 0 ? "a" : "b");
        KT_EQUAL(file_write_all(crossed[i], data, 3000, 0), 3000);
    }
    for (uint64_t i = 0; i < 2; i++) KT_EQUAL(thread_spawn(&threads[i], "copier", copy_across, (void *)i, NULL, 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    for (unsigned i = 0; i < 2; i++) kt_close(crossed[i]);
    fs_end();
}

// ---- a first name ------------------------------------------------------------------------------------------------------------

KT_TEST(a_temporary_file_gets_a_name) {
    kpio_handle dir = fs_begin();
    if (!fs_has_links()) {
        fs_end();
        kt_skip("no links here");
    }
    if (!fs_names_deleted()) {
        fs_end();
        kt_skip("the host gives a file that was deleted no name again");
    }
    for (unsigned i = 0; i < 3; i++) {  // some on either side of it, where nameless files are listed
        kpio_handle before = fs_open(dir, ".", KPIO_OPEN_TEMPORARY, RW), file = fs_open(dir, ".", KPIO_OPEN_TEMPORARY, RW);
        kpio_handle after = fs_open(dir, ".", KPIO_OPEN_TEMPORARY, RW);
        KT_EQUAL(file_write_all(file, "data", 4, 0), 4);
        struct kpio_stat stat;
        KT_EQUAL(kpio_path_stat(file, NULL, 0, &stat), 0);
        KT_EQUAL(stat.links, 0);
        KT_OK(kpio_path_link(file, NULL, dir, "named", 0));
        KT_EQUAL(kpio_path_stat(file, NULL, 0, &stat), 0);
        KT_EQUAL(stat.links, 1);
        KT_EQUAL(stat.flags & KPIO_STAT_DELETED, 0);
        KT_OK(kpio_path_link(file, NULL, dir, "twin", 0));
        kt_close(i == 0 ? before : after);
        kt_close(file);
        kt_close(i == 0 ? after : before);
        KT_EQUAL(fs_stat(dir, "named").links, 2);
        KT_EQUAL(fs_stat(dir, "named").size, 4);
        KT_OK(kpio_fs_sync(dir));
        KT_OK(kpio_path_unlink(dir, "twin", 0));
        file = fs_open(dir, "named", 0, RW);
        KT_EQUAL(file_read_all(file, got, 10, 0), 4);
        KT_EQUAL(memcmp(got, "data", 4), 0);
        KT_OK(kpio_path_unlink(dir, "named", 0));
        KT_ERROR(kpio_path_link(file, NULL, dir, "back", 0), ENOENT);  // that one was deleted
        kt_close(file);
    }
    kpio_handle never = fs_open(dir, ".", KPIO_OPEN_TEMPORARY | KPIO_OPEN_EXCLUSIVE, RW);
    KT_ERROR(kpio_path_link(never, NULL, dir, "named", 0), ENOENT);
    kt_close(never);
    KT_EQUAL(fs_count(dir), 2);
    fs_end();
}

enum { NAMELESS = 20000 };

// What is made for it goes with it; no name stays in memory that nobody will ask for.
KT_TEST(nameless_files_leave_nothing) {
    struct kt_balance before, after;
    char reason[160];
    if (strcmp(fs_type(), "tmpfs") != 0) kt_skip("inodes of other file systems stay in memory for a while");
    kpio_handle dir = fs_begin();
    kt_close(fs_open(dir, ".", KPIO_OPEN_TEMPORARY, RW));
    kt_balance_take(&before);
    for (unsigned i = 0; i < NAMELESS; i++) kt_close(fs_open(dir, ".", KPIO_OPEN_TEMPORARY, RW));
    const uint64_t until = kt_soon();
    for (;;) {  // memory comes back a while after the last handle
        kt_balance_take(&after);
        if (kt_balance_equal(&before, &after, reason, sizeof reason)) break;
        if (time_now() >= until) kt_fail(__FILE__, __LINE__, "%s", reason);
        time_sleep_ms(10);
    }
    fs_end();
}
