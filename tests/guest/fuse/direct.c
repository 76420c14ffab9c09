// Data that pass by the cache: between the memory of the driver's process and the caller's, whatever that is.
#include "tests/guest/fuse/fuse.h"

#define PAGE 4096u
#define FILE_BYTES (3u << 20)

static const char *const direct[] = {"direct", "1", NULL};

static uint8_t pattern(uint64_t at) { return (uint8_t)(at * 31 + (at >> 8) * 7 + 1); }

static uint8_t *map(kpio_handle vmo, uint64_t pages, uint32_t flags, uint64_t at) {
    int64_t address = kpio_aspace_map(kt_aspace(), vmo, 0, pages * PAGE, flags, at);
    if (address < 0) kt_fail(__FILE__, __LINE__, "map: %s", error_name(address));
    return (uint8_t *)address;
}
static void unmap(void *at, uint64_t pages) { KT_OK(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, pages * PAGE)); }
static uint8_t *fresh(uint64_t pages) { return map(0, pages, KPIO_MAP_ANONYMOUS | KPIO_MAP_READ | KPIO_MAP_WRITE, 0); }

static bool is_pattern(const uint8_t *data, uint64_t offset, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i++)
        if (data[i] != pattern(offset + i)) return false;
    return true;
}

static kpio_handle begin(struct mounted *m) {
    mounted_begin(m, direct, NULL);
    kpio_handle file = open_file(m->root, "file", KPIO_OPEN_CREATE, RW);
    uint8_t *data = fresh(FILE_BYTES / PAGE);
    for (uint32_t i = 0; i < FILE_BYTES; i++) data[i] = pattern(i);
    KT_EQUAL(kpio_file_write(file, data, FILE_BYTES, 0, 0), FILE_BYTES);
    unmap(data, FILE_BYTES / PAGE);
    return file;
}
static void end(struct mounted *m, kpio_handle file) {
    kt_close(file);
    mounted_end(m);
}

KT_TEST(direct_reads_of_any_size_and_place) {
    static const uint32_t sizes[] = {1, 8, 4095, 4096, 4097, 65536, 65537, 1 << 20, (1 << 20) + 5, (2 << 20) + 4097};
    struct mounted m;
    kpio_handle file = begin(&m);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (uint32_t shift = 0; shift < PAGE; shift += 1361) {
            uint64_t pages = sizes[i] / PAGE + 3, offset = (uint64_t)shift * 7 % 9000;
            uint8_t *to = fresh(pages);  // never touched
            KT_EQUAL(kpio_file_read(file, to + shift, sizes[i], (int64_t)offset), sizes[i]);
            KT_CHECK(is_pattern(to + shift, offset, sizes[i]));
            for (uint32_t at = 0; at < shift; at++) KT_EQUAL(to[at], 0);
            for (uint64_t at = shift + sizes[i]; at < pages * PAGE; at++) KT_EQUAL(to[at], 0);
            unmap(to, pages);
        }
    }
    // The end of the file.
    uint8_t *to = fresh(2);
    KT_EQUAL(kpio_file_read(file, to, 2 * PAGE, FILE_BYTES - 100), 100);
    KT_CHECK(is_pattern(to, FILE_BYTES - 100, 100));
    KT_EQUAL(kpio_file_read(file, to, 2 * PAGE, FILE_BYTES), 0);
    unmap(to, 2);
    end(&m, file);
}

