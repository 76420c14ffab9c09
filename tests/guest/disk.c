// Disks and partitions, raw. The machine has (tests/system/suites.py):
//   vda  64 MiB, GPT: vda1 20,480 sectors from 2,048, vda2 40,960 from 22,528
//   vdb  1 MiB, read-only; each sector begins with its number
//   vdc  16 MiB; writes of sector 1,000, reads of sector 2,000 and every flush fail
//   vdd  8 MiB of 4,096-byte blocks, MBR: vdd1 8,192 sectors from 2,048, and an extended partition that is left alone
//   vde  4 MiB, one queue, a GPT whose primary header is damaged: vde1 1,024 sectors from 64
#include "lib/string.h"
#include "lib/util.h"
#include "tests/guest/kt/driver.h"

static uint8_t page[8192] __attribute__((aligned(4096)));
static uint8_t large[256 << 10] __attribute__((aligned(4096)));

static int64_t disk_try(kpio_handle system, const char *name) {
    return kpio_disk_open(system, (const uint8_t *)name, strlen(name));
}
static kpio_handle disk_open(const char *name) { return KT_HANDLE(disk_try(kt_system(), name)); }

static void fill(uint8_t *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i++) data[i] = (uint8_t)(seed * 7 + i * 13 + (i >> 9));
}
static bool is_filled(const uint8_t *data, size_t size, uint64_t seed) {
    for (size_t i = 0; i < size; i++)
        if (data[i] != (uint8_t)(seed * 7 + i * 13 + (i >> 9))) return false;
    return true;
}

// ---- finding ----------------------------------------------------------------------------------------------------------------

KT_TEST(disks_and_partitions_are_listed) {
    static const struct {
        const char *name, *disk;
        uint64_t sectors, first;
        uint32_t block_size, flags;
    } expected[] = {
        {"vda", "", 131072, 0, 512, 0},
        {"vda1", "vda", 20480, 2048, 512, KPIO_DISK_PARTITION},
        {"vda2", "vda", 40960, 22528, 512, KPIO_DISK_PARTITION},
        {"vdb", "", 2048, 0, 512, KPIO_DISK_READ_ONLY},
        {"vdc", "", 32768, 0, 512, 0},
        {"vdd", "", 16384, 0, 4096, 0},
        {"vdd1", "vdd", 8192, 2048, 4096, KPIO_DISK_PARTITION},
        {"vde", "", 8192, 0, 512, 0},
        {"vde1", "vde", 1024, 64, 512, KPIO_DISK_PARTITION},
    };
    struct kpio_disk_info info, again;
    for (uint32_t i = 0; i < ARRAY_SIZE(expected); i++) {
        KT_EQUAL(kpio_disk_list(kt_system(), i, &info), 0);
        if (strcmp(info.name, expected[i].name) != 0) kt_fail(__FILE__, __LINE__, "number %u is %s", i, info.name);
        KT_EQUAL(strcmp(info.disk, expected[i].disk), 0);
        KT_EQUAL(info.sectors, expected[i].sectors);
        KT_EQUAL(info.first_sector, expected[i].first);
        KT_EQUAL(info.block_size, expected[i].block_size);
        KT_EQUAL(info.flags & ~(uint32_t)KPIO_DISK_DISCARD, expected[i].flags);
        kpio_handle disk = disk_open(expected[i].name);
        KT_EQUAL(kpio_disk_info(disk, &again), 0);
        KT_EQUAL(memcmp(&info, &again, sizeof info), 0);
        kt_close(disk);
    }
    KT_ERROR(kpio_disk_list(kt_system(), ARRAY_SIZE(expected), &info), ENOENT);
    KT_ERROR(kpio_disk_list(kt_system(), UINT32_MAX, &info), ENOENT);
    KT_ERROR(kpio_disk_list(kt_system(), 0, KT_KERNEL_ADDRESS), EFAULT);
}

KT_TEST(opening_takes_right_and_name) {
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_system(), KPIO_RIGHT_INSPECT));
    KT_ERROR(disk_try(weak, "vda"), EACCES);
    kt_close(weak);
    KT_ERROR(disk_try(kt_job(), "vda"), EWRONGTYPE);
    KT_ERROR(disk_try(0, "vda"), EBADF);
    KT_ERROR(disk_try(kt_system(), "vdz"), ENOENT);
    KT_ERROR(disk_try(kt_system(), ""), ENOENT);
    KT_ERROR(disk_try(kt_system(), "vda3"), ENOENT);
    KT_ERROR(disk_try(kt_system(), "vd\n"), EINVAL);
    KT_ERROR(kpio_disk_open(kt_system(), page, 32), EINVAL);
    KT_ERROR(kpio_disk_open(kt_system(), KT_UNMAPPED_ADDRESS, 3), EFAULT);
}

