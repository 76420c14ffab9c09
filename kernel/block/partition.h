// Partitions: GPT (UEFI specification 2.10, section 5.3) and the primary entries of an MBR (5.2).
#pragma once
#include "kernel/block/block.h"

#define PARTITIONS_MAX 128

struct partition {
    uint64_t first, sectors;  // 512-byte units
    unsigned number;          // from 1: its place in the table
};

// Reads the table of a disk: fills at most PARTITIONS_MAX, each inside the disk and none meeting another; says in the log what it
// leaves out and why. Returns how many, or -EIO, -ENOMEM. 0: no table, or an empty one.
[[nodiscard]] int partition_table_read(struct block_device *disk, struct partition *out);
// Registers the partitions of a disk as devices: vda1, ... Errors are logged.
void partitions_find(struct block_device *disk);
