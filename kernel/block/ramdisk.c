#include "kernel/block/ramdisk.h"

#include "kernel/arch/x86_64/arch.h"
#include "kernel/block/partition.h"
#include "kernel/core/log.h"
#include "lib/string.h"
#include "lib/util.h"

// Also the logical block: what is not a whole one at the end of the image is left out.
#define BLOCK 512u

static void submit(struct block_device *device, struct block_request *r) {
    char *at = (char *)phys_to_virt(paddr(boot_info.disk.base)) + (r->sector << SECTOR_SHIFT);
    if (r->op == BLOCK_WRITE_ZEROES) memset(at, 0, r->sectors << SECTOR_SHIFT);
    for (unsigned i = 0; r->op <= BLOCK_WRITE && i < r->vector_count; at += r->vectors[i++].bytes) {
        if (r->op == BLOCK_READ) memcpy(r->vectors[i].data, at, r->vectors[i].bytes);
        else memcpy(at, r->vectors[i].data, r->vectors[i].bytes);
    }
    block_finish(device, r, 0);
}

static const struct block_ops ramdisk_ops = {.submit = submit};
static struct block_device ramdisk = {
    .ops = &ramdisk_ops, .name = "ram0", .logical_block = BLOCK, .physical_block = 4096, .max_vectors = 256,
    .max_sectors = (1u << 20) / SECTOR_SIZE, .zeroes = true,
};

void ramdisk_init(void) {
    ramdisk.sectors = boot_info.disk.size / BLOCK;
    if (ramdisk.sectors == 0) return;
    log_info("ram0: %lu MiB that the boot loader brought", boot_info.disk.size >> 20);
    block_register(&ramdisk);
    partitions_find(&ramdisk);
}
