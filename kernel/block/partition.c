#include "kernel/block/partition.h"

#include "kernel/core/log.h"
#include "kernel/mm/slub.h"
#include "lib/fmt.h"

static void release(struct block_device *device) { kfree(device); }

static const struct block_ops partition_ops = {.release = release};  // requests go to the disk

static void partition_register(struct block_device *disk, const struct partition *p) {
    struct block_device *b = kzalloc(sizeof *b);
    if (b == NULL) {
        log_error("%s: no memory for partition %u", disk->name, p->number);
        return;
    }
    *b = *disk;
    b->ops = &partition_ops;
    fmt_print(b->name, sizeof b->name, "%s%u", disk->name, p->number);
    b->sectors = p->sectors;
    b->first_sector = p->first;
    b->disk = disk;
    b->claims = 0;
    list_node_init(&b->node);
    block_get(disk);
    log_info("%s: %lu MiB from sector %lu", b->name, b->sectors >> 11, b->first_sector);
    block_register(b);
}

void partitions_find(struct block_device *disk) {
    struct partition *found = kmalloc(sizeof *found * PARTITIONS_MAX);
    int count = found != NULL ? partition_table_read(disk, found) : 0;
    if (found == NULL || count < 0) log_error("%s: its partitions are not known: error %d", disk->name, -count);
    for (int i = 0; i < count; i++) partition_register(disk, &found[i]);
    kfree(found);
}
