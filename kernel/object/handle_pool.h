// Memory of handles. Each CPU keeps handles whose grace period is over for its next allocations, and gathers ended ones
// until a batch waits for one together: so making and ending a handle costs a few instructions each. Interrupts off, no
// locks. Debug builds with KASAN pass each handle through SLUB instead, so that a use after the end is caught.
#pragma once
#include "kernel/object/handle.h"

#define HANDLE_BATCH 32      // ended handles that wait for a grace period together
#define HANDLE_POOL_MAX 256  // more than that go back to SLUB

struct handle_pool {
    struct handle *free;     // by pool_next
    struct handle *ended;    // by pool_next; not yet waiting
    uint32_t free_count, ended_count;
    int64_t out;             // allocated less freed on this CPU
} cacheline_aligned;
extern struct handle_pool handle_pools[CONFIG_MAX_CPUS];

void handle_pool_init(void);
coldpath struct handle *handle_alloc_slowly(void);
coldpath void handle_batch_retire(struct handle_pool *pool);

// Undefined content, or NULL when there is no memory.
static inline struct handle *handle_alloc(void) {
    struct handle_pool *pool = &handle_pools[cpu_id()];
    struct handle *h = pool->free;
    if (unlikely(!h)) return handle_alloc_slowly();
    pool->free = h->pool_next;
    pool->free_count--;
    pool->out++;
    return h;
}

// Reused after a grace period.
static inline void handle_free(struct handle *h) {
    struct handle_pool *pool = &handle_pools[cpu_id()];
    h->pool_next = pool->ended;
    pool->ended = h;
    pool->out--;
    if (unlikely(++pool->ended_count >= (CONFIG_KASAN ? 1 : HANDLE_BATCH))) handle_batch_retire(pool);
}
