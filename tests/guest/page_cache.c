// The page cache under an ext4 volume: vda, 256 MiB, made by mkfs.ext4 (tests/system/suites.py). Read, write and mappings are
// one thing; files larger than memory; pages that come and go while they are mapped.
#include "abi/fs.h"
#include "lib/fmt.h"
#include "lib/string.h"
#include "tests/guest/kt/kt.h"
#include "user/libkpio/file.h"

enum { PAGE = 4096, MIB = 1 << 20, RW = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE };

static uint8_t buffer[64 << 10] __attribute__((aligned(PAGE)));

static kpio_handle volume(void) {
    kpio_handle disk = KT_HANDLE(kpio_disk_open(kt_system(), (const uint8_t *)"vda", 3));
    uint64_t until = kt_soon();
    int64_t root;
    while ((root = kpio_fs_mount("ext4", disk, 0, NULL)) == -EBUSY && time_now() < until) time_sleep_ms(2);
    kt_close(disk);
    return KT_HANDLE(root);
}

static kpio_handle create(kpio_handle root, const char *name) {
    return KT_HANDLE(file_open(root, name, KPIO_OPEN_CREATE | KPIO_OPEN_TRUNCATE, RW));
}

static uint8_t value_at(uint64_t offset, uint64_t seed) { return (uint8_t)(offset * 7 + (offset >> 12) * 31 + seed); }

static void write_pattern(kpio_handle file, uint64_t from, uint64_t to, uint64_t seed) {
    while (from < to) {
        size_t n = to - from < sizeof(buffer) ? to - from : sizeof(buffer);
        for (size_t i = 0; i < n; i++) buffer[i] = value_at(from + i, seed);
        KT_EQUAL(kpio_file_write(file, buffer, n, (int64_t)from, 0), n);
        from += n;
    }
}
static void expect_pattern(kpio_handle file, uint64_t from, uint64_t to, uint64_t seed) {
    while (from < to) {
        size_t n = to - from < sizeof(buffer) ? to - from : sizeof(buffer);
        KT_EQUAL(kpio_file_read(file, buffer, n, (int64_t)from), n);
        for (size_t i = 0; i < n; i++)
            if (buffer[i] != value_at(from + i, seed)) kt_fail(__FILE__, __LINE__, "byte %lu is wrong", (unsigned long)(from + i));
        from += n;
    }
}

static volatile uint8_t *map(kpio_handle file, uint64_t size, unsigned prot) {
    uint32_t rights = KPIO_RIGHT_READ | (prot & KPIO_MAP_WRITE ? KPIO_RIGHT_WRITE : 0);
    kpio_handle vmo = KT_HANDLE(kpio_file_vmo(file, rights));
    int64_t address = KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, size, prot, 0));
    kt_close(vmo);  // the mapping stays
    return (volatile uint8_t *)address;
}
static void unmap(volatile uint8_t *at, uint64_t size) { KT_OK(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, size)); }

KT_TEST_FLAGS(written_bytes_are_read_again_cold, KT_LEAKY) {  // what is cached is no leak
    kpio_handle root = volume(), file = create(root, "cold");
    write_pattern(file, 0, 3 * MIB + 1234, 1);
    KT_OK(kpio_file_sync(file, 0));
    for (unsigned i = 0; i < 3; i++) {
        KT_OK(kpio_file_advise(file, 0, 0, KPIO_ADVICE_DROP));
        expect_pattern(file, 0, 3 * MIB + 1234, 1);
    }
    for (uint64_t at = 5; at < 3 * MIB; at += 300007) expect_pattern(file, at, at + 100, 1);
    kt_close(file);
    kt_close(root);
}

KT_TEST_FLAGS(a_mapping_is_the_file, KT_LEAKY) {
    kpio_handle root = volume(), file = create(root, "mapped");
    write_pattern(file, 0, 40 * PAGE, 2);
    volatile uint8_t *at = map(file, 40 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE);
    for (uint64_t i = 0; i < 40 * PAGE; i += 501) KT_EQUAL(at[i], value_at(i, 2));
    at[5 * PAGE + 3] = 99;
    KT_EQUAL(kpio_file_read(file, buffer, 8, 5 * PAGE), 8);
    KT_EQUAL(buffer[3], 99);
    KT_OK(kpio_file_sync(file, 0));
    at[5 * PAGE + 4] = 98;  // after write-back it is noticed again
    KT_OK(kpio_file_sync(file, 0));
    KT_OK(kpio_file_advise(file, 0, 0, KPIO_ADVICE_DROP));
    KT_EQUAL(at[5 * PAGE + 3], 99);
    KT_EQUAL(at[5 * PAGE + 4], 98);
    buffer[0] = 97;
    KT_EQUAL(kpio_file_write(file, buffer, 1, 7 * PAGE, 0), 1);
    KT_EQUAL(at[7 * PAGE], 97);
    // A read of the file into its own mapping.
    KT_EQUAL(kpio_file_read(file, (void *)(at + 20 * PAGE), 3 * PAGE, 5 * PAGE), 3 * PAGE);
    KT_EQUAL(at[20 * PAGE + 4], 98);
    unmap(at, 40 * PAGE);
    kt_close(file);
    kt_close(root);
}

