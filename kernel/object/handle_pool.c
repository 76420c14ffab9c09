#include "kernel/object/handle_pool.h"

#include "kernel/mm/slub.h"
#include "lib/util.h"

static struct handle_pool handle_pools[CONFIG_MAX_CPUS];
static struct kmem_cache handle_cache;

void handle_pool_init(void) {
    slub_cache_init(&handle_cache, "handle", sizeof(struct handle), CACHE_LINE);
    for (unsigned i = 0; i < CONFIG_MAX_CPUS; i++) {
        handle_pools[i].ended_room = HANDLE_BATCH;
        cpus[i].handle_pool = &handle_pools[i];
    }
}

uint64_t handle_count(void) {
    int64_t out = 0;
    for (uint32_t i = 0; i < cpu_count; i++) {
        const volatile struct handle_pool *pool = &handle_pools[i];
        out += pool->made - pool->waiting_count - pool->free_count - (HANDLE_BATCH - pool->ended_room);
    }
    return out < 0 ? 0 : (uint64_t)out;
}

struct handle *handle_alloc_slowly(void) {
    struct handle_pool *pool = handle_pool();
    struct handle *h = pool->ready;
    if (h) {
        pool->ready = h->batch_next;
        handle_pool_take(pool, h);
        return h;
    }
    h = slub_alloc(&handle_cache);
    if (h) pool->made++;
    return h;
}

// A batch is a list that starts with the handle whose rcu head waited.
static void batch_done(struct rcu_head *head) {
    struct handle_pool *pool = handle_pool();
    struct handle *first = container_of(head, struct handle, rcu), *next;
    uint64_t size = first->batch_size;
    pool->waiting_count -= (int64_t)size;
    if (!CONFIG_KASAN && pool->free_count + size <= HANDLE_POOL_MAX) {
        first->batch_next = pool->ready;
        pool->ready = first;
        pool->free_count += (uint32_t)size;
        return;
    }
    pool->made -= (int64_t)size;
    for (struct handle *h = first; h; h = next) {
        next = h->pool_next;
        slub_free(&handle_cache, h);
    }
}

coldcall void handle_batch_retire(struct handle_pool *pool) {
    struct handle *first = pool->ended;
    first->batch_size = (uint32_t)(HANDLE_BATCH - pool->ended_room);
    pool->waiting_count += (int64_t)first->batch_size;
    pool->ended = NULL;
    pool->ended_room = HANDLE_BATCH;
    rcu_call(&first->rcu, batch_done);
    this_cpu()->need_resched = true;  // a quiescent point soon: the batch is what the next handles are made of
}