KT_TEST(direct_writes_of_any_size_and_place) {
    struct mounted m;
    kpio_handle file = begin(&m);
    uint8_t *from = fresh(300), *to = fresh(300);
    for (uint32_t i = 0; i < 300 * PAGE; i++) from[i] = (uint8_t)(i * 13 + (i >> 9));
    for (uint32_t bytes = 1; bytes < 290 * PAGE; bytes = bytes * 3 + 1) {
        uint32_t shift = bytes * 5 % 9001;
        KT_EQUAL(kpio_file_write(file, from + shift, bytes, bytes, 0), bytes);
        KT_EQUAL(kpio_file_read(file, to, bytes, bytes), bytes);
        KT_CHECK(memcmp(from + shift, to, bytes) == 0);
    }
    // What was never touched is zero.
    uint8_t *untouched = fresh(4);
    KT_EQUAL(kpio_file_write(file, untouched, 4 * PAGE, 0, 0), 4 * PAGE);
    KT_EQUAL(kpio_file_read(file, to, 4 * PAGE, 0), 4 * PAGE);
    for (uint32_t i = 0; i < 4 * PAGE; i++) KT_EQUAL(to[i], 0);
    unmap(untouched, 4);
    unmap(from, 300);
    unmap(to, 300);
    end(&m, file);
}

KT_TEST(direct_reads_respect_what_memory_allows) {
    struct mounted m;
    kpio_handle file = begin(&m);
    uint8_t *to = fresh(4);
    KT_OK(kpio_aspace_protect(kt_aspace(), (uint64_t)to, PAGE, KPIO_MAP_READ));
    KT_ERROR(kpio_file_read(file, to, 100, 0), EFAULT);
    KT_EQUAL(to[0], 0);
    KT_ERROR(kpio_file_read(file, KT_UNMAPPED_ADDRESS, 100, 0), EFAULT);
    KT_ERROR(kpio_file_read(file, KT_KERNEL_ADDRESS, 100, 0), EFAULT);
    KT_ERROR(kpio_file_write(file, KT_UNMAPPED_ADDRESS, 100, 0, 0), EFAULT);
    KT_EQUAL(kpio_file_write(file, to, 100, 100, 0), 100);  // what can be read can be written from
    // A hole in the middle: what lies before it may have come.
    KT_OK(kpio_aspace_unmap(kt_aspace(), (uint64_t)to + 2 * PAGE, PAGE));
    int64_t n = kpio_file_read(file, to + PAGE, 3 * PAGE, 4096);
    KT_CHECK(n == -EFAULT || (n > 0 && n <= PAGE && is_pattern(to + PAGE, 4096, (uint64_t)n)));
    KT_EQUAL(to[3 * PAGE], 0);
    unmap(to, 2);
    unmap(to + 3 * PAGE, 1);
    end(&m, file);
}

KT_TEST(direct_reads_over_several_mappings) {
    struct mounted m;
    kpio_handle file = begin(&m);
    kpio_handle a = KT_HANDLE(kpio_vmo_create(3 * PAGE, 0)), b = KT_HANDLE(kpio_vmo_create(64 * PAGE, 0));
    uint8_t *to = fresh(80);
    (void)map(a, 3, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, (uint64_t)to + 5 * PAGE);
    (void)map(b, 64, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, (uint64_t)to + 8 * PAGE);
    KT_EQUAL(kpio_file_read(file, to + 77, 75 * PAGE, 1234), 75 * PAGE);
    KT_CHECK(is_pattern(to + 77, 1234, 75 * PAGE));
    uint8_t word[8];
    KT_EQUAL(kpio_vmo_read(b, PAGE, word, 8), 8);
    KT_CHECK(memcmp(word, to + 9 * PAGE, 8) == 0);
    unmap(to, 80);
    kt_close(a);
    kt_close(b);
    end(&m, file);
}

