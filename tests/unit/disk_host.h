// A disk in memory for host tests of what lies above block devices. Requests finish before block_submit returns, unless they
// are held back.
#pragma once
#include "kernel/block/block.h"

struct disk_host {
    struct block_device device;
    uint8_t *data;
    uint64_t requests, reads, writes, flushes;  // so far
    uint64_t fail_at;            // this request, by number from 1, and those up to fail_until end with -EIO; 0: none
    uint64_t fail_until;
    bool hold;                   // requests wait in `held` for disk_host_let_go
    struct list held;
    // Optional, before a request is done: a recorder, a test in the middle of something.
    void (*seen)(struct disk_host *, struct block_request *);
    void *context;
};

void disk_host_create(struct disk_host *disk, uint64_t bytes);
void disk_host_destroy(struct disk_host *disk);
void disk_host_let_go(struct disk_host *disk);
