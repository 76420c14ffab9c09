// Makes partition tables on a memory disk.
#pragma once
#include "lib/crc32.h"
#include "tests/unit/disk_host.h"

#include <string.h>

struct table_part {
    unsigned number;        // from 1
    uint64_t first, blocks; // logical blocks
};

static inline void table_put(uint8_t *at, uint64_t value, unsigned size) { memcpy(at, &value, size); }

// The header's own checksum, right for what it says.
static inline void table_gpt_seal(uint8_t *header)
{
    uint32_t size;

    memcpy(&size, header + 12, 4);
    table_put(header + 16, 0, 4);
    table_put(header + 16, crc32(0, header, size <= 512 ? size : 512), 4);
}

static inline void table_mbr(struct disk_host *disk, unsigned index, uint8_t type, uint32_t first, uint32_t blocks)
{
    uint8_t *entry = disk->data + 446 + 16 * index;

    entry[4] = type;
    table_put(entry + 8, first, 4);
    table_put(entry + 12, blocks, 4);
    disk->data[510] = 0x55;
    disk->data[511] = 0xaa;
}

static inline void table_gpt(struct disk_host *disk, const struct table_part *parts, unsigned count)
{
    uint32_t block = disk->device.logical_block, array = 128 * 128;
    uint64_t blocks = disk->device.sectors * SECTOR_SIZE / block, array_blocks = array / block;
    uint8_t *entries = disk->data + 2 * block;

    memset(entries, 0, array);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *e = entries + (parts[i].number - 1) * 128;

        memset(e, 0x11, 32);
        table_put(e + 32, parts[i].first, 8);
        table_put(e + 40, parts[i].first + parts[i].blocks - 1, 8);
    }
    memcpy(disk->data + (blocks - 1 - array_blocks) * block, entries, array);
    for (unsigned copy = 0; copy < 2; copy++) {
        uint8_t *h = disk->data + (copy == 0 ? 1 : blocks - 1) * block;

        memset(h, 0, block);
        memcpy(h, "EFI PART", 8);
        table_put(h + 8, 0x10000, 4);
        table_put(h + 12, 92, 4);
        table_put(h + 24, copy == 0 ? 1 : blocks - 1, 8);
        table_put(h + 32, copy == 0 ? blocks - 1 : 1, 8);
        table_put(h + 40, 2 + array_blocks, 8);
        table_put(h + 48, blocks - 2 - array_blocks, 8);
        table_put(h + 72, copy == 0 ? 2 : blocks - 1 - array_blocks, 8);
        table_put(h + 80, 128, 4);
        table_put(h + 84, 128, 4);
        table_put(h + 88, crc32(0, entries, array), 4);
        table_gpt_seal(h);
    }
    table_mbr(disk, 0, 0xee, 1, (uint32_t)blocks - 1);
}
