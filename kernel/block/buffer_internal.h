// What the parts of the buffer cache share.
#pragma once
#include "kernel/block/buffer.h"

struct buffer_cache {
    struct spinlock lock;
    uint8_t hash_shift;       // of a 64-bit product: its highest bits are the bucket
    uint8_t sectors_log;      // of a block
    uint32_t block_size;
    struct buffer **table;    // by block
    uint64_t blocks;          // of the device
    struct block_device *device;
    uint32_t count;           // buffers
    uint32_t age;             // counts rounds of ageing
    struct list clean, dirty;
    int error;                // the first of a write-back since the last sync
    struct mutex write_lock;
    struct buffer_io *reserve;  // for writing when there is no memory; under write_lock
    struct list_node node;    // of all caches
};

static inline struct buffer **buffer_bucket(struct buffer_cache *cache, uint64_t block) {
    return &cache->table[block * 0x9e3779b97f4a7c15ull >> cache->hash_shift];
}
static inline uint32_t buffer_state(const struct buffer *b) { return __atomic_load_n(&b->state, __ATOMIC_ACQUIRE); }
static inline void buffer_set(struct buffer *b, uint32_t bits) { __atomic_fetch_or(&b->state, bits, __ATOMIC_RELEASE); }
static inline void buffer_clear(struct buffer *b, uint32_t bits) { __atomic_fetch_and(&b->state, ~bits, __ATOMIC_RELEASE); }

// The buffer of that block, held, whatever its content: 0, -EINVAL, -ENOMEM.
[[nodiscard]] int buffer_obtain(struct buffer_cache *cache, uint64_t block, struct buffer **out);
// Reads a held buffer that has no content: 0, -EIO, -ENOMEM. Of several callers one reads, and all get its result.
[[nodiscard]] int buffer_fill(struct buffer *b);
// cache->lock is held, and released: waits for the request at work on b, if there is one, and then returns true. b stays in
// memory as long as the request, so that it need not be held.
bool buffer_wait_unlock(struct buffer_cache *cache, struct buffer *b);
[[nodiscard]] int buffer_reserve_make(struct buffer_cache *cache);
// Writes what was dirty at that age or before, and waits. write_lock is held.
void buffer_write_older_locked(struct buffer_cache *cache, uint32_t age);
