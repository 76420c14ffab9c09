// The cache for who must not wait: content that is there, and content that comes unasked from whoever has the file.
#include "kernel/block/page_cache_internal.h"
#include "lib/string.h"

// The page, if it is loaded; vmo->lock is held.
static struct page *loaded_locked(const struct file_cache *cache, uint64_t index) {
    struct page *page = vmo_page_locked(cache->vmo, index);
    return page != NULL && !(vmo_page_flags(page) & (VMO_PAGE_LOADING | VMO_PAGE_ERROR)) ? page : NULL;
}

uint64_t file_cache_peek(struct file_cache *cache, uint64_t offset, void *to, uint64_t bytes) {
    const uint64_t size = __atomic_load_n(&cache->size, __ATOMIC_ACQUIRE);
    uint64_t done = 0;
    if (__atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE) == NULL || offset >= size) return 0;
    bytes = MIN(bytes, size - offset);
    for (uint64_t in, n; done < bytes; done += n) {
        in = (offset + done) & PAGE_MASK;
        n = MIN(PAGE_SIZE - in, bytes - done);
        spin_lock(cache->vmo->lock);
        const struct page *page = loaded_locked(cache, (offset + done) >> PAGE_SHIFT);
        if (page != NULL) memcpy((uint8_t *)to + done, (const uint8_t *)page_to_virt(page) + in, n);
        spin_unlock(cache->vmo->lock);
        if (page == NULL) break;
    }
    return done;
}

enum stored { STORED, LEFT_ALONE, IS_LOADING, IS_MISSING };

// Into a page that is there. Who writes to it has it dirty, or pinned.
static enum stored store_over(struct file_cache *cache, uint64_t at, const void *from, uint64_t n) {
    spin_lock(cache->vmo->lock);
    struct page *page = vmo_page_locked(cache->vmo, at >> PAGE_SHIFT);
    unsigned flags = page != NULL ? vmo_page_flags(page) : 0;
    enum stored result = page == NULL ? IS_MISSING : STORED;
    if (flags & (VMO_PAGE_LOADING | VMO_PAGE_ERROR)) result = IS_LOADING;
    else if (page != NULL && (flags & VMO_PAGE_DIRTY || __atomic_load_n(&page->refs, __ATOMIC_RELAXED) > 1)) result = LEFT_ALONE;
    if (result == STORED) memcpy((uint8_t *)page_to_virt(page) + (at & PAGE_MASK), from, n);
    spin_unlock(cache->vmo->lock);
    return result;
}

// As a new page, where the bytes are all that the file has of it.
static enum stored store_new(struct file_cache *cache, uint64_t at, const void *from, uint64_t n, uint64_t size) {
    struct page *page;
    if (at & PAGE_MASK || (n != PAGE_SIZE && at + n != size)) return LEFT_ALONE;
    if (cache_alloc_pages(cache, at >> PAGE_SHIFT, &page, 1, PAGE_NEW) == 0) return LEFT_ALONE;
    memcpy(page_to_virt(page), from, n);
    memset((uint8_t *)page_to_virt(page) + n, 0, PAGE_SIZE - n);
    return cache_insert_pages(cache, &page, 1) == 1 ? STORED : IS_LOADING;
}

bool file_cache_store(struct file_cache *cache, uint64_t offset, const void *from, uint64_t bytes) {
    const uint64_t size = __atomic_load_n(&cache->size, __ATOMIC_ACQUIRE);
    bool all = true;
    if (offset >= size || cache_make_vmo(cache) != 0) return true;
    bytes = MIN(bytes, size - offset);
    for (uint64_t done = 0, n; done < bytes; done += n) {
        const uint64_t at = offset + done;
        const void *piece = (const uint8_t *)from + done;
        n = MIN(PAGE_SIZE - (at & PAGE_MASK), bytes - done);
        enum stored result = store_over(cache, at, piece, n);
        if (result == IS_MISSING) result = store_new(cache, at, piece, n, size);
        all &= result != IS_LOADING;
    }
    return all;
}