// What msync promises: nothing is left to be written back (what is clean may leave memory), and a hole is told of.
#define WRITTEN_BACK_NS 4000000000ull  // what is older may have been written without being asked for

KT_TEST_FLAGS(a_mapping_is_made_durable, KT_LEAKY) {
    kpio_handle root = volume(), file = create(root, "synced");
    write_pattern(file, 0, 8 * PAGE, 5);
    KT_OK(kpio_file_sync(file, 0));
    volatile uint8_t *at = map(file, 8 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE);
    uint64_t start, hang = kt_soon();
    do {
        start = time_now();
        at[2 * PAGE] = 22;
        at[3 * PAGE] = 33;
        KT_OK(kpio_aspace_advise(kt_aspace(), (uint64_t)at + 3 * PAGE, PAGE, KPIO_ADVISE_SYNC));
        KT_OK(kpio_file_advise(file, 0, 0, KPIO_ADVICE_DROP));
        KT_EQUAL(kpio_aspace_residency(kt_aspace(), (uint64_t)at, buffer, 8), 0);
    } while (buffer[2] == 0 && time_now() - start > WRITTEN_BACK_NS && time_now() < hang);
    KT_EQUAL(buffer[2], 1);
    KT_EQUAL(buffer[3], 0);
    KT_EQUAL(at[3 * PAGE], 33);
    KT_EQUAL(kpio_aspace_residency(kt_aspace(), (uint64_t)at + 3 * PAGE, buffer, 1), 0);
    KT_EQUAL(buffer[0], 1);
    unmap(at + 4 * PAGE, PAGE);
    KT_ERROR(kpio_aspace_advise(kt_aspace(), (uint64_t)at, 8 * PAGE, KPIO_ADVISE_SYNC), ENOMEM);
    unmap(at, 8 * PAGE);
    kt_close(file);
    kt_close(root);
}

KT_TEST_FLAGS(a_mapping_outlives_its_file_and_name, KT_LEAKY) {
    kpio_handle root = volume(), file = create(root, "gone");
    write_pattern(file, 0, 8 * PAGE, 3);
    volatile uint8_t *at = map(file, 8 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE);
    kt_close(file);
    KT_OK(kpio_path_unlink(root, "gone", 0));
    KT_OK(kpio_fs_sync(root));
    for (uint64_t i = 0; i < 8 * PAGE; i += 100) KT_EQUAL(at[i], value_at(i, 3));
    at[0] = 1;
    unmap(at, 8 * PAGE);
    KT_OK(kpio_fs_sync(root));
    kt_close(root);
}

KT_TEST_FLAGS(truncation_takes_pages_out_of_mappings, KT_LEAKY) {
    kpio_handle root = volume(), file = create(root, "short");
    write_pattern(file, 0, 16 * PAGE, 4);
    volatile uint8_t *at = map(file, 16 * PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE);
    for (uint64_t i = 0; i < 16 * PAGE; i += PAGE) at[i + 1] = 5;
    KT_OK(kpio_file_resize(file, 2 * PAGE + 100));
    KT_EQUAL(at[2 * PAGE + 200], 0);
    uint8_t byte;
    KT_ERROR(kpio_file_write(file, (const void *)(at + 3 * PAGE), 1, 0, 0), EFAULT);
    KT_OK(kpio_file_resize(file, 16 * PAGE));
    KT_EQUAL(kpio_file_read(file, &byte, 1, 3 * PAGE + 1), 1);
    KT_EQUAL(byte, 0);
    KT_EQUAL(at[3 * PAGE + 1], 0);
    unmap(at, 16 * PAGE);
    kt_close(file);
    kt_close(root);
}

KT_TEST_FLAGS(a_file_larger_than_memory, KT_LEAKY) {
    uint64_t size = kt_setting("mib", 64) <= 64 ? 100ul * MIB : 8 * MIB;
    kpio_handle root = volume(), file = create(root, "large");
    write_pattern(file, 0, size, 6);
    expect_pattern(file, 0, size, 6);
    for (uint64_t at = size; at > MIB; at -= 1000003) {
        expect_pattern(file, at - 1000, at, 6);
        if (at < 2 * MIB) break;
    }
    kt_close(file);
    KT_OK(kpio_path_unlink(root, "large", 0));
    kt_close(root);
}

// Memory for programs comes out of the cache.
KT_TEST_FLAGS(the_cache_gives_way, KT_LEAKY) {
    uint64_t size = kt_setting("mib", 64) <= 64 ? 24ul * MIB : 8 * MIB;
    kpio_handle root = volume(), file = create(root, "filler");
    write_pattern(file, 0, 60ul * MIB, 7);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(size, 0));
    uint64_t address = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, size, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    for (uint64_t i = 0; i < size; i += PAGE) *(volatile uint64_t *)(address + i) = i;
    for (uint64_t i = 0; i < size; i += PAGE) KT_EQUAL(*(volatile uint64_t *)(address + i), i);
    expect_pattern(file, 0, 10 * MIB, 7);
    KT_OK(kpio_aspace_unmap(kt_aspace(), address, size));
    kt_close(vmo);
    kt_close(file);
    KT_OK(kpio_path_unlink(root, "filler", 0));
    kt_close(root);
}
