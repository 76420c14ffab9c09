// What SLUB does when the current slab does not serve: the only users of a CPU's lists.
#include "kernel/mm/slub_internal.h"

static void list_partial(struct slub_cpu *part, struct page *slab) {
    slab_set(slab, SLAB_PARTIAL, slab_live(slab));
    list_push_front(&part->partial, &slab->slab.link);
    part->partial_count++;
}

void slub_unlist_partial(struct slub_cpu *part, struct page *slab) {
    list_remove(&slab->slab.link);
    part->partial_count--;
    slab_set(slab, SLAB_FULL, slab_live(slab));
}

void slub_retire_current(struct kmem_cache *cache, struct slub_cpu *part) {
    struct page *slab;

    if (part->base == SLUB_NO_BASE) return;
    slab = slab_of(cache, (void *)part->base);
    slab->slab.free = part->free;
    slab_set(slab, SLAB_FULL, cache->objects - slab_count_list(cache, part->free));
    part->base = SLUB_NO_BASE;
    part->free = NULL;
    if (slab->slab.free != NULL) list_partial(part, slab);
}

static void make_current(struct slub_cpu *part, struct page *slab) {
    part->base = (uint64_t)page_to_virt(slab);
    part->free = slab->slab.free;
    slab->slab.free = NULL;
    slab_set(slab, SLAB_CURRENT, 0);
}

// This CPU's slab came by mail.
static void collect_own(struct kmem_cache *cache, struct slub_cpu *part, struct page *slab) {
    uint32_t count;

    if (slab_place(slab) == SLAB_CURRENT) {
        part->free = slab_collect_remote(cache, slab, part->free, &count);
        return;
    }
    slab->slab.free = slab_collect_remote(cache, slab, slab->slab.free, &count);
    verify(count <= slab_live(slab));
    slab_set(slab, slab_place(slab), slab_live(slab) - count);
    if (slab_place(slab) == SLAB_FULL && count != 0) list_partial(part, slab);
}

struct page *slub_collect_mail(struct kmem_cache *cache, struct slub_cpu *part) {
    struct page *slab = __atomic_exchange_n(&part->mail, NULL, __ATOMIC_ACQUIRE);
    struct page *others = NULL;

    while (slab != NULL) {
        struct page *next = slab->slab.mail;

        if (slab_owner(slab) == cpu_id()) {
            collect_own(cache, part, slab);
        } else {
            slab->slab.mail = others;
            others = slab;
        }
        slab = next;
    }
    return others;
}

// Frees and gives away what is more than this CPU should keep. Takes locks: the list is looked at afresh each time.
static void trim_partial(struct kmem_cache *cache, struct slub_cpu *part) {
    while (part->partial_count > SLUB_MAX_PARTIAL) {
        struct page *slab = list_entry(list_last(&part->partial), struct page, slab.link);

        slub_unlist_partial(part, slab);
        // Not FULL: its mail may come while this CPU waits for the lock, and must not list it again.
        slab_set(slab, SLAB_FLIGHT, slab_live(slab));
        if (slab_live(slab) == 0)
            slab_destroy(cache, slab);
        else
            slab_share(cache, slab);
    }
}

static bool process_mail(struct kmem_cache *cache, struct slub_cpu *part) {
    struct page *others;

    if (__atomic_load_n(&part->mail, __ATOMIC_RELAXED) == NULL) return false;
    others = slub_collect_mail(cache, part);
    while (others != NULL) {
        struct page *next = others->slab.mail;

        slab_post(cache, others);
        others = next;
    }
    trim_partial(cache, part);
    return true;
}

// Gives the CPU a current slab with free objects; false when there is no memory.
static bool find_slab(struct kmem_cache *cache, struct slub_cpu *part) {
    while (part->free == NULL) {
        struct page *slab;

        if (!list_is_empty(&part->partial)) {
            slab = list_entry(list_first(&part->partial), struct page, slab.link);
            slub_retire_current(cache, part);
            slub_unlist_partial(part, slab);
            make_current(part, slab);
            continue;
        }
        if (process_mail(cache, part)) continue;
        slab = slab_adopt(cache);
        if (slab == NULL) slab = slab_create(cache);
        if (slab == NULL) return false;
        list_partial(part, slab);
    }
    return true;
}

coldpath void *slub_alloc_slow(struct kmem_cache *cache) {
    struct slub_cpu *part = slub_my_part(cache);

    if (unlikely(part->free != NULL)) slub_panic(cache, part->free, "free list leaves the slab: written after it was freed");
    return find_slab(cache, part) ? slub_alloc(cache) : NULL;
}

// An object of this CPU's slab that is not the current one.
static void free_own(struct kmem_cache *cache, struct slub_cpu *part, struct page *slab, void *object) {
    if (unlikely(object == slab->slab.free)) slub_panic(cache, object, "freed twice");
    verify(slab_live(slab) != 0);
    slub_set_next(cache, object, slab->slab.free);
    slab->slab.free = object;
    slab->refs--;  // one live object less
    if (slab_place(slab) == SLAB_FULL) {
        list_partial(part, slab);
        if (unlikely(part->partial_count > SLUB_MAX_PARTIAL)) trim_partial(cache, part);
        return;
    }
    if (slab_live(slab) == 0 && part->partial_count > SLUB_KEEP_EMPTY) {
        slub_unlist_partial(part, slab);
        slab_destroy(cache, slab);
    }
}

static void free_remote(struct kmem_cache *cache, struct page *slab, void *object) {
    void *seen = __atomic_load_n(&slab->slab.remote, __ATOMIC_RELAXED);

    do {
        if (unlikely(object == seen)) slub_panic(cache, object, "freed twice");
        slub_set_next(cache, object, seen);
    } while (!__atomic_compare_exchange_n(&slab->slab.remote, &seen, object, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (seen == NULL) slab_post(cache, slab);
}

void slub_free_slow(struct kmem_cache *cache, void *object) {
    struct slub_cpu *part = slub_my_part(cache);
    struct page *slab = slab_of(cache, object);

    part->live--;
    if (likely(slab_owner(slab) == cpu_id()))
        free_own(cache, part, slab, object);
    else
        free_remote(cache, slab, object);
}
