#include "kernel/block/partition_table.h"

#include "abi/gen/errors.h"
#include "kernel/core/log.h"
#include "kernel/mm/slub.h"

#define BUFFER_MIN (12u << 10)  // kmalloc aligns what is larger than 8 KiB to pages
#define MBR_ENTRIES 446
#define MBR_SIGNATURE 510
#define TYPE_PROTECTIVE 0xee

void partition_add(struct partition_list *list, unsigned number, uint64_t first, uint64_t blocks) {
    const struct block_device *disk = list->disk;
    uint64_t unit = disk->logical_block / SECTOR_SIZE;
    const char *why = NULL;
    if (first == 0 || blocks == 0 || !range_fits(first, blocks, disk->sectors / unit)) why = "it is not on the disk";
    else if (number > PARTITIONS_MAX || list->count == PARTITIONS_MAX) why = "there are too many";
    for (unsigned i = 0; i < list->count && why == NULL; i++) {
        const struct partition *p = &list->out[i];
        if (p->first < (first + blocks) * unit && first * unit < p->first + p->sectors) why = "it meets another";
    }
    if (why != NULL) {
        log_warn("%s: partition %u left out: %s (%lu blocks from %lu)", disk->name, number, why, blocks, first);
        return;
    }
    list->out[list->count++] = (struct partition){.first = first * unit, .sectors = blocks * unit, .number = number};
}

static bool is_protective(const uint8_t *block) {
    for (unsigned i = 0; i < 4; i++)
        if (block[MBR_ENTRIES + 16 * i + 4] == TYPE_PROTECTIVE) return true;
    return false;
}

int partition_table_read(struct block_device *disk, struct partition *out) {
    struct partition_list list = {.disk = disk, .out = out};
    if (disk->sectors * SECTOR_SIZE < disk->logical_block) return 0;
    uint8_t *block = kmalloc(BUFFER_MIN);
    if (block == NULL) return -ENOMEM;
    int error = block_read(disk, 0, block, disk->logical_block);
    if (!error && block[MBR_SIGNATURE] == 0x55 && block[MBR_SIGNATURE + 1] == 0xaa) {
        if (is_protective(block)) error = gpt_read(&list);
        else mbr_read(&list, block);
    }
    kfree(block);
    if (error == -EINVAL) return 0;  // said in the log
    return error ? error : (int)list.count;
}
