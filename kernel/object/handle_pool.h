// Memory of handles. Each CPU keeps handles whose grace period is over for its next allocations, and gathers ended ones
// until a batch waits for one together: so making and ending a handle costs a few instructions each. Interrupts off, no
// locks. Debug builds with KASAN pass each handle through SLUB instead, so that a use after the end is caught.
//
//   handle_free -> ended -> (batch full) waiting for RCU -> ready -> (free empty) free -> handle_alloc
#pragma once
#include "kernel/object/handle.h"

#define HANDLE_BATCH (CONFIG_KASAN ? 1 : 64)  // ended handles that wait for a grace period together, at least
#define HANDLE_POOL_MAX 256                   // more than that go back to SLUB

struct handle_pool {
    struct handle *free;      // by pool_next
    struct handle *ended;     // by pool_next
    struct handle *ready;     // first handles of batches, by batch_next
    uint32_t free_count;      // in free and ready
    int32_t ended_room;       // HANDLE_BATCH less what is in ended
    int64_t waiting_count;
    int64_t made;             // taken from SLUB less given back, on this CPU
} cacheline_aligned;

void handle_pool_init(void);
coldpath struct handle *handle_alloc_slowly(void);
coldcall void handle_batch_retire(struct handle_pool *pool);

static inline struct handle_pool *handle_pool(void) {
    struct handle_pool *pool;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(pool) : "i"(offsetof(struct cpu, handle_pool)));
    return pool;
}

// Takes pool->free, which is `first`; and puts it back if it was not used.
static inline void handle_pool_take(struct handle_pool *pool, struct handle *first) {
    pool->free = first->pool_next;
    pool->free_count--;
}
static inline void handle_pool_give_back(struct handle_pool *pool, struct handle *first) {
    first->pool_next = pool->free;
    pool->free = first;
    pool->free_count++;
}

// Undefined content, or NULL when there is no memory.
static inline struct handle *handle_alloc(void) {
    struct handle_pool *pool = handle_pool();
    struct handle *h = pool->free;
    if (unlikely(!h)) return handle_alloc_slowly();
    handle_pool_take(pool, h);
    return h;
}

// Reused after a grace period. A list of `count` by pool_next, from first to last.
static inline void handle_free_list(struct handle *first, struct handle *last, uint32_t count) {
    struct handle_pool *pool = handle_pool();
    last->pool_next = pool->ended;
    pool->ended = first;
    pool->ended_room -= (int32_t)count;
    if (unlikely(pool->ended_room <= 0)) handle_batch_retire(pool);
}
static inline void handle_free(struct handle *h) {
    struct handle_pool *pool = handle_pool();
    h->pool_next = pool->ended;
    pool->ended = h;
    if (unlikely(--pool->ended_room == 0)) handle_batch_retire(pool);
}
