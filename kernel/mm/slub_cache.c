// Setting up SLUB: the layout of a cache, the kmalloc classes, each CPU's page, statistics.
#include "abi/gen/errors.h"
#include "kernel/mm/slub_internal.h"

struct kmem_cache *slub_caches[SLUB_MAX_CACHES];
unsigned slub_cache_count;
struct kmem_cache kmalloc_caches[KMALLOC_CLASSES];

static struct spinlock register_lock = SPINLOCK_INIT("slub caches");
static __attribute__((aligned(PAGE_SIZE))) struct slub_cpu boot_parts[SLUB_MAX_CACHES];

static uint64_t random_secret(unsigned salt) {
    uint64_t value = 0;
    uint64_t seed;

    // Mixed, so that either source is enough.
    if (!arch_rdrand(&value)) value = (uint64_t)salt << 32;
    __builtin_memcpy(&seed, boot_info.seed + salt % 4 * 8, sizeof(seed));
    value ^= seed + salt * 0x9e3779b97f4a7c15ul;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ul;
    value = (value ^ value >> 27) * 0x94d049bb133111ebul;
    return value ^ value >> 31;
}

// Slabs as small as possible that hold at least 4 objects and waste at most an eighth.
static void choose_order(struct kmem_cache *cache) {
    for (cache->order = 0;; cache->order++) {
        size_t space = (PAGE_SIZE << cache->order) - cache->red_zone;
        size_t objects = space / cache->stride;

        // The last object needs no room for the next one's red zone.
        if (objects >= 4 && space - objects * cache->stride <= space / 8) break;
        if (cache->order == 5) break;
    }
    cache->objects = (uint16_t)(((PAGE_SIZE << cache->order) - cache->red_zone) / cache->stride);
}

static void choose_layout(struct kmem_cache *cache, size_t size, size_t align) {
    size = align_up(MAX(size, (size_t)8), 8);
    cache->object_size = (uint32_t)size;
    cache->link_offset = (uint32_t)align_down(size / 2, 8);
    cache->red_zone = CONFIG_DEBUG ? (uint32_t)MAX(align, (size_t)16) : 0;
    cache->stride = (uint32_t)align_up(size + (CONFIG_DEBUG ? 16 : 0), align);
    choose_order(cache);
    cache->slab_mask = ~((PAGE_SIZE << cache->order) - 1);
    verify(cache->objects >= 1);
}

void slub_cache_init(struct kmem_cache *cache, const char *name, size_t size, size_t align) {
    if (align == 0) align = 8;
    verify(size != 0 && size <= KMALLOC_MAX_SIZE && is_power_of_two(align) && align <= PAGE_SIZE);
    *cache = (struct kmem_cache){.name = name};
    spin_init(&cache->lock, "kmem_cache");
    list_init(&cache->partial);
    choose_layout(cache, size, MAX(align, (size_t)8));
    spin_lock(&register_lock);
    verify(slub_cache_count < SLUB_MAX_CACHES);
    cache->offset = slub_cache_count * (uint32_t)sizeof(struct slub_cpu);
    cache->secret = random_secret(slub_cache_count);
    slub_caches[slub_cache_count] = cache;
    __atomic_store_n(&slub_cache_count, slub_cache_count + 1, __ATOMIC_RELEASE);
    spin_unlock(&register_lock);
}

static void init_parts(struct cpu *cpu, struct slub_cpu *parts) {
    for (unsigned i = 0; i < SLUB_MAX_CACHES; i++) {
        parts[i] = (struct slub_cpu){.base = SLUB_NO_BASE};
        list_init(&parts[i].partial);
    }
    cpu->slub = parts;
}

int slub_cpu_init(struct cpu *cpu) {
    struct page *page = page_alloc(PAGE_ALLOC_ZERO);

    if (page == NULL) return -ENOMEM;
    init_parts(cpu, page_to_virt(page));
    return 0;
}

static const char *const kmalloc_names[KMALLOC_CLASSES] = {
    "kmalloc-16",  "kmalloc-32",  "kmalloc-48",   "kmalloc-64",   "kmalloc-96",   "kmalloc-128",
    "kmalloc-192", "kmalloc-256", "kmalloc-384",  "kmalloc-512",  "kmalloc-768",  "kmalloc-1024",
    "kmalloc-1536", "kmalloc-2048", "kmalloc-3072", "kmalloc-4096", "kmalloc-6144", "kmalloc-8192",
};

void slub_init(void) {
    init_parts(this_cpu(), boot_parts);
    for (unsigned i = 0; i < KMALLOC_CLASSES; i++) {
        size_t size = kmalloc_class_size(i);

        slub_cache_init(&kmalloc_caches[i], kmalloc_names[i], size, size % 64 == 0 ? 64 : 16);
    }
    page_reclaimer_register(&slub_reclaimer);
}

int64_t slub_live_objects(const struct kmem_cache *cache) {
    int64_t live = 0;

    for (uint32_t i = 0; i < CONFIG_MAX_CPUS; i++) {
        if (cpus[i].slub != NULL) live += __atomic_load_n(&slub_part(cache, &cpus[i])->live, __ATOMIC_RELAXED);
    }
    return live;
}

uint64_t slub_slabs(const struct kmem_cache *cache) {
    int32_t slabs = 0;

    for (uint32_t i = 0; i < CONFIG_MAX_CPUS; i++) {
        if (cpus[i].slub != NULL) slabs += __atomic_load_n(&slub_part(cache, &cpus[i])->slabs, __ATOMIC_RELAXED);
    }
    return (uint64_t)slabs;
}

bool slub_get_stats(unsigned index, struct slub_stats *stats) {
    const struct kmem_cache *cache;

    if (index >= __atomic_load_n(&slub_cache_count, __ATOMIC_ACQUIRE)) return false;
    cache = slub_caches[index];
    *stats = (struct slub_stats){
        .name = cache->name,
        .object_size = cache->object_size,
        .stride = cache->stride,
        .objects_per_slab = cache->objects,
        .pages_per_slab = 1u << cache->order,
        .live = (uint64_t)slub_live_objects(cache),
        .slabs = slub_slabs(cache),
    };
    stats->bytes = stats->slabs * stats->pages_per_slab * PAGE_SIZE;
    return true;
}
