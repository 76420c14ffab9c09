// Blocks of pages, contiguous runs, what happens when memory runs out, and statistics. Single pages are served by
// page_cpu_cache.c.
#include "kernel/mm/page_buddy.h"
#include "kernel/mm/page_cpu_cache.h"
#include "lib/string.h"

static struct page_reclaimer *reclaimers;

void page_reclaimer_register(struct page_reclaimer *reclaimer) {
    struct page_reclaimer **link = &reclaimers;

    for (; *link != NULL; link = &(*link)->next) {
        if (*link == reclaimer) return;
    }
    reclaimer->next = NULL;
    *link = reclaimer;
}

bool page_reclaim(size_t wanted) {
    size_t drained = page_cpu_caches_drain();
    size_t freed = 0;

    for (struct page_reclaimer *r = reclaimers; r != NULL && drained + freed < wanted; r = r->next)
        freed += r->reclaim(wanted - drained - freed);
    // The reclaimers' pages went to this CPU's cache, where neither a larger block nor a low one would be found.
    if (freed != 0) (void)page_cpu_caches_drain();
    return drained + freed != 0;
}

struct page *page_take_block(unsigned order, unsigned flags) {
    for (unsigned attempt = 0; attempt < PAGE_RECLAIM_ATTEMPTS; attempt++) {
        struct page *page;

        spin_lock(&page_heap.lock);
        page = page_heap_take_locked(order, flags);
        spin_unlock(&page_heap.lock);
        if (page != NULL) return page;
        if (!page_reclaim(1ul << order)) return NULL;
    }
    return NULL;
}

struct page *page_alloc_block(unsigned order, unsigned flags) {
    struct page *page;

    assert(order <= PAGE_MAX_ORDER);
    if (order == 0) return page_alloc(flags);
    page = page_take_block(order, flags);
    if (page == NULL) return NULL;
    if (CONFIG_DEBUG) page_debug_allocated(page, order, __builtin_return_address(0));
    if (flags & PAGE_ALLOC_ZERO) page_zero_range(page_to_virt(page), 1ul << order);
    return page;
}

static void verify_freeable(const struct page *page, unsigned order) {
    if (unlikely(page->type != PAGE_USED || page->order != order))
        panic("page_free_block: page %#lx has type %#x order %u, not an allocated block of order %u", page_number(page),
              page->type, page->order, order);
}

void page_free_block(struct page *page, unsigned order) {
    if (order == 0) {
        page_free(page);
        return;
    }
    verify_freeable(page, order);
    if (CONFIG_DEBUG) page_debug_freed(page, order, __builtin_return_address(0));
    spin_lock(&page_heap.lock);
    page_heap_put_locked(page, order);
    spin_unlock(&page_heap.lock);
}

void page_split_block(struct page *page, unsigned order) {
    verify_freeable(page, order);
    for (size_t i = 0; i < 1ul << order; i++) page_set_header(&page[i], PAGE_USED, 0, 1);
}

struct page *page_alloc_contiguous(size_t count, unsigned flags) {
    unsigned order;
    struct page *page;

    if (count == 0 || count > PAGE_BLOCK_PAGES) return NULL;
    order = log2_ceil(count);
    page = page_take_block(order, flags);
    if (page == NULL) return NULL;
    page_split_block(page, order);
    if (CONFIG_DEBUG) {
        for (size_t i = 0; i < count; i++) page_debug_allocated(&page[i], 0, __builtin_return_address(0));
    }
    if (count < 1ul << order) {
        spin_lock(&page_heap.lock);
        page_heap_put_run_locked(page_number(page) + count, page_number(page) + (1ul << order));
        spin_unlock(&page_heap.lock);
    }
    if (flags & PAGE_ALLOC_ZERO) page_zero_range(page_to_virt(page), count);
    return page;
}

void page_free_contiguous(struct page *page, size_t count) {
    uint64_t start = page_number(page);

    verify(count != 0 && count <= PAGE_BLOCK_PAGES);
    for (size_t i = 0; i < count; i++) {
        verify_freeable(&page[i], 0);
        page[i].type = 0;
        if (CONFIG_DEBUG) page_debug_freed(&page[i], 0, __builtin_return_address(0));
    }
    spin_lock(&page_heap.lock);
    page_heap_put_run_locked(start, start + count);
    spin_unlock(&page_heap.lock);
}

void page_zero_range(void *virt, size_t count) {
    size_t words = count * (PAGE_SIZE / 8);

    __asm__ volatile("rep stosq" : "+D"(virt), "+c"(words) : "a"(0ul) : "memory");
}

void page_zero(struct page *page) {
    page_zero_range(page_to_virt(page), 1);
}

void page_drain_caches(void) {
    (void)page_cpu_caches_drain();
}

uint64_t page_free_count(void) {
    uint64_t count = page_cpu_caches_count();

    spin_lock(&page_heap.lock);
    count += page_heap_available_locked(PAGE_ALLOC_RESERVE);
    spin_unlock(&page_heap.lock);
    return count;
}

void page_get_stats(struct page_stats *stats) {
    *stats = (struct page_stats){.cached = page_cpu_caches_count()};
    stats->free = stats->cached;
    spin_lock(&page_heap.lock);
    for (unsigned i = 0; i < PAGE_ZONE_COUNT; i++) {
        struct page_zone *zone = &page_heap.zones[i];

        stats->unreleased += zone->unreleased;
        stats->free += zone->free + zone->unreleased;
        for (unsigned order = 0; order <= PAGE_MAX_ORDER; order++) {
            list_for_each(node, &zone->lists[order]) stats->free_blocks[order]++;
        }
    }
    stats->total = page_heap.total;
    stats->reserve = page_heap.reserve;
    stats->array = page_heap.array;
    stats->set_aside = page_heap.set_aside;
    spin_unlock(&page_heap.lock);
}
