// Partition tables of any content: no partition outside the disk, none meeting another, no stray access.
// links: kernel/block/partition_table.c kernel/block/gpt.c kernel/block/mbr.c kernel/block/block.c lib/crc32.c lib/string.c
#include "kernel/block/partition_table.h"
#include "kernel/block/test/table_host.h"

#include <stdlib.h>

#define DISK_BYTES (256u << 10)

static void check(const struct block_device *device, const struct partition *p, int count)
{
    for (int i = 0; i < count; i++) {
        if (p[i].sectors == 0 || !range_fits(p[i].first, p[i].sectors, device->sectors))
            abort();
        for (int j = 0; j < i; j++)
            if (p[i].first < p[j].first + p[j].sectors && p[j].first < p[i].first + p[i].sectors)
                abort();
    }
}

// The first byte chooses: block size, a good GPT below, checksums put right afterwards. The rest is laid over the disk's start.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct partition found[PARTITIONS_MAX];
    struct disk_host disk;
    uint8_t how;

    if (size < 1)
        return 0;
    how = *data++;
    size--;
    disk_host_create(&disk, DISK_BYTES);
    disk.device.logical_block = how & 1 ? 4096 : 512;
    if (how & 2)
        table_gpt(&disk, (struct table_part[]){{1, 40, 5}, {2, 50, 5}}, 2);
    uint32_t block = disk.device.logical_block, at = how & 4 ? block : how & 8 ? 2 * block : 446;
    memcpy(disk.data + at, data, size < 20000 ? size : 20000);
    if (how & 16) {
        uint32_t entries = 128 * 128;

        table_put(disk.data + block + 88, crc32(0, disk.data + 2 * block, entries), 4);
        table_gpt_seal(disk.data + block);
    }
    if (how & 32)
        table_mbr(&disk, 0, 0xee, 1, 100);
    int count = partition_table_read(&disk.device, found);
    check(&disk.device, found, count);
    disk_host_destroy(&disk);
    return 0;
}
