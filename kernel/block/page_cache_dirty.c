// Dirty pages: who they are charged to, and waiting when there are too many.
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"

#define PAUSE_NANOS 20000000ull

// ---- limits ----------------------------------------------------------------------------------------------------------------

static bool charge(struct file_cache *cache, struct job *job, unsigned count) {
    struct cache_domain *domain = cache->domain;
    if (domain->limit_pages == 0) return job_charge(job, JOB_DIRTY_PAGES, count) == 0;
    uint64_t now = __atomic_add_fetch(&domain->dirty_pages, count, __ATOMIC_RELAXED);
    if (now <= domain->limit_pages || now == count) return true;
    __atomic_fetch_sub(&domain->dirty_pages, count, __ATOMIC_RELAXED);
    return false;
}

void cache_uncharge_dirty(struct file_cache *cache, struct job *job, unsigned count) {
    if (cache->domain->limit_pages == 0) job_uncharge(job, JOB_DIRTY_PAGES, count);
    else __atomic_fetch_sub(&cache->domain->dirty_pages, count, __ATOMIC_RELAXED);
}

// Over a limit: what this file has dirty is written back first, as that is what the writer makes more of; else the domain's
// thread is to find something.
static coldpath int wait_clean(struct file_cache *cache) {
    if (cache_is_remote(cache)) return cache_ask_writeback(cache, 0, PAGE_TREE_PAGES_MAX, 4 * CACHE_BATCH);
    if (cache->dirty_pages != 0) {
        mutex_lock(&cache->writeback);
        (void)cache_writeback(cache, 0, PAGE_TREE_PAGES_MAX, 4 * CACHE_BATCH);  // its error is for the next sync
        mutex_unlock(&cache->writeback);
        return 0;
    }
    cache_domain_kick(cache->domain);
    cache_kick_all();
    sched_sleep_until(arch_now() + PAUSE_NANOS);
    return 0;
}

int cache_charge_dirty(struct file_cache *cache, unsigned count, struct job **out) {
    struct job *job = cache_writer_job();
    int error = 0;
    while (unlikely(!charge(cache, job, count)) && (error = wait_clean(cache)) == 0) {
    }
    *out = job;
    return error;
}

// ---- pages -----------------------------------------------------------------------------------------------------------------

bool cache_set_dirty_locked(struct file_cache *cache, struct page *page, struct job *job) {
    if (vmo_page_flags(page) & VMO_PAGE_DIRTY) return false;
    page->word[0] = (uint64_t)job;
    vmo_set_dirty_locked(cache->vmo, page);
    __atomic_fetch_add(&cache_counts.dirty, 1, __ATOMIC_RELAXED);
    if (cache->dirty_pages++ == 0) cache_domain_enter_locked(cache);
    return true;
}

struct job *cache_clear_dirty_locked(struct file_cache *cache, struct page *page) {
    vmo_clear_dirty_locked(cache->vmo, page);
    __atomic_fetch_sub(&cache_counts.dirty, 1, __ATOMIC_RELAXED);
    cache->dirty_pages--;
    return (struct job *)page->word[0];
}

// A mapping writes: as file_cache_write, but without the inode's lock. A page that has gone meanwhile is asked for again.
int cache_fault_dirty(struct vmo *vmo, uint64_t index) {
    struct file_cache *cache = vmo->pager_data;
    if (index << PAGE_SHIFT >= __atomic_load_n(&cache->size, __ATOMIC_ACQUIRE)) return -EFAULT;
    int error = cache->ops->reserve ? cache->ops->reserve(cache, index << PAGE_SHIFT, PAGE_SIZE) : 0;
    if (error) return error;
    struct job *job;
    error = cache_charge_dirty(cache, 1, &job);
    if (error) return error;  // of a domain with a limit of its own only, where nothing is reserved
    spin_lock(vmo->lock);
    struct page *page = vmo_page_locked(vmo, index);
    bool there = page && !(vmo_page_flags(page) & (VMO_PAGE_LOADING | VMO_PAGE_ERROR));
    bool charged = there && cache_set_dirty_locked(cache, page, job);
    spin_unlock(vmo->lock);
    if (!charged) cache_uncharge_dirty(cache, job, 1);
    if (!there && cache->ops->unreserve) cache->ops->unreserve(cache, index << PAGE_SHIFT, PAGE_SIZE);
    return 0;
}
