// Inside the page allocator: the buddy lists behind the per-CPU caches.
#pragma once
#include "kernel/core/spinlock.h"
#include "kernel/mm/page.h"

// Page numbers [start, end) that no list knows yet.
struct page_range {
    uint64_t start, end;
};
#define PAGE_MAX_RANGES (2 * BOOT_MAX_RANGES + 16)

// Two zones, so that memory below 4 GiB is still there when a device needs it: others take from HIGH first.
enum page_zone_id { PAGE_ZONE_LOW, PAGE_ZONE_HIGH, PAGE_ZONE_COUNT };

struct page_zone {
    uint64_t free;        // pages on the lists
    uint64_t unreleased;  // pages in `ranges`
    uint32_t nonempty;    // bit n: lists[n] has a block
    unsigned range_count;
    struct list lists[PAGE_MAX_ORDER + 1];
    struct page_range ranges[PAGE_MAX_RANGES];
};

// Everything in here is under `lock`.
struct page_heap {
    struct spinlock lock;
    struct page_zone zones[PAGE_ZONE_COUNT];
    uint64_t reserve;    // pages that only PAGE_ALLOC_RESERVE may take
    uint64_t total;      // see struct page_stats
    uint64_t array;
    uint64_t set_aside;
    // Maximal blocks of which only a part is RAM: all their struct pages are initialised. The rest of this array is 0.
    uint32_t partial_count;
    uint32_t partial_blocks[PAGE_MAX_RANGES * 2];
};
extern struct page_heap page_heap;

// The four fields at the start of a struct page in one store: type, order, flags 0, refs.
static inline void page_set_header(struct page *page, enum page_type type, unsigned order, uint32_t refs) {
    *(uint64_t __attribute__((may_alias)) *)page = (uint64_t)refs << 32 | order << 8 | type;
}

// ---- page_buddy.c; the lock is held -----------------------------------------------------------------------------------

// A block with header PAGE_USED and refs 1, or NULL when there is none or only the reserve is left.
struct page *page_heap_take_locked(unsigned order, unsigned flags);
// Up to `wanted` single pages at once, not from the reserve; returns how many. Their headers are not set.
size_t page_heap_take_batch_locked(struct page **batch, size_t wanted);
// Puts a block on the lists, joined with its free neighbours.
void page_heap_put_locked(struct page *page, unsigned order);
// The same for any run of pages inside one maximal block.
void page_heap_put_run_locked(uint64_t start, uint64_t end);
// Pages that a caller with these flags may still take.
uint64_t page_heap_available_locked(unsigned flags);

// ---- page_release.c; the lock is held ---------------------------------------------------------------------------------

// Moves the next part of the unreleased memory, up to a maximal block, to the lists. False when there is none.
bool page_zone_release_next_locked(struct page_zone *zone);

// ---- page_alloc.c -----------------------------------------------------------------------------------------------------

// Empties CPU caches and asks the reclaimers; false when that brought nothing. No lock held of this allocator.
bool page_reclaim(size_t wanted);

// Reclaiming may bring pages and yet not what is asked for: a block in one piece, or more than the reserve.
#define PAGE_RECLAIM_ATTEMPTS 8

// A block past the CPU caches, with reclaiming, or NULL. No lock held of this allocator.
struct page *page_take_block(unsigned order, unsigned flags);

// ---- debug builds (page_debug.c) --------------------------------------------------------------------------------------

// Marks the pages as allocated: checks the poison, opens the KASAN shadow, notes the caller.
void page_debug_allocated(struct page *page, unsigned order, void *caller);
// Poisons them and closes the shadow.
void page_debug_freed(struct page *page, unsigned order, void *caller);
