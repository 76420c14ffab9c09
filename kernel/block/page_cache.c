// Pages in and out of the cache. What a page goes through is told in page_cache_internal.h.
#include "kernel/block/page_cache.h"

#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "lib/string.h"

#define QUEUES 64

struct page_cache_stats cache_counts;
static struct wait_queue queues[QUEUES];
static uint64_t last_identity;

void page_cache_init(void) {
    for (unsigned i = 0; i < QUEUES; i++) wait_queue_init(&queues[i], "page cache");
    cache_reclaim_init();
}

void page_cache_stats(struct page_cache_stats *out) {
    *out = cache_counts;
    spin_lock(&car_lock);
    out->pages = car_pages(&car);
    out->ghosts = car_ghosts(&car);
    spin_unlock(&car_lock);
    out->bytes_of_index += car.chunk_count * sizeof(void *);
}

// ---- waiting ---------------------------------------------------------------------------------------------------------------

struct wait_queue *cache_queue(const struct file_cache *cache) {
    return &queues[((uint64_t)cache >> 6 ^ (uint64_t)cache >> 12) % QUEUES];
}

void cache_wake(struct wait_queue *queue) {
    spin_lock(&queue->lock);
    if (!list_is_empty(&queue->waiters)) (void)wait_queue_wake_locked(queue, UINT32_MAX, 0);
    spin_unlock(&queue->lock);
}

static bool is_loading(struct file_cache *cache, uint64_t index) {
    const uint64_t *slot = page_tree_find(&cache->vmo->tree, index);
    const struct page *page = slot ? vmo_hold(slot) : NULL;
    bool loading = page && vmo_page_flags(page) & VMO_PAGE_LOADING;
    vmo_unhold();
    return loading;
}

int cache_wait_loaded(struct file_cache *cache, uint64_t index) {
    struct wait_queue *queue = cache_queue(cache);
    for (int64_t result = 0; result != -ECANCELED;) {
        spin_lock(&queue->lock);
        if (!is_loading(cache, index)) {
            spin_unlock(&queue->lock);
            return 0;
        }
        if (cache_is_remote(cache)) {
            wait_queue_join_unlock(queue, NULL, NULL);
            result = wait_block_killable(TIME_NEVER);
        } else {
            wait_queue_join_always_unlock(queue);
            wait_block_always();
        }
    }
    return -EINTR;
}

int cache_lock_writeback(struct file_cache *cache) {
    if (cache_is_remote(cache)) return mutex_lock_killable(&cache->writeback);
    mutex_lock(&cache->writeback);
    return 0;
}

static void wait_loads(struct file_cache *cache) {
    struct wait_queue *queue = cache_queue(cache);
    for (;;) {
        spin_lock(&queue->lock);
        if (__atomic_load_n(&cache->loading, __ATOMIC_ACQUIRE) == 0) break;
        wait_queue_join_always_unlock(queue);
        wait_block_always();
    }
    spin_unlock(&queue->lock);
}

// ---- files -----------------------------------------------------------------------------------------------------------------

static int pager_get_page(struct vmo *vmo, uint64_t index) {
    struct file_cache *cache = vmo->pager_data;
    if (unlikely(cache_is_remote(cache) && current_thread()->remote_faults != REMOTE_FAULTS_SERVED)) {
        current_thread()->remote_faults = REMOTE_FAULT_MET;
        return -EFAULT;
    }
    return cache_get_page(cache, index, 1);
}

static void pager_unused(struct vmo *vmo) {
    struct file_cache *cache = vmo->pager_data;
    if (cache->ops->mapped && cache->vmo == vmo) cache->ops->mapped(cache, false);
}

static int pager_sync(struct vmo *vmo, uint64_t first, uint64_t count) {
    struct file_cache *cache = vmo->pager_data;
    return cache->ops->sync ? cache->ops->sync(cache, first << PAGE_SHIFT, count << PAGE_SHIFT) : 0;
}

const struct vmo_pager cache_pager = {
    .get_page = pager_get_page,
    .dirty = cache_fault_dirty,
    .sync = pager_sync,
    .unused = pager_unused,
};

void file_cache_init(struct file_cache *cache, const struct file_cache_ops *ops, struct cache_domain *domain, uint64_t size) {
    *cache = (struct file_cache){.ops = ops, .domain = domain, .size = size};
    cache->identity = __atomic_add_fetch(&last_identity, 1, __ATOMIC_RELAXED) << 32;
    mutex_init(&cache->writeback, "write-back");
}

int cache_make_vmo(struct file_cache *cache) {
    struct vmo *vmo, *none = NULL;
    if (__atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE)) return 0;
    int error = vmo_create_paged(cache_job(), cache->size, &cache_pager, cache, &vmo);
    if (error) return error == -EINVAL ? -EFBIG : -ENOMEM;
    if (!__atomic_compare_exchange_n(&cache->vmo, &none, vmo, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) vmo_put(vmo);
    else vmo_set_pages(vmo, div_round_up(__atomic_load_n(&cache->size, __ATOMIC_SEQ_CST), PAGE_SIZE));  // it may have grown
    return 0;
}

