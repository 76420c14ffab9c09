// Slabs between CPUs: mailboxes, the shared list, shrinking.
// Lock: a cache's, which guards its shared list and all slabs without an owner. Slabs are freed after it is released.
#include "kernel/mm/slub_internal.h"

static void push_mail(struct slub_cpu *part, struct page *slab) {
    struct page *seen = __atomic_load_n(&part->mail, __ATOMIC_RELAXED);

    do {
        slab->slab.mail = seen;
    } while (!__atomic_compare_exchange_n(&part->mail, &seen, slab, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

// Moves all shared slabs without live objects to `dead`.
static void sweep_locked(struct kmem_cache *cache, struct list *dead) {
    list_for_each_safe(node, &cache->partial) {
        struct page *slab = list_entry(node, struct page, slab.link);

        if (slab_live(slab) != 0) continue;
        list_remove(node);
        list_push_back(dead, node);
        cache->partial_count--;
    }
    cache->empty_count = 0;
}

// Empty slabs stay on the shared list until they are many: then one walk finds them all.
static void sweep_if_due_locked(struct kmem_cache *cache, struct list *dead) {
    if (cache->empty_count > 4 && cache->empty_count > cache->partial_count / 2) sweep_locked(cache, dead);
}

static void destroy_all(struct kmem_cache *cache, struct list *dead) {
    struct page *slab;

    while ((slab = list_pop_front_entry(dead, struct page, slab.link)) != NULL) slab_destroy(cache, slab);
}

// A slab without an owner has something in its remote list.
static void collect_unowned_locked(struct kmem_cache *cache, struct page *slab) {
    uint32_t count;

    slab->slab.free = slab_collect_remote(cache, slab, slab->slab.free, &count);
    verify(count <= slab_live(slab));
    slab_set(slab, slab_place(slab), slab_live(slab) - count);
    if (count != 0 && slab_live(slab) == 0 && slab_place(slab) == SLAB_SHARED) cache->empty_count++;
}

void slab_post(struct kmem_cache *cache, struct page *slab) {
    struct list dead = LIST_INIT(dead);

    for (;;) {
        uint16_t owner = slab_owner(slab);

        if (owner != SLAB_NO_CPU) {
            push_mail(slub_part(cache, &cpus[owner]), slab);
            return;
        }
        spin_lock(&cache->lock);
        if (slab_owner(slab) == SLAB_NO_CPU) break;
        spin_unlock(&cache->lock);  // it was adopted just now
    }
    collect_unowned_locked(cache, slab);
    sweep_if_due_locked(cache, &dead);
    spin_unlock(&cache->lock);
    destroy_all(cache, &dead);
}

static void list_shared_locked(struct kmem_cache *cache, struct page *slab) {
    slab_set(slab, SLAB_SHARED, slab_live(slab));
    list_push_front(&cache->partial, &slab->slab.link);
    cache->partial_count++;
    if (slab_live(slab) == 0) cache->empty_count++;
}

void slab_share(struct kmem_cache *cache, struct page *slab) {
    struct list dead = LIST_INIT(dead);

    spin_lock(&cache->lock);
    slab_set_owner(slab, SLAB_NO_CPU);
    list_shared_locked(cache, slab);
    sweep_if_due_locked(cache, &dead);
    spin_unlock(&cache->lock);
    destroy_all(cache, &dead);
}

struct page *slab_adopt(struct kmem_cache *cache) {
    struct page *slab;

    if (__atomic_load_n(&cache->partial_count, __ATOMIC_RELAXED) == 0) return NULL;
    spin_lock(&cache->lock);
    slab = list_pop_front_entry(&cache->partial, struct page, slab.link);
    if (slab != NULL) {
        cache->partial_count--;
        if (slab_live(slab) == 0) cache->empty_count--;
        slab_set(slab, SLAB_FULL, slab_live(slab));
        slab_set_owner(slab, cpu_id());
    }
    spin_unlock(&cache->lock);
    return slab;
}

// What CPUs hand over when they are asked to shrink: stacks without a lock.
struct handover {
    struct page *slabs;  // FLIGHT, linked by slab.link.next
    struct page *mail;   // to be posted by the receiver, linked by slab.mail
};

static void hand_over_slab(struct handover *handover, struct slub_cpu *part, struct page *slab) {
    struct page *seen = __atomic_load_n(&handover->slabs, __ATOMIC_RELAXED);

    slub_unlist_partial(part, slab);
    slab_set(slab, SLAB_FLIGHT, slab_live(slab));
    do {
        slab->slab.link.next = seen == NULL ? NULL : &seen->slab.link;
        // From here on others may collect into the slab, under the lock.
        slab_set_owner(slab, SLAB_NO_CPU);
    } while (!__atomic_compare_exchange_n(&handover->slabs, &seen, slab, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static void hand_over_mail(struct handover *handover, struct page *chain) {
    while (chain != NULL) {
        struct page *next = chain->slab.mail;
        struct page *seen = __atomic_load_n(&handover->mail, __ATOMIC_RELAXED);

        do {
            chain->slab.mail = seen;
        } while (!__atomic_compare_exchange_n(&handover->mail, &seen, chain, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
        chain = next;
    }
}

// Runs on every CPU, perhaps while it waits for a lock: takes none.
static void hand_over_all(void *arg) {
    struct handover *handovers = arg;
    unsigned count = __atomic_load_n(&slub_cache_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < count; i++) {
        struct kmem_cache *cache = slub_caches[i];
        struct slub_cpu *part = slub_my_part(cache);
        struct list_node *node;

        hand_over_mail(&handovers[i], slub_collect_mail(cache, part));
        slub_retire_current(cache, part);
        while ((node = list_first(&part->partial)) != NULL)
            hand_over_slab(&handovers[i], part, list_entry(node, struct page, slab.link));
    }
}

// Takes over what the CPUs gave; returns the pages freed. Mail that was posted on sets *again.
static size_t take_over(struct kmem_cache *cache, struct handover *handover, bool *again) {
    struct list dead = LIST_INIT(dead);
    struct page *slab = __atomic_load_n(&handover->slabs, __ATOMIC_ACQUIRE);
    struct page *mail = __atomic_load_n(&handover->mail, __ATOMIC_ACQUIRE);
    size_t count = 0;

    while (mail != NULL) {
        struct page *next = mail->slab.mail;

        slab_post(cache, mail);
        *again = true;
        mail = next;
    }
    spin_lock(&cache->lock);
    while (slab != NULL) {
        struct list_node *next = slab->slab.link.next;

        list_shared_locked(cache, slab);
        slab = next == NULL ? NULL : list_entry(next, struct page, slab.link);
    }
    sweep_locked(cache, &dead);
    spin_unlock(&cache->lock);
    list_for_each(node, &dead) count += 1ul << cache->order;
    destroy_all(cache, &dead);
    return count;
}

// One shrinker at a time: the hand-over stacks are too large for a kernel stack.
static struct spinlock shrink_lock = SPINLOCK_INIT("slub shrink");
static struct handover handovers[SLUB_MAX_CACHES];

static size_t shrink_once(bool *again) {
    uint64_t others = (cpu_count >= 64 ? 0 : 1ul << cpu_count) - 1;
    size_t freed = 0;

    others &= ~(1ul << cpu_id());
    for (unsigned i = 0; i < SLUB_MAX_CACHES; i++) handovers[i] = (struct handover){NULL, NULL};
    hand_over_all(handovers);
    if (others != 0) arch_call_cpus(others, hand_over_all, handovers);
    for (unsigned i = 0; i < slub_cache_count; i++) freed += take_over(slub_caches[i], &handovers[i], again);
    return freed;
}

// Mail that lay in a former owner's box reaches the present one, who may have been asked already: so a second time.
static size_t shrink_locked(void) {
    bool again = false;
    size_t freed = shrink_once(&again);

    return again ? freed + shrink_once(&again) : freed;
}

size_t slub_shrink_all(void) {
    size_t freed;

    spin_lock(&shrink_lock);
    freed = shrink_locked();
    spin_unlock(&shrink_lock);
    return freed;
}

static size_t reclaim(size_t wanted) {
    size_t freed;

    if (!spin_trylock(&shrink_lock)) return 0;
    freed = shrink_locked();
    spin_unlock(&shrink_lock);
    return freed;
}

struct page_reclaimer slub_reclaimer = {.reclaim = reclaim};
