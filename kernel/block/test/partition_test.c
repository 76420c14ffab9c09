// GPT with its two copies and MBR, on blocks of 512 and of 4,096 bytes.
// links: kernel/block/partition_table.c kernel/block/gpt.c kernel/block/mbr.c kernel/block/block.c lib/crc32.c lib/string.c
#include "abi/gen/errors.h"
#include "kernel/block/partition_table.h"
#include "kernel/block/test/table_host.h"
#include "kernel/core/log.h"
#include "lib/crc32.h"
#include "tests/unit/unit.h"

#include <stdarg.h>
#include <stdio.h>

#define MIB (1u << 20)

static struct disk_host disk;
static struct partition found[PARTITIONS_MAX];
static char said[4096];

void log_write(enum log_level level, const char *format, ...)
{
    va_list args;
    size_t used = strlen(said);

    (void)level;
    va_start(args, format);
    vsnprintf(said + used, sizeof said - used, format, args);
    va_end(args);
}

static void begin(uint32_t block)
{
    disk_host_create(&disk, 8 * MIB);
    disk.device.logical_block = block;
    said[0] = '\0';
}

static int read_table(void) { return partition_table_read(&disk.device, found); }
static void end(void) { disk_host_destroy(&disk); }

static void check_two(uint32_t block)
{
    CHECK_EQ(read_table(), 2);
    CHECK_EQ(found[0].number, 1);
    CHECK_EQ(found[0].first, 100u * (block / 512));
    CHECK_EQ(found[0].sectors, 50u * (block / 512));
    CHECK_EQ(found[1].number, 3);
    CHECK_EQ(found[1].first, 200u * (block / 512));
    CHECK_EQ(found[1].sectors, 1u * (block / 512));
}

static void write_two(void)
{
    table_gpt(&disk, (struct table_part[]){{1, 100, 50}, {3, 200, 1}}, 2);
}

TEST(crc32_of_known_texts)
{
    CHECK_EQ(crc32(0, "", 0), 0);
    CHECK_EQ(crc32(0, "123456789", 9), 0xcbf43926);
    CHECK_EQ(crc32(crc32(0, "1234", 4), "56789", 5), 0xcbf43926);
}

TEST(a_good_gpt_is_read)
{
    for (uint32_t block = 512; block <= 4096; block *= 8) {
        begin(block);
        write_two();
        check_two(block);
        CHECK(said[0] == '\0');
        end();
    }
}

TEST(either_copy_serves_and_the_log_says_so)
{
    for (uint32_t block = 512; block <= 4096; block *= 8) {
        begin(block);
        write_two();
        disk.data[block + 60] ^= 1;  // the primary header
        check_two(block);
        CHECK(strstr(said, "the primary GPT is bad: its checksum is wrong; the backup is used") != NULL);
        said[0] = '\0';
        write_two();
        disk.data[2 * block + 9] ^= 1;  // the primary's entries
        check_two(block);
        CHECK(strstr(said, "the primary GPT is bad: the checksum of its entries is wrong") != NULL);
        said[0] = '\0';
        write_two();
        disk.data[8 * MIB - block + 20] ^= 1;
        check_two(block);
        CHECK(strstr(said, "the backup GPT is bad") != NULL);
        said[0] = '\0';
        disk.data[block] = 'X';
        CHECK_EQ(read_table(), 0);
        CHECK(strstr(said, "no good GPT") != NULL);
        end();
    }
}

TEST(an_unreadable_primary_is_replaced_too)
{
    begin(512);
    write_two();
    disk.fail_at = disk.fail_until = disk.requests + 2;  // the MBR is read, the primary header is not
    check_two(512);
    CHECK(strstr(said, "the primary GPT is bad: it cannot be read") != NULL);
    disk.fail_at = disk.requests + 1;
    disk.fail_until = UINT64_MAX;
    CHECK_EQ(read_table(), -EIO);
    end();
}

TEST(every_field_of_the_header_is_checked)
{
    // Each change gets a right checksum, so that only the field itself can be the reason.
    static const struct {
        unsigned offset, size;
        uint64_t value;
    } bad[] = {
        {8, 4, 0x20000}, {12, 4, 91}, {12, 4, 513}, {24, 8, 2}, {40, 8, 9000}, {48, 8, 1 << 20}, {72, 8, 0}, {72, 8, 1 << 20},
        {72, 8, 200}, {80, 4, 0}, {80, 4, 1 << 20}, {80, 4, UINT32_MAX}, {84, 4, 64}, {84, 4, 192}, {84, 4, 1u << 31},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        begin(512);
        write_two();
        uint8_t *header = disk.data + 512;
        memcpy(header + bad[i].offset, &bad[i].value, bad[i].size);
        table_gpt_seal(header);
        disk.data[8 * MIB - 512] = 'X';  // no backup
        if (read_table() != 0) unit_fail(__FILE__, __LINE__, "field at %u = %ld is taken", bad[i].offset, (long)bad[i].value);
        end();
    }
}

TEST(bad_partitions_are_left_out)
{
    begin(512);
    table_gpt(&disk, (struct table_part[]){{1, 100, 50}, {2, 149, 10}, {3, 1, 5}, {4, 16000, 5000}, {5, 300, 0}, {6, 400, 1}}, 6);
    CHECK_EQ(read_table(), 2);
    CHECK_EQ(found[0].number, 1);
    CHECK_EQ(found[1].number, 6);
    CHECK(strstr(said, "partition 2 left out: it meets another") != NULL);
    CHECK(strstr(said, "partition 3 left out") != NULL && strstr(said, "partition 4 left out") != NULL);
    end();
}

TEST(mbr_primaries)
{
    begin(4096);
    table_mbr(&disk, 0, 0x83, 256, 512);
    table_mbr(&disk, 1, 0x05, 1000, 10);
    table_mbr(&disk, 2, 0x0c, 800, 100);
    table_mbr(&disk, 3, 0x83, 2000, UINT32_MAX);
    CHECK_EQ(read_table(), 2);
    CHECK_EQ(found[0].first, 256 * 8);
    CHECK_EQ(found[0].sectors, 512 * 8);
    CHECK_EQ(found[1].number, 3);
    CHECK(strstr(said, "extended partition 2") != NULL && strstr(said, "partition 4 left out") != NULL);
    end();
}

TEST(what_is_no_table)
{
    begin(512);
    CHECK_EQ(read_table(), 0);
    memset(disk.data, 0xff, 512);
    disk.data[510] = 0x55, disk.data[511] = 0xaa;
    disk.data[450] = 0x83;  // boot code where entries would be
    disk.data[466] = disk.data[482] = disk.data[498] = 0x83;
    CHECK_EQ(read_table(), 0);
    end();
}
