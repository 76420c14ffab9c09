// A disk with a journal in two pieces on it, for tests.
#pragma once
#include "kernel/fs/ext4/journal_internal.h"
#include "tests/unit/disk_host.h"

enum { JOURNAL_DISK_V3 = 1, JOURNAL_DISK_WIDE = 2 };

struct journal_disk {
    struct disk_host disk;
    struct buffer_cache *cache;
    struct journal *journal;
    uint32_t block_size, blocks;
    unsigned format;
    int failed;
};

#define JOURNAL_DISK_BLOCKS 8192u  // of the disk; the journal's lie from 1,000 and from 7,000 on

// Makes the disk with an empty journal of that many blocks and opens it; aborts the program when it cannot.
void journal_disk_create(struct journal_disk *d, uint32_t block_size, uint32_t journal_blocks, unsigned format);
void journal_disk_destroy(struct journal_disk *d);
// What memory holds is gone, as when the power goes. The disk stays.
void journal_disk_crash(struct journal_disk *d);
[[nodiscard]] int journal_disk_open(struct journal_disk *d);
[[nodiscard]] int journal_disk_open_as(struct journal_disk *d, bool read_only);
// Fills a block with a value, in the handle's operation.
[[nodiscard]] int journal_disk_set(struct journal_disk *d, struct journal_handle *handle, uint64_t block, uint8_t value);
uint8_t journal_disk_home(const struct journal_disk *d, uint64_t block);  // the last byte of the block on the disk
uint8_t *journal_disk_log(struct journal_disk *d, uint32_t journal_block);
struct jbd2_superblock *journal_disk_super(struct journal_disk *d);
