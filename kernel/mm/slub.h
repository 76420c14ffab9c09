// Kernel objects: SLUB. A cache holds objects of one size in slabs of 2^order pages. A slab belongs to a CPU, which
// allocates from it and frees to it with plain loads and stores (the kernel runs with interrupts off). What other CPUs
// free goes to the slab's remote list, and the owner collects it when it runs dry. A CPU that has more slabs with free
// objects than it needs gives them to the cache, where any CPU takes them.
//
// Always on: free-list pointers are xored with a secret and their own address and lie in the middle of the object; an
// object taken from a list must lie in the slab; freeing the object that is first on its list (a double free) panics.
// Debug builds add red zones, poison, a search of the slab's list at every free, and KASAN.
//
// No function blocks. Any lock may be held, but not a cache's or the page allocator's.
#pragma once
#include "kernel/core/spinlock.h"
#include "lib/list.h"

#define SLUB_MAX_CACHES 64
#define KMALLOC_MAX_SIZE 8192  // larger ones get whole pages
#define SLUB_NO_BASE 1ul       // no address & slab_mask equals it

struct page;

// What a CPU has of a cache; one page per CPU holds those of all caches (cpu->slub).
struct slub_cpu {
    uint64_t base;         // address of the slab that the CPU allocates from, or SLUB_NO_BASE
    void *free;            // its free objects; every other object of it is out or in its remote list
    int64_t live;          // allocated less freed by this CPU; the sum over CPUs is the number of live objects
    struct page *mail;     // this CPU's slabs that others have freed into (atomic)
    struct list partial;   // this CPU's other slabs that have free objects
    uint32_t partial_count;
    int32_t slabs;         // made less destroyed by this CPU, as `live`
    uint32_t unused[2];
};
_Static_assert(sizeof(struct slub_cpu) * SLUB_MAX_CACHES == PAGE_SIZE, "a CPU's parts fill one page");

struct kmem_cache {
    uint32_t offset;       // of the cache's struct slub_cpu in the CPU's page
    uint32_t link_offset;  // of the free-list pointer in a free object
    uint64_t slab_mask;    // address of an object & slab_mask = address of its slab
    uint64_t secret;
    uint32_t object_size;  // usable bytes
    uint32_t stride;       // from one object to the next
    uint32_t red_zone;     // bytes in front of each object (debug builds)
    uint16_t objects;      // per slab
    uint8_t order;         // of a slab
    const char *name;
    // Slabs that belong to no CPU, all with free objects.
    cacheline_aligned struct spinlock lock;
    struct list partial;     // under lock
    uint32_t partial_count;  // under lock
    uint32_t empty_count;    // of these, without a live object; under lock
};

// Builds the kmalloc caches; page_alloc_init has run. On the boot CPU, before anything else here.
void slub_init(void);
// Gives a CPU its page of slub_cpu; before that CPU allocates. Returns 0 or -ENOMEM.
[[nodiscard]] int slub_cpu_init(struct cpu *cpu);

// Sets up a cache of objects of `size` bytes aligned to `align` (a power of two up to 4096; 0: 8 bytes). `cache` and
// `name` are static. Caches are never destroyed. At most SLUB_MAX_CACHES and 8 KiB per object: panics beyond.
void slub_cache_init(struct kmem_cache *cache, const char *name, size_t size, size_t align);

// An object with undefined content, or NULL when there is no memory.
[[nodiscard]] void *slub_alloc(struct kmem_cache *cache);
[[nodiscard]] void *slub_alloc_zeroed(struct kmem_cache *cache);
// Frees an object of this cache; on any CPU. Not NULL.
void slub_free(struct kmem_cache *cache, void *object);
// Frees `count` objects of any caches (kmalloc or slub_alloc): what has gathered for an RCU grace period.
void kfree_bulk(void **objects, size_t count);

// Memory of at least `size` bytes, aligned to 16, and to 64 when the size is a multiple of 64. NULL when there is none
// or size is 0 or more than 4 MiB. Content undefined.
[[nodiscard]] void *kmalloc(size_t size);
[[nodiscard]] void *kzalloc(size_t size);
// count * size bytes, zeroed; NULL when the product overflows.
[[nodiscard]] void *kcalloc(size_t count, size_t size);
// Frees what kmalloc or slub_alloc returned; NULL does nothing.
void kfree(void *object);
// Bytes that an allocation really has, for accounting. Of an object that is out.
size_t kmalloc_usable_size(const void *object);
// What kmalloc(size) would take, for charging a quota before allocating.
size_t kmalloc_round_up(size_t size);

// The caches behind kmalloc: 16, 32, 48, 64, then two per doubling up to 8192.
#define KMALLOC_CLASSES 18
extern struct kmem_cache kmalloc_caches[KMALLOC_CLASSES];

// Index of the smallest class that holds `size` bytes: 1 .. KMALLOC_MAX_SIZE.
static inline unsigned kmalloc_class(size_t size) {
    unsigned doubling;

    if (size <= 64) return (unsigned)(size - 1) / 16;
    doubling = log2_ceil(size);
    return 3 + 2 * (doubling - 6) - (size <= 3ul << (doubling - 2));
}

static inline size_t kmalloc_class_size(unsigned class) {
    if (class < 4) return 16 * (class + 1);
    return (class & 1 ? 4ul : 3ul) << ((class - 3 + 1) / 2 + 4);
}

// Gives every slab without a live object back to the page allocator, also those that other CPUs hold. Returns the pages
// freed.
size_t slub_shrink_all(void);

struct slub_stats {
    const char *name;
    uint32_t object_size, stride, objects_per_slab, pages_per_slab;
    uint64_t live;   // objects out
    uint64_t slabs;
    uint64_t bytes;  // of the slabs
};
// Statistics of the cache number `index` (0, 1, ...); false beyond the last.
bool slub_get_stats(unsigned index, struct slub_stats *stats);
// Live objects of one cache, and its slabs; exact when no other CPU allocates.
int64_t slub_live_objects(const struct kmem_cache *cache);
uint64_t slub_slabs(const struct kmem_cache *cache);
