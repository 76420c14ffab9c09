// What the block layer checks before a driver sees a request; claims; requests that are split.
// links: kernel/block/block.c lib/string.c
#include "abi/gen/errors.h"
#include "tests/unit/disk_host.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct disk_host disk;
static struct block_device part, other;
static const struct block_ops nothing;

static void begin(void)
{
    disk_host_create(&disk, 1 << 20);
    disk.device.max_vectors = 4;
    disk.device.max_sectors = 64;
    part = disk.device;
    part.ops = &nothing;
    part.disk = &disk.device;
    part.first_sector = 100;
    part.sectors = 50;
    other = part;
    other.first_sector = 200;
}

static int result;
static void done(struct block_request *r) { result = r->error; }

static int submit(struct block_device *device, struct block_request r)
{
    r.done = done;
    result = 1;
    block_submit(device, &r);
    return result;
}

static int one(struct block_device *device, uint8_t op, uint64_t sector, void *data, uint32_t bytes)
{
    struct block_vector v = {data, bytes};

    return submit(device, (struct block_request){.op = op, .sector = sector, .vectors = &v, .vector_count = 1});
}

TEST(requests_are_checked)
{
    uint8_t *data = aligned_alloc(4096, 65536);
    struct block_vector many[5] = {{data, 512}, {data, 512}, {data, 512}, {data, 512}, {data, 512}};

    begin();
    memset(data, 0, 65536);
    CHECK_EQ(one(&disk.device, BLOCK_WRITE, 0, data, 512), 0);
    CHECK_EQ(one(&disk.device, BLOCK_WRITE, 2047, data, 512), 0);
    CHECK_EQ(one(&disk.device, BLOCK_WRITE, 2047, data, 1024), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_WRITE, UINT64_MAX, data, 512), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_READ, 0, data, 0), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_READ, 0, data, 100), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_READ, 0, data + 8, 512), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_READ, 0, data, 33 << 10), -EINVAL);
    CHECK_EQ(one(&disk.device, 99, 0, data, 512), -EINVAL);
    CHECK_EQ(submit(&disk.device, (struct block_request){.op = BLOCK_READ, .vectors = many, .vector_count = 4}), 0);
    CHECK_EQ(submit(&disk.device, (struct block_request){.op = BLOCK_READ, .vectors = many, .vector_count = 5}), -EINVAL);
    CHECK_EQ(submit(&disk.device, (struct block_request){.op = BLOCK_WRITE_ZEROES, .sectors = 8}), -EOPNOTSUPP);
    CHECK_EQ(block_discard(&disk.device, 0, 8), 0);  // done, though the device cannot
    disk.device.logical_block = 4096;
    CHECK_EQ(one(&disk.device, BLOCK_READ, 0, data, 512), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_READ, 4, data, 4096), -EINVAL);
    CHECK_EQ(one(&disk.device, BLOCK_READ, 8, data, 4096), 0);
    disk.device.read_only = true;
    CHECK_EQ(one(&disk.device, BLOCK_WRITE, 8, data, 4096), -EROFS);
    CHECK_EQ(block_discard(&disk.device, 0, 8), -EROFS);
    CHECK_EQ(block_flush(&disk.device), 0);
    free(data);
    disk_host_destroy(&disk);
}

TEST(a_partition_stays_inside_itself)
{
    uint8_t *data = aligned_alloc(4096, 4096);

    begin();
    memset(data, 5, 4096);
    CHECK_EQ(block_write(&part, 49, data, 512, 0), 0);
    CHECK_EQ(disk.data[149 * 512], 5);
    CHECK_EQ(block_write(&part, 49, data, 1024, 0), -EINVAL);
    CHECK_EQ(block_write(&part, 50, data, 512, 0), -EINVAL);
    CHECK_EQ(block_read(&disk.device, 149, data, 512), 0);
    free(data);
    disk_host_destroy(&disk);
}

TEST(long_transfers_are_split)
{
    uint8_t *data = aligned_alloc(4096, 1 << 18), *back = aligned_alloc(4096, 1 << 18);

    begin();
    for (unsigned i = 0; i < 1 << 18; i++)
        data[i] = (uint8_t)(i >> 9);
    CHECK_EQ(block_write(&disk.device, 3, data, (1 << 18) - 512, 0), 0);
    CHECK_EQ(disk.writes, 8);
    CHECK_EQ(block_read(&disk.device, 3, back, (1 << 18) - 512), 0);
    CHECK(memcmp(data, back, (1 << 18) - 512) == 0);
    disk.fail_at = disk.fail_until = disk.requests + 3;
    CHECK_EQ(block_read(&disk.device, 3, back, (1 << 18) - 512), -EIO);
    free(data);
    free(back);
    disk_host_destroy(&disk);
}

TEST(what_repeats_is_written_many_times_at_once)
{
    uint8_t *data = aligned_alloc(4096, 1 << 18), *back = aligned_alloc(4096, 1 << 18);

    begin();
    memset(data, 7, 1 << 18);
    CHECK_EQ(block_write(&disk.device, 0, data, 1 << 18, 0), 0);
    for (unsigned i = 0; i < 1024; i++)
        data[i] = (uint8_t)(i >> 9);
    uint64_t before = disk.writes;
    CHECK_EQ(block_write_repeated(&disk.device, 3, data, 1024, 100 * 512, 0), 0);
    CHECK(disk.writes - before <= 50 / MIN(16u, (unsigned)disk.device.max_vectors) + 1);
    CHECK_EQ(block_read(&disk.device, 0, back, 1 << 17), 0);
    for (unsigned i = 0; i < 1 << 17; i++)
        CHECK_EQ(back[i], i < 3 * 512 || i >= 103 * 512 ? 7 : (i / 512 + 1) % 2);
    disk.fail_at = disk.fail_until = disk.requests + 2;
    CHECK_EQ(block_write_repeated(&disk.device, 3, data, 1024, 100 * 512, 0), -EIO);
    free(data);
    free(back);
    disk_host_destroy(&disk);
}

TEST(claims_exclude_disk_and_partition)
{
    begin();
    CHECK_EQ(block_claim(&part), 0);
    CHECK_EQ(block_claim(&part), -EBUSY);
    CHECK_EQ(block_claim(&disk.device), -EBUSY);
    CHECK_EQ(block_claim(&other), 0);
    block_release(&part);
    CHECK_EQ(block_claim(&disk.device), -EBUSY);
    block_release(&other);
    CHECK_EQ(block_claim(&disk.device), 0);
    CHECK_EQ(block_claim(&part), -EBUSY);
    block_release(&disk.device);
    CHECK_EQ(block_claim(&part), 0);
    block_release(&part);
    disk_host_destroy(&disk);
}

TEST(devices_are_found_by_name_and_number)
{
    begin();
    memcpy(part.name, "host1", 6);
    block_register(&disk.device);
    block_register(&part);
    CHECK(block_at(0) == &disk.device && block_at(1) == &part && block_at(2) == NULL);
    CHECK(block_find("host1", 5) == &part && block_find("host", 4) == &disk.device && block_find("host2", 5) == NULL);
    CHECK(block_find("", 0) == NULL);
    CHECK_EQ(part.refs, 3);
    block_put(&part);
    CHECK_EQ(part.refs, 2);
}
