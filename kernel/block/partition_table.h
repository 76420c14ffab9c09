// Inside: the two kinds of tables, and what both do with an entry. Also built for host tests.
#pragma once
#include "kernel/block/partition.h"

struct partition_list {
    struct block_device *disk;
    struct partition *out;
    unsigned count;
};

// Enters a partition of logical blocks [first, first + blocks), unless it is bad; then the log says so. Its place is `number`.
void partition_add(struct partition_list *list, unsigned number, uint64_t first, uint64_t blocks);

// Reads the GPT: 0, -EIO or -ENOMEM when neither copy can be had, -EINVAL when neither is good.
[[nodiscard]] int gpt_read(struct partition_list *list);
// Takes the primary entries out of block 0.
void mbr_read(struct partition_list *list, const uint8_t *block);
