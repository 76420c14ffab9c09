// The buddy lists. A block of 2^n pages is aligned to its size; its buddy is the other half of the block of 2^(n+1) pages
// that both lie in. When a block is freed and its buddy is free as a whole, they become one.
//
// Why the buddy's struct page may be read: blocks smaller than the maximum come from splitting a larger one, which
// initialises the first page of both halves (or from a partial block, all of whose struct pages are initialised). As long
// as our half exists, the first struct page of the other one describes a block: the whole half or a part of it.
#include "kernel/mm/page_buddy.h"

struct page_heap page_heap = {.lock = SPINLOCK_INIT("page heap")};

static struct page_zone *zone_of(uint64_t number) {
    return &page_heap.zones[number << PAGE_SHIFT >> 32 != 0 ? PAGE_ZONE_HIGH : PAGE_ZONE_LOW];
}

static void list_block(struct page_zone *zone, struct page *page, unsigned order) {
    page_set_header(page, PAGE_FREE, order, 0);
    list_push_front(&zone->lists[order], &page->buddy);
    zone->nonempty |= 1u << order;
}

static void unlist_block(struct page_zone *zone, struct page *page, unsigned order) {
    verify(page->type == PAGE_FREE && page->order == order);
    list_remove(&page->buddy);
    if (list_is_empty(&zone->lists[order])) zone->nonempty &= ~(1u << order);
}

void page_heap_put_locked(struct page *page, unsigned order) {
    uint64_t number = page_number(page);
    struct page_zone *zone = zone_of(number);

    zone->free += 1ul << order;
    page->type = 0;
    for (; order < PAGE_MAX_ORDER; order++) {
        struct page *buddy = page_array_base + (number ^ (1ul << order));

        if (buddy->type != PAGE_FREE || buddy->order != order) break;
        unlist_block(zone, buddy, order);
        buddy->type = 0;  // it may become the inner page of a block: a stray free of it must not pass
        number &= ~(1ul << order);
    }
    list_block(zone, page_array_base + number, order);
}

void page_heap_put_run_locked(uint64_t start, uint64_t end) {
    while (start < end) {
        unsigned order = log2_floor(end - start);

        if (start != 0) order = MIN(order, (unsigned)__builtin_ctzll(start));
        order = MIN(order, (unsigned)PAGE_MAX_ORDER);
        page_heap_put_locked(page_array_base + start, order);
        start += 1ul << order;
    }
}

// The smallest block that is large enough, cut down to size: the upper halves go back to the lists.
static struct page *zone_take(struct page_zone *zone, unsigned order) {
    uint32_t fitting;
    unsigned at;
    struct page *page;

    while ((fitting = zone->nonempty & (~0u << order)) == 0) {
        if (!page_zone_release_next_locked(zone)) return NULL;
    }
    at = (unsigned)__builtin_ctz(fitting);
    page = list_entry(zone->lists[at].ring.next, struct page, buddy);
    unlist_block(zone, page, at);
    while (at > order) {
        at--;
        list_block(zone, page + (1ul << at), at);
    }
    zone->free -= 1ul << order;
    page_set_header(page, PAGE_USED, order, 1);
    return page;
}

uint64_t page_heap_available_locked(unsigned flags) {
    uint64_t available = 0;

    for (unsigned i = 0; i < PAGE_ZONE_COUNT; i++) available += page_heap.zones[i].free + page_heap.zones[i].unreleased;
    if (flags & PAGE_ALLOC_RESERVE) return available;
    return available > page_heap.reserve ? available - page_heap.reserve : 0;
}

struct page *page_heap_take_locked(unsigned order, unsigned flags) {
    struct page *page = NULL;

    if (page_heap_available_locked(flags) < 1ul << order) return NULL;
    if (!(flags & PAGE_ALLOC_LOW)) page = zone_take(&page_heap.zones[PAGE_ZONE_HIGH], order);
    if (page == NULL) page = zone_take(&page_heap.zones[PAGE_ZONE_LOW], order);
    return page;
}

// Small blocks that are free anyway go first, so that larger ones stay whole; else a block of the size that is wanted.
static struct page *zone_take_up_to(struct page_zone *zone, unsigned limit, unsigned *order) {
    uint32_t small = zone->nonempty & ((2u << limit) - 1);

    *order = small != 0 ? (unsigned)__builtin_ctz(small) : limit;
    return zone_take(zone, *order);
}

size_t page_heap_take_batch_locked(struct page **batch, size_t wanted) {
    size_t count = 0;

    wanted = MIN(wanted, page_heap_available_locked(0));
    while (count < wanted) {
        unsigned limit = log2_floor(wanted - count), order;
        struct page *page = zone_take_up_to(&page_heap.zones[PAGE_ZONE_HIGH], limit, &order);

        if (page == NULL) page = zone_take_up_to(&page_heap.zones[PAGE_ZONE_LOW], limit, &order);
        if (page == NULL) break;
        for (size_t i = 0; i < 1ul << order; i++) batch[count++] = page + i;
    }
    return count;
}
