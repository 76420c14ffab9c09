// Physical pages. Every 4 KiB frame has a struct page; a block of 2^order pages is described by the struct page of its
// first page. A buddy allocator serves orders 0..PAGE_MAX_ORDER, with a per-CPU cache of single pages in front.
//
// Only the first struct page of a block is initialised: memory is released to the buddy lists one maximal block at a time
// when it is first needed, and splitting a block initialises its halves' first pages and no others. So boot costs the
// same at any size of RAM, and the struct page of a page inside a larger block holds nothing until page_split_block.
//
// Lock: one for the buddy lists, a leaf. The per-CPU caches need none (the kernel runs with interrupts off). All
// functions may be called with any other lock held, and never block.
#pragma once
#include "kernel/arch/x86_64/arch.h"
#include "kernel/core/assert.h"
#include "lib/list.h"

#define PAGE_MAX_ORDER 10  // 4 MiB
#define PAGE_BLOCK_PAGES (1ul << PAGE_MAX_ORDER)

// What a page is. Odd values, so that neither zeroed memory nor small integers look like one.
enum page_type {
    PAGE_RESERVED = 0x51,   // not RAM, or never handed to the allocator
    PAGE_FREE = 0x62,       // first page of a block on a buddy list
    PAGE_CACHED = 0x73,     // in a CPU's cache
    PAGE_USED = 0x84,       // allocated; the owner may set one of the types below and must set this again to free it
    PAGE_SLAB = 0x95,       // first page of a slab
    PAGE_SLAB_TAIL = 0xa6,  // another page of a slab; slab_head leads to the first
    PAGE_LARGE = 0xb7,      // a kmalloc too large for a slab
    PAGE_TABLE = 0xc8,      // page table
    PAGE_VMO = 0xd9,        // content of a VMO
    PAGE_POOL = 0xea,       // belongs to the WASM pool
    PAGE_FILE = 0xfb,       // content of a PAGED VMO: `owner` is the VMO, `refs` 1 and one for each pin
};

struct kmem_cache;

struct page {
    uint8_t type;    // enum page_type
    uint8_t order;   // of the block that starts here; set by the allocator
    uint16_t flags;  // the owner's
    uint32_t refs;   // the owner's; 1 after allocation
    union {
        struct list_node buddy;  // PAGE_FREE
        struct {                 // PAGE_SLAB: kernel/mm/slub.c; `flags` is the owning CPU, `refs` objects out and place
            struct kmem_cache *cache;
            void *free;             // free objects while no CPU allocates from the slab
            void *remote;           // objects that other CPUs freed: atomic
            struct page *mail;      // next slab in the owner's mailbox
            struct list_node link;  // on the list that the place tells
        } slab;
        struct page *slab_head;  // PAGE_SLAB_TAIL
        struct {                 // PAGE_VMO and whoever else needs it
            void *owner;
            uint64_t index;
            struct list_node link;
            uint64_t word[2];
        };
    };
    uint64_t allocated_by;  // debug builds: return address of the allocation or free
};
_Static_assert(sizeof(struct page) == 64, "one cache line");

extern struct page *page_array_base;  // struct page of physical address 0
extern uint64_t page_array_count;     // pages described: every RAM page is below this

static inline uint64_t page_number(const struct page *page) { return (uint64_t)(page - page_array_base); }
static inline paddr_t page_to_phys(const struct page *page) { return paddr(page_number(page) << PAGE_SHIFT); }
static inline struct page *phys_to_page(paddr_t address) { return page_array_base + (address.v >> PAGE_SHIFT); }
static inline void *page_to_virt(const struct page *page) { return phys_to_virt(page_to_phys(page)); }
static inline struct page *virt_to_page(const void *address) { return phys_to_page(virt_to_phys(address)); }

