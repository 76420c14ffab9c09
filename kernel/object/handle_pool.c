#include "kernel/object/handle_pool.h"

#include "kernel/mm/slub.h"
#include "lib/util.h"

struct handle_pool handle_pools[CONFIG_MAX_CPUS];
static struct kmem_cache handle_cache;

void handle_pool_init(void) { slub_cache_init(&handle_cache, "handle", sizeof(struct handle), CACHE_LINE); }

uint64_t handle_count(void) {
    int64_t out = 0;
    for (uint32_t i = 0; i < cpu_count; i++) out += __atomic_load_n(&handle_pools[i].out, __ATOMIC_RELAXED);
    return (uint64_t)out;
}

struct handle *handle_alloc_slowly(void) {
    struct handle *h = slub_alloc(&handle_cache);
    if (h) handle_pools[cpu_id()].out++;
    return h;
}

// A batch is a list that starts with the handle whose rcu head waited.
static void batch_done(struct rcu_head *head) {
    struct handle_pool *pool = &handle_pools[cpu_id()];
    bool keep = !CONFIG_KASAN && pool->free_count < HANDLE_POOL_MAX;
    for (struct handle *h = container_of(head, struct handle, rcu), *next; h; h = next) {
        next = h->pool_next;
        if (!keep) {
            slub_free(&handle_cache, h);
            continue;
        }
        h->pool_next = pool->free;
        pool->free = h;
        pool->free_count++;
    }
}

void handle_batch_retire(struct handle_pool *pool) {
    struct handle *first = pool->ended;
    pool->ended = NULL;
    pool->ended_count = 0;
    rcu_call(&first->rcu, batch_done);
    this_cpu()->need_resched = true;  // a quiescent point soon: the batch is what the next handles are made of
}