KT_TEST(direct_reads_leave_copies_alone) {
    struct mounted m;
    kpio_handle file = begin(&m);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(8 * PAGE, 0));
    uint8_t *old = map(vmo, 8, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    memset(old, 0x5a, 8 * PAGE);
    for (uint32_t mode = KPIO_CLONE_SNAPSHOT; mode <= KPIO_CLONE_OVERLAY; mode++) {
        kpio_handle copy = KT_HANDLE(kpio_vmo_clone(vmo, mode, 0, 8 * PAGE));
        uint8_t *to = map(copy, 8, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
        for (uint32_t i = 0; i < 4; i++) KT_EQUAL(to[i * PAGE], 0x5a);  // shown, not its own
        KT_EQUAL(kpio_file_read(file, to + 10, 7 * PAGE, 99), 7 * PAGE);
        KT_CHECK(is_pattern(to + 10, 99, 7 * PAGE));
        KT_EQUAL(to[9], 0x5a);
        KT_EQUAL(to[7 * PAGE + 10], 0x5a);
        for (uint32_t i = 0; i < 8 * PAGE; i++) KT_EQUAL(old[i], 0x5a);
        unmap(to, 8);
        kt_close(copy);
    }
    unmap(old, 8);
    kt_close(vmo);
    end(&m, file);
}

KT_TEST(direct_reads_into_large_pages) {
    struct mounted m;
    kpio_handle file = begin(&m);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4u << 20, KPIO_VMO_LARGE));
    uint8_t *to = map(vmo, (4u << 20) / PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    KT_EQUAL(kpio_file_read(file, to + (1 << 20) + 3, 2 << 20, 17), 2 << 20);
    KT_CHECK(is_pattern(to + (1 << 20) + 3, 17, 2 << 20));
    KT_EQUAL(to[(1 << 20) + 2], 0);
    unmap(to, (4u << 20) / PAGE);
    kt_close(vmo);
    end(&m, file);
}

// The driver is asked for a page of the very mapping that it is to fill.
KT_TEST(direct_reads_into_a_mapped_file_of_the_mount) {
    static const char *const cached[] = {"valid_ms", "1000", NULL};
    struct mounted m, other;
    kpio_handle file = begin(&m);
    mounted_begin(&other, cached, NULL);
    KT_OK(file_save(other.root, "mapped", "some text", 9));
    kpio_handle mapped = open_file(other.root, "mapped", 0, RW);
    KT_OK(kpio_file_resize(mapped, 4 * PAGE));
    kpio_handle vmo = KT_HANDLE(kpio_file_vmo(mapped, RW));
    uint8_t *to = map(vmo, 4, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    KT_EQUAL(kpio_file_read(file, to + 5, 3 * PAGE, 40), 3 * PAGE);
    KT_CHECK(is_pattern(to + 5, 40, 3 * PAGE));
    KT_EQUAL(kpio_file_write(file, to, 4 * PAGE, 0, 0), 4 * PAGE);
    KT_OK(kpio_file_sync(mapped, 0));
    uint8_t back[64];
    KT_EQUAL(kpio_file_read(mapped, back, 64, 5), 64);
    KT_CHECK(is_pattern(back, 40, 64));
    unmap(to, 4);
    kt_close(vmo);
    kt_close(mapped);
    mounted_end(&other);
    end(&m, file);
}

// ---- memory that goes away meanwhile ---------------------------------------------------------------------------------------

static uint8_t *moving;
static volatile bool stop;

static int64_t replace_on(void *arg) {
    const uint32_t flags = KPIO_MAP_ANONYMOUS | KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED;
    while (!stop) (void)kpio_aspace_map(kt_aspace(), 0, 0, 64 * PAGE, flags, (uint64_t)moving);
    return 0;
}

KT_TEST(direct_reads_while_the_memory_is_replaced) {
    struct mounted m;
    struct thread thread;
    kpio_handle file = begin(&m);
    moving = fresh(64);
    stop = false;
    KT_EQUAL(thread_spawn(&thread, "replaces", replace_on, NULL, NULL, 0), 0);
    for (unsigned i = 0; i < (kt_long() ? 20000 : 300); i++) KT_EQUAL(kpio_file_read(file, moving + 3, 60 * PAGE, i), 60 * PAGE);
    stop = true;
    KT_EQUAL(thread_join(&thread, NULL), 0);
    KT_EQUAL(kpio_file_read(file, moving + 3, 60 * PAGE, 5), 60 * PAGE);
    KT_CHECK(is_pattern(moving + 3, 5, 60 * PAGE));
    unmap(moving, 64);
    end(&m, file);
}