// Takes over the usable RAM: page-aligned ranges, sorted, not overlapping. Sets the page array aside from them. Called
// once, on the boot CPU, with the direct map in place; panics when there is too little memory.
void page_alloc_init(const struct mem_range *ranges, unsigned count);

// Whether the address is in the RAM that page_alloc_init was given: only then it has a struct page to be used.
bool page_is_ram(paddr_t address);

// Hands more memory to the allocator: the boot archive, boot tables. Page aligned, inside the range of RAM given at init
// but not part of it. Costs nothing until the pages are needed. Returns the number of pages taken.
size_t page_release_range(struct mem_range range);

// Takes whole maximal blocks, at least `size` bytes if there are so many, out of what has not been released yet, for
// the WASM pool: at most `max` ranges; returns how many. To be called during boot. The struct pages in them are not
// initialised.
unsigned page_set_aside(uint64_t size, struct mem_range *out, unsigned max);

enum page_alloc_flags {
    PAGE_ALLOC_ZERO = 1 << 0,     // zeroed
    PAGE_ALLOC_RESERVE = 1 << 1,  // may use the last pages: only for what frees memory (exit, unmap, write-back)
    PAGE_ALLOC_LOW = 1 << 2,      // below 4 GiB
};

// One page of type PAGE_USED with refs 1, or NULL when there is no memory left after asking the reclaimers. The content
// is undefined without PAGE_ALLOC_ZERO.
[[nodiscard]] struct page *page_alloc(unsigned flags);
// Gives back one page. It must be PAGE_USED, which catches a page freed twice or by the wrong owner; panics otherwise.
void page_free(struct page *page);

// The same for a block of 2^order pages, aligned to its size. order <= PAGE_MAX_ORDER.
[[nodiscard]] struct page *page_alloc_block(unsigned order, unsigned flags);
void page_free_block(struct page *page, unsigned order);
// Turns an allocated block into 2^order single pages, each PAGE_USED with refs 1 and to be freed by itself.
void page_split_block(struct page *page, unsigned order);

// `count` physically contiguous pages (1..PAGE_BLOCK_PAGES), aligned to the next power of two. For DMA.
[[nodiscard]] struct page *page_alloc_contiguous(size_t count, unsigned flags);
void page_free_contiguous(struct page *page, size_t count);

// Fills a page, or a block of `count`, with zeros.
void page_zero(struct page *page);
void page_zero_range(void *virt, size_t count);

// Gives a page to a subsystem and back; panics unless the page has the type expected.
static inline void page_set_type(struct page *page, enum page_type from, enum page_type to) {
    verify(page->type == from);
    page->type = (uint8_t)to;
}

// When memory runs out, the reclaimers are asked in the order of registration to give back what they can spare.
// reclaim(wanted) frees up to `wanted` pages and returns how many. It runs in the middle of somebody's allocation, with
// unknown locks held: it takes locks only by spin_trylock, allocates nothing, does not block.
struct page_reclaimer {
    size_t (*reclaim)(size_t wanted);
    struct page_reclaimer *next;
};
void page_reclaimer_register(struct page_reclaimer *reclaimer);

// Prepares the cache of single pages of a CPU, before that CPU allocates. The boot CPU's is ready after page_alloc_init.
void page_cpu_init(struct cpu *cpu);

// Gives the CPU caches of single pages back to the buddy lists, on all CPUs.
void page_drain_caches(void);

struct page_stats {
    uint64_t total;       // pages ever handed over, without the page array and what was set aside
    uint64_t free;        // buddy + cached + unreleased; exact when no other CPU allocates
    uint64_t cached;      // in CPU caches
    uint64_t unreleased;  // not initialised yet
    uint64_t reserve;     // of the free ones, only for PAGE_ALLOC_RESERVE
    uint64_t array;       // pages of the page array
    uint64_t set_aside;
    uint64_t free_blocks[PAGE_MAX_ORDER + 1];
};
void page_get_stats(struct page_stats *stats);
uint64_t page_free_count(void);
