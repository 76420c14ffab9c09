// Ranges of a file that go: truncation, holes, pages nobody wants any more.
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "lib/string.h"

// Zeroes bytes of one page through the write path, unless it is a hole or beyond the end anyway.
static int zero_part(struct file_cache *cache, uint64_t offset, uint64_t end) {
    static const uint8_t zeros[PAGE_SIZE];
    end = MIN(end, cache->size);
    if (offset >= end) return 0;
    int64_t n = file_cache_write_kernel(cache, offset, zeros, end - offset);
    return n < 0 ? (int)n : n == (int64_t)(end - offset) ? 0 : -EIO;
}

static int shrink(struct file_cache *cache, uint64_t size) {
    uint64_t keep = div_round_up(size, PAGE_SIZE);
    // The rest of the last page is part of a block that stays: it is zero on the device too, if the file grows again.
    int error = size & PAGE_MASK ? zero_part(cache, size, keep << PAGE_SHIFT) : 0;
    if (error) return error;
    error = cache_lock_writeback(cache);
    if (error) return error;
    __atomic_store_n(&cache->size, size, __ATOMIC_SEQ_CST);
    vmo_set_pages(cache->vmo, keep);
    error = cache_remove_range(cache, keep, PAGE_TREE_PAGES_MAX, true);
    if (cache->dirty_pages == 0) cache_domain_leave(cache);
    mutex_unlock(&cache->writeback);
    vmo_drop_copies(cache->vmo, keep);
    return error;
}

int file_cache_reset(struct file_cache *cache, uint64_t offset, uint64_t size) {
    uint64_t keep = div_round_up(size, PAGE_SIZE);
    struct vmo *vmo = __atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE);
    if (!vmo) {
        __atomic_store_n(&cache->size, size, __ATOMIC_SEQ_CST);
        vmo = __atomic_load_n(&cache->vmo, __ATOMIC_SEQ_CST);
        if (vmo) vmo_set_pages(vmo, keep);  // it may have been made just now
        return 0;
    }
    int error = cache_lock_writeback(cache);
    if (error) return error;
    __atomic_store_n(&cache->size, size, __ATOMIC_SEQ_CST);
    vmo_set_pages(vmo, keep);
    error = cache_remove_range(cache, keep, PAGE_TREE_PAGES_MAX, true);
    if (!error && offset >> PAGE_SHIFT < keep) error = cache_remove_range(cache, offset >> PAGE_SHIFT, keep, false);
    if (cache->dirty_pages == 0) cache_domain_leave(cache);
    mutex_unlock(&cache->writeback);
    vmo_drop_copies(vmo, keep);
    cache->sequential.end = cache->sequential.window = 0;
    return error;
}

int cache_grow_past_tail(struct file_cache *cache) {
    struct vmo *vmo = cache->vmo;
    uint64_t index = cache->size >> PAGE_SHIFT, in = cache->size & PAGE_MASK;
    if (in == 0) return 0;
    spin_lock(vmo->lock);
    struct page *page = vmo_page_locked(vmo, index);
    unsigned flags = page ? vmo_page_flags(page) : 0;
    if (page && !(flags & VMO_PAGE_LOADING)) memset((uint8_t *)page_to_virt(page) + in, 0, PAGE_SIZE - in);
    spin_unlock(vmo->lock);
    return flags & VMO_PAGE_DIRTY && cache->ops->reserve ? cache->ops->reserve(cache, index << PAGE_SHIFT, PAGE_SIZE) : 0;
}

int file_cache_resize(struct file_cache *cache, uint64_t size) {
    if (size > VMO_SIZE_MAX) return -EFBIG;
    if (size < cache->size) {
        int error = cache_make_vmo(cache);
        return error ? error : shrink(cache, size);
    }
    struct vmo *vmo = __atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE);
    if (vmo) {
        int error = cache_grow_past_tail(cache);
        if (error) return error;
        vmo_set_pages(vmo, MAX(vmo->pages, div_round_up(size, PAGE_SIZE)));
    }
    __atomic_store_n(&cache->size, size, __ATOMIC_SEQ_CST);
    vmo = __atomic_load_n(&cache->vmo, __ATOMIC_SEQ_CST);
    if (vmo) vmo_set_pages(vmo, div_round_up(size, PAGE_SIZE));  // it may have been made just now
    return 0;
}

int file_cache_discard(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    uint64_t end = offset + bytes < offset ? UINT64_MAX : offset + bytes;
    uint64_t first = div_round_up(offset, PAGE_SIZE), last = end >> PAGE_SHIFT;
    int error = cache_make_vmo(cache);
    if (error) return error;
    if (end >= cache->size) last = div_round_up(cache->size, PAGE_SIZE);
    if (offset & PAGE_MASK) error = zero_part(cache, offset, MIN(end, first << PAGE_SHIFT));
    if (!error && end & PAGE_MASK && last >= first) error = zero_part(cache, MAX(offset, last << PAGE_SHIFT), end);
    if (error || last <= first) return error;
    error = cache_lock_writeback(cache);
    if (error) return error;
    error = cache_remove_range(cache, first, last, true);
    if (cache->dirty_pages == 0) cache_domain_leave(cache);
    mutex_unlock(&cache->writeback);
    return error;
}

void file_cache_drop(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    if (!__atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE) || bytes == 0) return;
    uint64_t end = offset + bytes < offset ? UINT64_MAX : offset + bytes;
    if (cache_lock_writeback(cache) != 0) return;
    (void)cache_remove_range(cache, div_round_up(offset, PAGE_SIZE), MIN(div_round_up(end, PAGE_SIZE), PAGE_TREE_PAGES_MAX), false);
    mutex_unlock(&cache->writeback);
    cache->sequential.end = cache->sequential.window = 0;
}

uint64_t file_cache_next_dirty(struct file_cache *cache, uint64_t offset) {
    struct vmo *vmo = __atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE);
    if (!vmo) return UINT64_MAX;
    spin_lock(vmo->lock);
    uint64_t index = page_tree_next_marked(&vmo->tree, offset >> PAGE_SHIFT, PAGE_TREE_PAGES_MAX);
    spin_unlock(vmo->lock);
    return index == PAGE_TREE_PAGES_MAX ? UINT64_MAX : MAX(offset, index << PAGE_SHIFT);
}

#define RESIDENT_PAGES_MAX 1024u  // that are looked at under the lock
uint64_t file_cache_resident(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    struct vmo *vmo = __atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE);
    const uint64_t first = offset >> PAGE_SHIFT;
    uint64_t pages = 0;
    if (!vmo) return 0;
    spin_lock(vmo->lock);
    const uint64_t end = (offset + bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
    while (pages < RESIDENT_PAGES_MAX && first + pages < end && vmo_is_resident_locked(vmo, first + pages)) pages++;
    spin_unlock(vmo->lock);
    return pages == 0 ? 0 : MIN(bytes, ((first + pages) << PAGE_SHIFT) - offset);
}
