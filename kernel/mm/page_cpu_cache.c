#include "kernel/mm/page_cpu_cache.h"

#include "kernel/mm/page_buddy.h"
#include "lib/string.h"

static cacheline_aligned struct page_cpu_cache page_cpu_caches[CONFIG_MAX_CPUS];

void page_cpu_init(struct cpu *cpu) {
    cpu->pages = &page_cpu_caches[cpu->id];
}

// Fills the empty cache of this CPU and returns one page more, or NULL. While this CPU waits for the lock, another may
// ask it to unload its cache (cpu_relax), so the cache is only touched when the lock is no longer wanted.
static coldpath struct page *refill(unsigned flags) {
    struct page_cpu_cache *cache = page_cpu_cache_mine();
    struct page *batch[PAGE_CPU_CACHE_BATCH];
    uint64_t count = 0;

    for (unsigned attempt = 0; count == 0 && attempt < PAGE_RECLAIM_ATTEMPTS; attempt++) {
        if (attempt != 0 && !page_reclaim(1)) return NULL;
        spin_lock(&page_heap.lock);
        count = page_heap_take_batch_locked(batch, PAGE_CPU_CACHE_BATCH);
        // What only the reserve allows is not stocked, or others would get it.
        if (count == 0 && (flags & PAGE_ALLOC_RESERVE) && (batch[0] = page_heap_take_locked(0, flags)) != NULL) count = 1;
        spin_unlock(&page_heap.lock);
    }
    if (count == 0) return NULL;
    // The first page taken is returned; the others are stacked so that ascending addresses come out.
    for (uint64_t i = count - 1; i > 0; i--) {
        page_set_header(batch[i], PAGE_CACHED, 0, 0);
        cache->pages[cache->count++] = batch[i];
    }
    page_set_header(batch[0], PAGE_USED, 0, 1);
    return batch[0];
}

static coldpath struct page *alloc_special(unsigned flags, void *caller) {
    struct page *page;

    if (flags & PAGE_ALLOC_LOW) {
        page = page_take_block(0, flags);
        if (CONFIG_DEBUG && page != NULL) page_debug_allocated(page, 0, caller);
    } else {
        page = page_alloc(flags & PAGE_ALLOC_RESERVE);
    }
    if (page != NULL && (flags & PAGE_ALLOC_ZERO)) page_zero(page);
    return page;
}

struct page *page_alloc(unsigned flags) {
    struct page_cpu_cache *cache = page_cpu_cache_mine();
    struct page *page;

    if (unlikely(flags & (PAGE_ALLOC_ZERO | PAGE_ALLOC_LOW))) return alloc_special(flags, __builtin_return_address(0));
    if (unlikely(cache->count == 0)) {
        page = refill(flags);
        if (page == NULL) return NULL;
    } else {
        page = cache->pages[--cache->count];
        verify(page->type == PAGE_CACHED);
        page_set_header(page, PAGE_USED, 0, 1);
    }
    if (CONFIG_DEBUG) page_debug_allocated(page, 0, __builtin_return_address(0));
    return page;
}

// Makes room in the full cache: the pages that have been in it longest go back to the lists.
static void spill(struct page_cpu_cache *cache) {
    struct page *batch[PAGE_CPU_CACHE_BATCH];

    memcpy(batch, cache->pages, sizeof(batch));
    cache->count -= PAGE_CPU_CACHE_BATCH;
    memmove(cache->pages, cache->pages + PAGE_CPU_CACHE_BATCH, cache->count * sizeof(batch[0]));
    spin_lock(&page_heap.lock);
    for (unsigned i = 0; i < PAGE_CPU_CACHE_BATCH; i++) page_heap_put_locked(batch[i], 0);
    spin_unlock(&page_heap.lock);
}

static void keep(struct page_cpu_cache *cache, struct page *page) {
    page->type = PAGE_CACHED;
    cache->pages[cache->count++] = page;
}

static coldpath void free_into_full(struct page *page) {
    spill(page_cpu_cache_mine());
    keep(page_cpu_cache_mine(), page);
}

static coldpath void free_bad(const struct page *page) {
    panic("page_free: page %#lx has type %#x order %u refs %u, not one allocated page: freed twice, or by another owner",
          page_number(page), page->type, page->order, page->refs);
}

void page_free(struct page *page) {
    struct page_cpu_cache *cache = page_cpu_cache_mine();

    // Type and order in one comparison.
    if (unlikely(*(uint16_t __attribute__((may_alias)) *)page != PAGE_USED)) free_bad(page);
    if (CONFIG_DEBUG) page_debug_freed(page, 0, __builtin_return_address(0));
    if (likely(cache->count < PAGE_CPU_CACHE_SIZE))
        keep(cache, page);
    else
        free_into_full(page);
}

struct page *page_cpu_cache_unload(void) {
    struct page_cpu_cache *cache = page_cpu_cache_mine();
    struct page *chain = NULL;

    while (cache->count != 0) {
        struct page *page = cache->pages[--cache->count];

        page->buddy.next = chain == NULL ? NULL : &chain->buddy;
        chain = page;
    }
    return chain;
}

// Runs on another CPU, perhaps while that waits for the heap's lock: so it takes none, it only hands its pages over.
static void unload_to(void *arg) {
    struct page **heap = arg;
    struct page *chain = page_cpu_cache_unload();
    struct page *tail = chain;
    struct page *seen = __atomic_load_n(heap, __ATOMIC_RELAXED);

    if (chain == NULL) return;
    while (tail->buddy.next != NULL) tail = list_entry(tail->buddy.next, struct page, buddy);
    do {
        tail->buddy.next = seen == NULL ? NULL : &seen->buddy;
    } while (!__atomic_compare_exchange_n(heap, &seen, chain, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

size_t page_cpu_caches_drain(void) {
    uint64_t others = 0;
    struct page *chain = page_cpu_cache_unload();
    struct page *from_others = NULL;
    size_t count = 0;

    for (uint32_t i = 0; i < cpu_count; i++) {
        if (i != cpu_id() && __atomic_load_n(&page_cpu_caches[i].count, __ATOMIC_RELAXED) != 0) others |= 1ul << i;
    }
    if (others != 0) arch_call_cpus(others, unload_to, &from_others);
    spin_lock(&page_heap.lock);
    for (int pass = 0; pass < 2; pass++, chain = __atomic_load_n(&from_others, __ATOMIC_ACQUIRE)) {
        while (chain != NULL) {
            struct list_node *next = chain->buddy.next;

            page_heap_put_locked(chain, 0);
            count++;
            chain = next == NULL ? NULL : list_entry(next, struct page, buddy);
        }
    }
    spin_unlock(&page_heap.lock);
    return count;
}

uint64_t page_cpu_caches_count(void) {
    uint64_t count = 0;

    for (uint32_t i = 0; i < CONFIG_MAX_CPUS; i++) count += __atomic_load_n(&page_cpu_caches[i].count, __ATOMIC_RELAXED);
    return count;
}