KT_TEST(no_driver_gets_a_disk_of_the_kernels) {
    int64_t address = kt_device_find(0x1af4u | 0x1042u << 16, 0);
    if (address < 0) kt_skip("this machine has no PCI");
    KT_ERROR(kpio_pci_open(kt_system(), (uint64_t)address), EBUSY);
}

// ---- reading and writing ------------------------------------------------------------------------------------------------------

KT_TEST(written_data_are_read_back) {
    kpio_handle disk = disk_open("vda2");
    for (size_t size = 512; size <= sizeof large; size = size * 3 / 1024 * 512 + 512) {
        fill(large, size, size);
        KT_EQUAL(kpio_disk_write(disk, 100, large, size), size);
        memset(large, 0, sizeof large);
        KT_EQUAL(kpio_disk_read(disk, 100, large, size), size);
        KT_CHECK(is_filled(large, size, size));
    }
    KT_EQUAL(kpio_disk_read(disk, 0, large, 0), 0);
    KT_EQUAL(kpio_disk_flush(disk), 0);
    kt_close(disk);
}

KT_TEST(a_partition_is_a_part_of_its_disk) {
    kpio_handle part = disk_open("vda1"), disk = disk_open("vda");
    fill(page, 4096, 3);
    KT_EQUAL(kpio_disk_write(part, 8, page, 4096), 4096);
    memset(page, 0, sizeof page);
    KT_EQUAL(kpio_disk_read(disk, 2048 + 8, page, 4096), 4096);
    KT_CHECK(is_filled(page, 4096, 3));
    // The last sector is the partition's, the next one is not.
    KT_EQUAL(kpio_disk_read(part, 20479, page, 512), 512);
    KT_ERROR(kpio_disk_read(part, 20479, page, 1024), EINVAL);
    KT_ERROR(kpio_disk_write(part, 20480, page, 512), EINVAL);
    kt_close(part);
    kt_close(disk);
}

KT_TEST(a_vmo_serves_as_well) {
    kpio_handle disk = disk_open("vda2");
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(sizeof large, 0));
    fill(large, sizeof large, 5);
    KT_EQUAL(kpio_vmo_write(vmo, 0, large, sizeof large), sizeof large);
    KT_EQUAL(kpio_disk_write_vmo(disk, 1000, vmo, 0, sizeof large), sizeof large);
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_ZERO, 0, sizeof large), 0);
    KT_EQUAL(kpio_disk_read_vmo(disk, 1001, vmo, 512, sizeof large - 512), sizeof large - 512);
    memset(large, 0, sizeof large);
    KT_EQUAL(kpio_vmo_read(vmo, 0, large, sizeof large), sizeof large);
    KT_CHECK(large[0] == 0 && large[511] == 0);
    fill(page, 4096, 5);
    KT_EQUAL(memcmp(large + 512, page + 512, 3584), 0);
    KT_ERROR(kpio_disk_read_vmo(disk, 0, vmo, sizeof large - 512, 1024), EINVAL);
    KT_ERROR(kpio_disk_read_vmo(disk, 0, vmo, UINT64_MAX - 511, 512), EINVAL);
    KT_ERROR(kpio_disk_read_vmo(disk, 0, kt_job(), 0, 512), EWRONGTYPE);
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_disk_read_vmo(disk, 0, weak, 0, 512), EACCES);
    KT_ERROR(kpio_disk_write_vmo(disk, 0, weak, 0, 512), EACCES);
    kt_close(weak);
    kt_close(vmo);
    kt_close(disk);
}

KT_TEST(bad_places_are_refused) {
    kpio_handle disk = disk_open("vda");
    KT_ERROR(kpio_disk_read(disk, 131072, page, 512), EINVAL);
    KT_ERROR(kpio_disk_read(disk, 131071, page, 1024), EINVAL);
    KT_ERROR(kpio_disk_read(disk, UINT64_MAX, page, 512), EINVAL);
    KT_ERROR(kpio_disk_read(disk, UINT64_MAX >> 9, page, 512), EINVAL);
    KT_ERROR(kpio_disk_read(disk, 0, page, 100), EINVAL);
    KT_ERROR(kpio_disk_read(disk, 0, KT_KERNEL_ADDRESS, 512), EFAULT);
    KT_ERROR(kpio_disk_read(disk, 0, KT_UNMAPPED_ADDRESS, 512), EFAULT);
    KT_ERROR(kpio_disk_write(disk, 0, KT_UNMAPPED_ADDRESS, 512), EFAULT);
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(disk, KPIO_RIGHT_READ));
    KT_EQUAL(kpio_disk_read(reader, 0, page, 512), 512);
    KT_ERROR(kpio_disk_write(reader, 0, page, 512), EACCES);
    KT_ERROR(kpio_disk_flush(reader), EACCES);
    KT_ERROR(kpio_disk_discard(reader, 0, 8), EACCES);
    kt_close(reader);
    KT_ERROR(kpio_disk_discard(disk, 131072, 8), EINVAL);
    KT_ERROR(kpio_disk_discard(disk, 0, 0), EINVAL);
    kt_close(disk);
}

