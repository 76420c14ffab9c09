// The page cache on the host: a machine (vm_host), a disk in memory, and a file system of one file that keeps account of
// every block: what is mapped, reserved, chosen but not recorded.
#pragma once
#include "kernel/block/page_cache.h"
#include "tests/unit/disk_host.h"

#define CACHE_HOST_FILE (4u << 20)  // bytes that the file may have
#define CACHE_HOST_BLOCKS_MAX (CACHE_HOST_FILE / 512)

struct cache_host {
    struct file_cache file;
    struct cache_domain *domain;
    struct disk_host disk;
    uint32_t block_size;
    uint32_t map[CACHE_HOST_BLOCKS_MAX];       // block of the file -> block of the disk + 1; 0: a hole
    uint32_t chosen[CACHE_HOST_BLOCKS_MAX];    // by prepare, not yet by complete
    bool reserved[CACHE_HOST_BLOCKS_MAX];
    bool used[2 * CACHE_HOST_BLOCKS_MAX];      // blocks of the disk
    uint32_t free, promised;                   // blocks: free ones; of those, promised by reserve
    uint64_t size_on_disk;
    int map_error, prepare_error, complete_error;
    unsigned prepare_short, complete_short;    // so many times there is no memory for it
    unsigned pauses;                           // of who waits for memory
};

extern struct cache_host host;
void cache_host_start(uint32_t block_size);
// Everything is written back and given up; checks that no page, block or promise is left over.
void cache_host_end(void);
// What is on the disk at a byte of the file; 0 in holes.
uint8_t cache_host_on_disk(uint64_t offset);
// As a file system does after file_cache_resize and file_cache_discard: blocks of the range are free.
void cache_host_free_blocks(uint64_t offset, uint64_t end);
// The reclaimer that the page cache has registered.
size_t cache_host_reclaim(size_t wanted);
