// The policy's side of the cache: which pages are on its clocks, and giving pages back when memory is wanted.
//
// Locks: car_lock, then by trying vmo->lock. The reclaimer runs in the middle of allocations, with unknown locks held: it
// only tries. A page on a clock keeps its VMO alive, since a file's end takes all its pages off first.
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"

#define EVICT_LEAST 64       // at a time: asking again and again is dear
#define ROUNDS_MOST 2        // of the hand past all pages: what was used in the first may go in the second
#define LOOKS_PER_PAGE 8
#define LOCK_TRIES 10000u    // some turns of another CPU's reclaimer

struct spinlock car_lock = SPINLOCK_INIT("page cache policy");
struct car car;
static uint64_t ghosts_from;  // pages in the cache from which on memory for ghosts is set aside
static uint64_t keep_free;    // pages

uint64_t cache_page_key(const struct page *page) {
    const struct vmo *vmo = page->owner;
    const struct file_cache *cache = vmo->pager_data;
    return cache->identity + page->index;
}

// The ghost of a page needs its place before the page is evicted, when nothing can be allocated.
static void make_ghost_chunk(uint64_t key) {
    if (!car_missing_chunk(&car, key)) return;
    struct page *page = page_alloc(PAGE_ALLOC_ZERO);
    if (!page) return;
    spin_lock(&car_lock);
    struct car_ghost **chunk = car_missing_chunk(&car, key);
    if (chunk) *chunk = page_to_virt(page);
    if (chunk) cache_counts.bytes_of_index += PAGE_SIZE;
    spin_unlock(&car_lock);
    if (!chunk) page_free(page);
}

void cache_policy_insert(struct page *const *pages, unsigned count) {
    if (car_pages(&car) >= ghosts_from)
        for (unsigned i = 0; i < count; i++) make_ghost_chunk(cache_page_key(pages[i]));
    spin_lock(&car_lock);
    for (unsigned i = 0; i < count; i++)
        if (car_insert(&car, &pages[i]->link, cache_page_key(pages[i])) == CAR_FREQUENT) vmo_page_set(pages[i], PAGE_FREQUENT);
    spin_unlock(&car_lock);
}

void cache_policy_remove(struct page *const *pages, unsigned count) {
    spin_lock(&car_lock);
    for (unsigned i = 0; i < count; i++)
        if (list_node_is_linked(&pages[i]->link))
            car_remove(&car, &pages[i]->link, pages[i]->flags & PAGE_FREQUENT ? CAR_FREQUENT : CAR_RECENT);
    spin_unlock(&car_lock);
}

struct victims {
    struct page *pages[EVICT_LEAST];
    unsigned count;
    unsigned dirty;
    size_t looked;
};

// vmo->lock is held.
static enum car_answer look_locked(struct vmo *vmo, struct page *page) {
    unsigned flags = vmo_page_flags(page);
    bool pinned = __atomic_load_n(&page->refs, __ATOMIC_RELAXED) > 1;
    if (flags & VMO_PAGE_LOADING || pinned || vmo_page_locked(vmo, page->index) != page) return CAR_BUSY;
    bool used = flags & PAGE_USED_BIT;
    if (!list_is_empty(&vmo->mappings) && vmo_page_accessed_locked(vmo, page->index)) used = !(flags & PAGE_NEW) || used;
    vmo_page_clear(page, PAGE_USED_BIT | PAGE_NEW);
    if (used) return CAR_USED;
    if (flags & VMO_PAGE_DIRTY) return CAR_BUSY;
    vmo_take_page_locked(vmo, page);
    return CAR_EVICTED;
}

static enum car_answer look(void *context, struct list_node *node, unsigned clock, uint64_t *key) {
    struct victims *victims = context;
    struct page *page = list_entry(node, struct page, link);
    struct vmo *vmo = page->owner;
    victims->looked++;
    if (!spin_trylock(vmo->lock)) return CAR_BUSY;
    enum car_answer answer = look_locked(vmo, page);
    if (page->flags & VMO_PAGE_DIRTY) victims->dirty++;
    spin_unlock(vmo->lock);
    if (answer == CAR_USED) vmo_page_set(page, PAGE_FREQUENT);
    if (answer == CAR_EVICTED) {
        *key = cache_page_key(page);
        victims->pages[victims->count++] = page;
    }
    return answer;
}

// car_lock is held, and let go. Writing back is started when many pages were dirty. *looked grows by the pages looked at.
static size_t evict_unlock(size_t wanted, size_t *looked) {
    struct victims victims = {.count = 0};
    size_t evicted = car_evict(&car, MIN(wanted, (size_t)EVICT_LEAST), wanted * LOOKS_PER_PAGE, look, &victims);
    spin_unlock(&car_lock);
    for (unsigned i = 0; i < victims.count; i++) vmo_release_file_page(victims.pages[i]);
    if (victims.dirty > evicted) cache_kick_all();
    *looked += victims.looked;
    return evicted;
}

// Another CPU that reclaims is soon done: its hold is short. To wait for it without end could be a dead lock.
static bool try_policy_lock(void) {
    for (unsigned tries = 0; tries < LOCK_TRIES; tries++) {
        if (spin_trylock(&car_lock)) return true;
        cpu_relax();
    }
    return false;
}

// The last resort of an allocation: it gives up when no page may go, not when many lie together that may not, as those do that
// were written one after the other.
static size_t reclaim(size_t wanted) {
    size_t freed = 0, looked = 0;
    wanted = MAX(wanted, (size_t)EVICT_LEAST);
    while (freed < wanted && looked < ROUNDS_MOST * car_pages(&car) && try_policy_lock())
        freed += evict_unlock(EVICT_LEAST, &looked);
    return freed;
}

void cache_make_room(unsigned pages) {
    size_t looked = 0;
    for (unsigned tries = 0; tries < 8 && page_free_count() < keep_free + pages && car_pages(&car) > 0; tries++) {
        spin_lock(&car_lock);
        (void)evict_unlock(EVICT_LEAST, &looked);
    }
}

void cache_reclaim_init(void) {
    static struct page_reclaimer reclaimer = {.reclaim = reclaim};
    struct page_stats stats;
    page_get_stats(&stats);
    uint64_t chunks = 1;
    while (chunks * CAR_CHUNK_GHOSTS < stats.total) chunks *= 2;
    struct car_ghost **directory = kzalloc(chunks * sizeof(*directory));
    verify(directory != NULL);
    car_init(&car, directory, chunks);
    ghosts_from = stats.total / 2;
    keep_free = MIN(stats.total / 64, 2048ul);
    cache_limit_dirty(stats.total / 5);
    page_reclaimer_register(&reclaimer);
}