KT_TEST(a_read_only_disk_stays_as_it_is) {
    kpio_handle disk = disk_open("vdb");
    for (uint64_t sector = 0; sector < 2048; sector += 257) {
        uint64_t number;
        KT_EQUAL(kpio_disk_read(disk, sector, page, 512), 512);
        memcpy(&number, page, sizeof number);
        KT_EQUAL(number, sector);
    }
    KT_ERROR(kpio_disk_write(disk, 0, page, 512), EROFS);
    KT_ERROR(kpio_disk_discard(disk, 0, 8), EROFS);
    KT_EQUAL(kpio_disk_flush(disk), 0);
    kt_close(disk);
}

KT_TEST(large_blocks_are_the_unit) {
    kpio_handle disk = disk_open("vdd1");
    KT_ERROR(kpio_disk_read(disk, 0, page, 512), EINVAL);
    KT_ERROR(kpio_disk_read(disk, 1, page, 4096), EINVAL);
    fill(page, 8192, 9);
    KT_EQUAL(kpio_disk_write(disk, 16, page, 8192), 8192);
    memset(page, 0, sizeof page);
    KT_EQUAL(kpio_disk_read(disk, 16, page, 8192), 8192);
    KT_CHECK(is_filled(page, 8192, 9));
    kt_close(disk);
}

KT_TEST(discarded_sectors_can_be_written_again) {
    kpio_handle disk = disk_open("vda2");
    struct kpio_disk_info info;
    KT_EQUAL(kpio_disk_info(disk, &info), 0);
    fill(page, 4096, 1);
    KT_EQUAL(kpio_disk_write(disk, 2048, page, 4096), 4096);
    KT_EQUAL(kpio_disk_discard(disk, 2048, 4096), 0);
    KT_EQUAL(kpio_disk_read(disk, 2048, page, 4096), 4096);
    kt_note("the disk %s discard", info.flags & KPIO_DISK_DISCARD ? "does" : "does not do");
    fill(page, 4096, 2);
    KT_EQUAL(kpio_disk_write(disk, 2048, page, 4096), 4096);
    memset(page, 0, sizeof page);
    KT_EQUAL(kpio_disk_read(disk, 2048, page, 4096), 4096);
    KT_CHECK(is_filled(page, 4096, 2));
    kt_close(disk);
}

// ---- errors -----------------------------------------------------------------------------------------------------------------

static unsigned count_in_log(const char *text) {
    static char log[16384];
    unsigned found = 0;
    uint64_t position = 0;
    size_t length = strlen(text);
    for (int64_t got; (got = kpio_log_read(kt_system(), &position, (uint8_t *)log, sizeof log)) > 0;)
        for (int64_t i = 0; i + (int64_t)length <= got; i++)
            if (memcmp(log + i, text, length) == 0) found++;
    return found;
}

KT_TEST(an_io_error_reaches_the_caller_and_the_log_once) {
    kpio_handle disk = disk_open("vdc");
    fill(page, 4096, 4);
    KT_ERROR(kpio_disk_write(disk, 1000, page, 512), EIO);
    KT_EQUAL(count_in_log("vdc: write of 1 sectors at 1000: I/O error"), 1);
    KT_ERROR(kpio_disk_write(disk, 996, page, 4096), EIO);
    KT_EQUAL(count_in_log("vdc: write of 8 sectors at 996: I/O error"), 1);
    KT_ERROR(kpio_disk_read(disk, 2000, page, 512), EIO);
    KT_EQUAL(count_in_log("vdc: read of 1 sectors at 2000: I/O error"), 1);
    KT_ERROR(kpio_disk_flush(disk), EIO);
    KT_EQUAL(count_in_log("vdc: flush: I/O error"), 1);
    // What lies beside is fine, and so is what came before the bad sector.
    fill(page, 4096, 4);
    KT_EQUAL(kpio_disk_write(disk, 1001, page, 4096), 4096);
    KT_EQUAL(kpio_disk_read(disk, 1000, page, 512), 512);
    KT_EQUAL(kpio_disk_read(disk, 2000 - 192, large, 128 << 10), 64 << 10);
    kt_close(disk);
}

