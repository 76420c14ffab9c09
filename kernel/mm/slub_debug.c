// SLUB in debug builds. Around every object lie red zones; a free object is filled with poison but for its link. Both are
// checked when the object changes hands, and KASAN catches the access itself.
#include "kernel/mm/kasan.h"
#include "kernel/mm/slub_internal.h"

enum { RED_FREE = 0xbb, RED_USED = 0xcc, POISON_FREE = 0x6b };

#define SPREAD 0x0101010101010101ull

// Plain loops, by words where there are whole ones: this runs on memory that KASAN forbids to all others.
static void fill(void *to, unsigned char value, size_t size) {
    unsigned char *at = to;

    for (; size != 0 && (uint64_t)at % 8 != 0; at++, size--) *(volatile unsigned char *)at = value;
    for (; size >= 8; at += 8, size -= 8) *(volatile uint64_t *)at = value * SPREAD;
    for (; size != 0; at++, size--) *(volatile unsigned char *)at = value;
}

static bool is_filled(const void *from, unsigned char value, size_t size) {
    const unsigned char *at = from;
    uint64_t wrong = 0;

    for (; size != 0 && (uint64_t)at % 8 != 0; at++, size--) wrong |= *at ^ (uint64_t)value;
    for (; size >= 8; at += 8, size -= 8) wrong |= *(const uint64_t __attribute__((may_alias)) *)at ^ value * SPREAD;
    for (; size != 0; at++, size--) wrong |= *at ^ (uint64_t)value;
    return wrong == 0;
}

// The gap behind an object: the next one's red zone, or the rest of the slab up to 16 bytes.
static size_t gap_after(const struct kmem_cache *cache) {
    return cache->stride - cache->object_size;
}

static void set_gap(const struct kmem_cache *cache, void *object, unsigned char value) {
    fill((char *)object + cache->object_size, value, gap_after(cache));
}

static void fill_free(const struct kmem_cache *cache, void *object) {
    size_t after = cache->link_offset + sizeof(uint64_t);

    fill(object, POISON_FREE, cache->link_offset);
    fill((char *)object + after, POISON_FREE, cache->object_size - after);
    set_gap(cache, object, RED_FREE);
}

static void check_free(const struct kmem_cache *cache, void *object) {
    size_t after = cache->link_offset + sizeof(uint64_t);

    if (!is_filled(object, POISON_FREE, cache->link_offset) ||
        !is_filled((char *)object + after, POISON_FREE, cache->object_size - after))
        slub_panic(cache, object, "written after it was freed");
    if (!is_filled((char *)object + cache->object_size, RED_FREE, gap_after(cache)))
        slub_panic(cache, object, "red zone of a free object overwritten");
}

void slub_debug_new_slab(struct kmem_cache *cache, struct page *slab) {
    char *start = page_to_virt(slab);
    char *object = start + cache->red_zone;

    kasan_poison(start, PAGE_SIZE << cache->order, KASAN_RED_ZONE);
    fill(start, RED_USED, cache->red_zone);
    for (unsigned i = 0; i < cache->objects; i++, object += cache->stride) {
        fill_free(cache, object);
        kasan_poison(object, cache->object_size, KASAN_OBJECT_FREE);
    }
}

void slub_debug_destroy(struct kmem_cache *cache, struct page *slab) {
    if (!is_filled(page_to_virt(slab), RED_USED, cache->red_zone))
        slub_panic(cache, page_to_virt(slab), "red zone at the start of the slab overwritten");
    kasan_unpoison(page_to_virt(slab), PAGE_SIZE << cache->order);
}

void slub_debug_alloc(struct kmem_cache *cache, void *object) {
    check_free(cache, object);
    set_gap(cache, object, RED_USED);
    kasan_unpoison(object, cache->object_size);
}

// Whether the object is on this list: a double free that the check of the first one misses.
static bool is_listed(const struct kmem_cache *cache, void *list, const void *object) {
    for (unsigned i = 0; list != NULL && i < cache->objects; i++, list = slub_next(cache, list)) {
        if (list == object) return true;
    }
    return false;
}

void slub_debug_free(struct kmem_cache *cache, void *object) {
    struct page *slab = slab_of(cache, object);
    uint64_t offset = (uint64_t)object - (uint64_t)page_to_virt(slab) - cache->red_zone;

    if (offset % cache->stride != 0 || offset / cache->stride >= cache->objects)
        slub_panic(cache, object, "freed address is not the start of an object");
    if (is_filled((char *)object + cache->object_size, RED_FREE, gap_after(cache))) slub_panic(cache, object, "freed twice");
    if (!is_filled((char *)object + cache->object_size, RED_USED, gap_after(cache)))
        slub_panic(cache, object, "red zone behind it overwritten");
    if (slab_owner(slab) == cpu_id() &&
        is_listed(cache, slab_place(slab) == SLAB_CURRENT ? slub_my_part(cache)->free : slab->slab.free, object))
        slub_panic(cache, object, "freed twice");
    fill_free(cache, object);
    kasan_poison(object, cache->object_size, KASAN_OBJECT_FREE);
}