void file_cache_destroy(struct file_cache *cache, bool discard) {
    struct vmo *vmo = cache->vmo;
    if (!vmo) return;
    cache_domain_wait_visits(cache);
    mutex_lock(&cache->writeback);
    if (!discard && cache->dirty_pages != 0) (void)cache_writeback(cache, 0, PAGE_TREE_PAGES_MAX, UINT64_MAX);  // the log has its error
    int error = cache_remove_range(cache, 0, PAGE_TREE_PAGES_MAX, true);
    verify(error == 0);  // nobody reads the file any more
    mutex_unlock(&cache->writeback);
    cache_domain_leave(cache);
    wait_loads(cache);
    cache->vmo = NULL;
    verify(__atomic_load_n(&vmo->refs, __ATOMIC_RELAXED) == 1);
    vmo_put(vmo);
}

int file_cache_vmo(struct file_cache *cache, struct vmo **out) {
    int error = cache_make_vmo(cache);
    if (error) return error;
    if (__atomic_fetch_add(&cache->vmo->refs, 1, __ATOMIC_RELAXED) == 1 && cache->ops->mapped) cache->ops->mapped(cache, true);
    *out = cache->vmo;
    return 0;
}

// ---- pages -----------------------------------------------------------------------------------------------------------------

unsigned cache_alloc_pages(struct file_cache *cache, uint64_t first, struct page **pages, unsigned count, unsigned flags) {
    unsigned n = 0;
    cache_make_room(count);
    for (; n < count && (pages[n] = page_alloc(0)) != NULL; n++) vmo_adopt_file_page(cache->vmo, first + n, pages[n], flags);
    return n;
}

int cache_insert_pages(struct file_cache *cache, struct page **pages, unsigned count) {
    struct vmo *vmo = cache->vmo;
    spin_lock(vmo->lock);
    int n = vmo_supply_locked(vmo, pages[0]->index, pages, count);
    spin_unlock(vmo->lock);
    unsigned inserted = n > 0 ? (unsigned)n : 0;
    if (inserted) cache_policy_insert(pages, inserted);
    for (unsigned i = inserted; i < count; i++) {
        pages[i]->refs = 1;
        vmo_release_file_page(pages[i]);
    }
    return n;
}

void cache_free_pages(struct page **pages, unsigned count) {
    cache_policy_remove(pages, count);
    for (unsigned i = 0; i < count; i++) vmo_release_file_page(pages[i]);
}

struct removal {
    struct page *pages[32];
    unsigned count;
    uint32_t dirty;    // bit i: pages[i] was
    bool loading;      // stopped at one being read
};

// The next pages of the range that may go, taken out of the tree; *position moves on.
static void take_batch(struct file_cache *cache, uint64_t *position, uint64_t end, bool dirty, struct removal *gone) {
    struct vmo *vmo = cache->vmo;
    gone->count = gone->dirty = 0;
    gone->loading = false;
    spin_lock(vmo->lock);
    for (; gone->count < ARRAY_SIZE(gone->pages); ++*position) {
        *position = page_tree_next(&vmo->tree, *position, end);
        if (*position >= end) break;
        struct page *page = vmo_page_locked(vmo, *position);
        unsigned flags = vmo_page_flags(page);
        gone->loading = flags & VMO_PAGE_LOADING;
        if (gone->loading) break;
        bool pinned = __atomic_load_n(&page->refs, __ATOMIC_RELAXED) > 1;
        if (!dirty && (pinned || flags & VMO_PAGE_DIRTY)) continue;
        if (flags & VMO_PAGE_DIRTY) {
            cache_uncharge_dirty(cache, cache_clear_dirty_locked(cache, page), 1);
            gone->dirty |= 1u << gone->count;
        }
        (void)page_tree_take(&vmo->tree, *position);
        gone->pages[gone->count++] = page;
    }
    spin_unlock(vmo->lock);
}

int cache_remove_range(struct file_cache *cache, uint64_t first, uint64_t end, bool dirty) {
    struct removal gone;
    int error = 0;
    do {
        uint64_t from = first;
        take_batch(cache, &first, end, dirty, &gone);
        if (gone.count) vmo_unmap(cache->vmo, from, gone.pages[gone.count - 1]->index + 1);
        for (unsigned i = 0; i < gone.count && cache->ops->unreserve; i++)
            if (gone.dirty >> i & 1) cache->ops->unreserve(cache, gone.pages[i]->index << PAGE_SHIFT, PAGE_SIZE);
        if (gone.count) cache_free_pages(gone.pages, gone.count);
        if (gone.loading) error = cache_wait_loaded(cache, first);
        (void)sched_preempt_point();
    } while (first < end && error == 0);
    return error;
}
