// Blocks that a transaction has freed: withheld until it has committed, so that a crash before finds their content as it was,
// and with the option `discard` until the device was told that their content is not needed.
#pragma once
#include "kernel/fs/ext4/ext4.h"

#define EXT4_FREED_RUNS 60u
struct ext4_freed {
    struct journal_callback callback;
    struct ext4 *volume;
    struct list_node node;   // in volume->committed
    uint32_t transaction, count;
    uint32_t next;           // run to be discarded
    struct block_request request;
    struct ext4_run runs[EXT4_FREED_RUNS];
};

void ext4_note_freed(struct ext4_tx *tx, uint64_t start, uint32_t count);       // alloc_lock held
void ext4_let_go(struct ext4 *volume, uint64_t start, uint32_t count);          // no longer withheld; alloc_lock held
