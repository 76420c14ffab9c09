// Making, taking apart and recognising slabs.
#include "kernel/mm/slub_internal.h"

struct page *slab_of(const struct kmem_cache *cache, const void *object) {
    struct page *page = virt_to_page((void *)((uint64_t)object & cache->slab_mask));

    if (unlikely(page_number(page) >= page_array_count || page->type != PAGE_SLAB || page->slab.cache != cache))
        slub_panic(cache, object, "not an object of this cache");
    return page;
}

// All objects in the order of their addresses.
static void *link_objects(struct kmem_cache *cache, struct page *slab) {
    char *first = (char *)page_to_virt(slab) + cache->red_zone;
    char *object = first + (size_t)cache->stride * (cache->objects - 1u);
    void *list = NULL;

    for (unsigned i = 0; i < cache->objects; i++, object -= cache->stride) {
        slub_set_next(cache, object, list);
        list = object;
    }
    return list;
}

struct page *slab_create(struct kmem_cache *cache) {
    struct page *slab = page_alloc_block(cache->order, 0);

    if (slab == NULL) return NULL;
    if (CONFIG_DEBUG) slub_debug_new_slab(cache, slab);
    page_set_type(slab, PAGE_USED, PAGE_SLAB);
    for (size_t i = 1; i < 1ul << cache->order; i++) {
        slab[i].type = PAGE_SLAB_TAIL;
        slab[i].slab_head = slab;
    }
    slab->slab.cache = cache;
    slab->slab.free = link_objects(cache, slab);
    slab->slab.remote = NULL;
    slab->slab.mail = NULL;
    list_node_init(&slab->slab.link);
    slab_set(slab, SLAB_FULL, 0);
    slab_set_owner(slab, cpu_id());
    slub_my_part(cache)->slabs++;
    return slab;
}

void slab_destroy(struct kmem_cache *cache, struct page *slab) {
    verify(slab_live(slab) == 0 && slab->slab.remote == NULL && !list_node_is_linked(&slab->slab.link));
    if (CONFIG_DEBUG) slub_debug_destroy(cache, slab);
    for (size_t i = 1; i < 1ul << cache->order; i++) slab[i].type = 0;
    page_set_type(slab, PAGE_SLAB, PAGE_USED);
    slub_my_part(cache)->slabs--;
    page_free_block(slab, cache->order);
}

void *slab_collect_remote(struct kmem_cache *cache, struct page *slab, void *list, uint32_t *count) {
    void *object = __atomic_exchange_n(&slab->slab.remote, NULL, __ATOMIC_ACQUIRE);

    *count = 0;
    while (object != NULL) {
        void *next = slub_next(cache, object);

        if (unlikely(slab_of(cache, object) != slab || *count == cache->objects))
            slub_panic(cache, object, "remote free list is corrupt: freed twice, or written after it was freed");
        slub_set_next(cache, object, list);
        list = object;
        object = next;
        ++*count;
    }
    return list;
}

uint32_t slab_count_list(const struct kmem_cache *cache, void *list) {
    uint32_t count = 0;

    for (void *object = list; object != NULL; object = slub_next(cache, object)) {
        if (unlikely(count == cache->objects || (((uint64_t)object ^ (uint64_t)list) & cache->slab_mask) != 0))
            slub_panic(cache, object, "free list is corrupt");
        count++;
    }
    return count;
}
