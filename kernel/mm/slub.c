// The short ways of SLUB and the functions around them. The states of slabs are described in slub_internal.h.
#include "kernel/mm/slub.h"

#include "kernel/mm/kasan.h"
#include "kernel/mm/slub_internal.h"
#include "lib/string.h"

void slub_panic(const struct kmem_cache *cache, const void *object, const char *what) {
    panic("slub: cache %s, object %p: %s", cache->name, object, what);
}

void *slub_alloc(struct kmem_cache *cache) {
    struct slub_cpu *part = slub_my_part(cache);
    void *object = part->free;

    // Also when there is none: no slab lies at address 0.
    if (unlikely(((uint64_t)object & cache->slab_mask) != part->base)) return slub_alloc_slow(cache);
    part->free = slub_next(cache, object);
    part->live++;
    if (CONFIG_DEBUG) slub_debug_alloc(cache, object);
    return object;
}

void slub_free(struct kmem_cache *cache, void *object) {
    struct slub_cpu *part = slub_my_part(cache);

    if (CONFIG_DEBUG) slub_debug_free(cache, object);
    if (unlikely(((uint64_t)object & cache->slab_mask) != part->base)) {
        slub_free_slow(cache, object);
        return;
    }
    if (unlikely(object == part->free)) slub_panic(cache, object, "freed twice");
    slub_set_next(cache, object, part->free);
    part->free = object;
    part->live--;
}

void *slub_alloc_zeroed(struct kmem_cache *cache) {
    void *object = slub_alloc(cache);

    return object == NULL ? NULL : memset(object, 0, cache->object_size);
}

// The block that kmalloc took for this size, whole pages.
static unsigned large_order(size_t size) {
    return log2_ceil(div_round_up(size, PAGE_SIZE));
}

static coldpath void *alloc_large(size_t size) {
    struct page *page;

    if (size > PAGE_BLOCK_PAGES * PAGE_SIZE) return NULL;
    page = page_alloc_block(large_order(size), 0);
    if (page == NULL) return NULL;
    page_set_type(page, PAGE_USED, PAGE_LARGE);
    return page_to_virt(page);
}

void *kmalloc(size_t size) {
    void *object;

    if (unlikely(size - 1 >= KMALLOC_MAX_SIZE)) return size == 0 ? NULL : alloc_large(size);
    object = slub_alloc(&kmalloc_caches[kmalloc_class(size)]);
    if (CONFIG_KASAN && object != NULL) {
        size_t used = align_up(size, 8);

        kasan_poison((char *)object + used, kmalloc_caches[kmalloc_class(size)].object_size - used, KASAN_RED_ZONE);
        kasan_unpoison(object, size);
    }
    return object;
}

void *kzalloc(size_t size) {
    void *object = kmalloc(size);

    return object == NULL ? NULL : memset(object, 0, size);
}

void *kcalloc(size_t count, size_t size) {
    uint64_t bytes;

    return checked_mul(count, size, &bytes) ? kzalloc(bytes) : NULL;
}

// The first page of the slab or large block that holds the address.
static struct page *head_of(const void *object) {
    struct page *page = virt_to_page(object);

    verify(page_number(page) < page_array_count);
    return page->type == PAGE_SLAB_TAIL ? page->slab_head : page;
}

void kfree(void *object) {
    struct page *page;

    if (object == NULL) return;
    page = head_of(object);
    if (likely(page->type == PAGE_SLAB)) {
        slub_free(page->slab.cache, object);
        return;
    }
    if (page->type != PAGE_LARGE || page_to_virt(page) != object)
        panic("kfree: %p is no allocation (page type %#x)", object, page->type);
    page->type = PAGE_USED;
    page_free_block(page, page->order);
}

void kfree_bulk(void **objects, size_t count) {
    for (size_t i = 0; i < count; i++) kfree(objects[i]);
}

size_t kmalloc_usable_size(const void *object) {
    struct page *page = head_of(object);

    verify(page->type == PAGE_SLAB || page->type == PAGE_LARGE);
    return page->type == PAGE_SLAB ? page->slab.cache->object_size : PAGE_SIZE << page->order;
}

size_t kmalloc_round_up(size_t size) {
    if (size == 0) return 0;
    return size <= KMALLOC_MAX_SIZE ? kmalloc_class_size(kmalloc_class(size)) : PAGE_SIZE << large_order(size);
}