KT_TEST(the_backup_table_is_used_and_said) {
    KT_EQUAL(count_in_log("vde: the primary GPT is bad: its checksum is wrong; the backup is used"), 1);
    KT_EQUAL(count_in_log("vdd: extended partition 2 is not looked into"), 1);
}

// ---- exclusive use ----------------------------------------------------------------------------------------------------------

KT_TEST(a_writer_excludes_others_below_and_above) {
    kpio_handle one = disk_open("vda1"), same = disk_open("vda1"), two = disk_open("vda2"), all = disk_open("vda");
    KT_EQUAL(kpio_disk_read(one, 0, page, 512), 512);
    KT_EQUAL(kpio_disk_write(one, 0, page, 512), 512);
    KT_ERROR(kpio_disk_write(same, 0, page, 512), EBUSY);
    KT_ERROR(kpio_disk_write(all, 4096, page, 512), EBUSY);
    KT_ERROR(kpio_disk_discard(all, 4096, 8), EBUSY);
    KT_EQUAL(kpio_disk_write(two, 0, page, 512), 512);
    KT_EQUAL(kpio_disk_read(all, 0, page, 512), 512);
    struct kpio_disk_info info;
    KT_EQUAL(kpio_disk_info(same, &info), 0);
    KT_CHECK(info.flags & KPIO_DISK_CLAIMED);
    kt_close(one);
    KT_EQUAL(kpio_disk_write(same, 0, page, 512), 512);
    kt_close(same);
    KT_ERROR(kpio_disk_write(all, 4096, page, 512), EBUSY);
    kt_close(two);
    KT_EQUAL(kpio_disk_write(all, 4096, page, 512), 512);
    kt_close(all);
}

KT_TEST(a_revoked_handle_is_the_end_of_the_claim) {
    kpio_handle disk = disk_open("vda1"), other = disk_open("vda1");
    kpio_handle copy = KT_HANDLE(kpio_handle_dup(disk, KPIO_RIGHTS_SAME));
    KT_EQUAL(kpio_disk_write(copy, 0, page, 512), 512);
    KT_ERROR(kpio_disk_write(other, 0, page, 512), EBUSY);
    KT_EQUAL(kpio_handle_revoke(disk, 1), 2);
    KT_ERROR(kpio_disk_read(copy, 0, page, 512), EBADF);
    KT_EQUAL(kpio_disk_write(other, 0, page, 512), 512);
    kt_close(other);
}

// ---- many at once -------------------------------------------------------------------------------------------------------------

#define MANY 96u  // more than a queue has slots
#define ROUNDS 40u

static struct thread many[MANY];
static kpio_handle shared_disk;

static int64_t write_and_read(void *arg) {
    uint64_t mine = (uint64_t)arg;
    uint8_t data[512];
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t sector = 64 + (round % 5) * MANY + mine;
        fill(data, sizeof data, mine + round * 1000);
        int64_t result = kpio_disk_write(shared_disk, sector, data, sizeof data);
        if (result == 512) result = kpio_disk_read(shared_disk, sector, data, sizeof data);
        if (result != 512) return result;
        if (!is_filled(data, sizeof data, mine + round * 1000)) return -EBADF;
        if (round % 16 == 7 && mine % 8 == 0 && (result = kpio_disk_flush(shared_disk)) != 0) return result;
    }
    return 0;
}

static void run_many(const char *name) {
    shared_disk = disk_open(name);
    for (uint64_t i = 0; i < MANY; i++)
        KT_EQUAL(thread_spawn(&many[i], "writer", write_and_read, (void *)i, NULL, 16384), 0);
    for (uint64_t i = 0; i < MANY; i++) {
        int64_t result = -1;
        KT_EQUAL(thread_join(&many[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    kt_close(shared_disk);
}

KT_TEST(many_threads_share_a_disk) { run_many("vda2"); }
KT_TEST(many_threads_share_one_queue) { run_many("vde1"); }

KT_CHILD(reader) {
    static uint8_t data[64 << 10];
    for (uint64_t sector = 0;; sector = (sector + 128) % 4096)
        if (kpio_disk_read(startup_handle("disk"), sector, data, sizeof data) < 0) return 1;
}

KT_TEST(a_reader_can_be_killed_at_any_time) {
    kpio_handle disk = disk_open("vda2");
    for (unsigned i = 0; i < 10; i++) {
        struct process_grant grant = {"disk", disk, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
        kpio_handle child = kt_spawn("reader", &grant, 1);
        time_sleep_ms(1 + i * 3);
        KT_EQUAL(kpio_process_kill(child, 9), 0);
        KT_EQUAL(kt_wait(child), 9);
    }
    KT_EQUAL(kpio_disk_read(disk, 0, page, 512), 512);
    kt_close(disk);
}
