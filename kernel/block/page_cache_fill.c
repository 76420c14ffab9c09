// Reading into the cache: what a miss starts, how far ahead, and the requests.
//
// Read-ahead: a reader that comes to the page behind the last window is sequential, and its next window is twice as large. A
// window's first page that nobody waits for is its trigger: who meets it starts the next window, so that the device works
// while the reader does. Somebody who jumps about gets what he asks for and no more.
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define WINDOW_FIRST 4u

// ---- requests --------------------------------------------------------------------------------------------------------------

struct cache_io *cache_io_alloc(struct file_cache *cache, uint64_t pages) {
    uint64_t most = MIN(cache->domain->device->max_vectors, CACHE_BATCH);
    uint32_t capacity = (uint32_t)MIN(pages, most);
    struct cache_io *io = kmalloc(sizeof(*io) + capacity * sizeof(io->vectors[0]));
    if (!io) return NULL;
    memset(io, 0, sizeof(*io));
    io->capacity = capacity;
    io->cache = cache;
    io->whole = true;
    return io;
}

bool cache_io_add(struct cache_io *io, struct page *page, uint32_t start, uint32_t bytes) {
    const struct block_device *device = io->cache->domain->device;
    struct block_request *request = &io->request;
    if (io->extent.bytes + bytes > (uint64_t)device->max_sectors << SECTOR_SHIFT) return false;
    uint8_t *data = (uint8_t *)page_to_virt(page) + start;
    struct block_vector *last = &io->vectors[request->vector_count - 1];
    if (request->vector_count && (uint8_t *)last->data + last->bytes == data) {
        last->bytes += bytes;
    } else {
        if (request->vector_count == io->capacity) return false;
        io->vectors[request->vector_count++] = (struct block_vector){data, bytes};
    }
    if (bytes != PAGE_SIZE) io->whole = false;
    io->extent.bytes += bytes;
    return true;
}

// ---- the end of a read: in interrupts, or before block_submit returns ------------------------------------------------------------

// The page's content is there, or will not be. What lies beyond the end of the file is zero.
static inline void page_loaded(struct page *page, uint64_t size) {
    if (unlikely(page->index == size >> PAGE_SHIFT)) {
        uint64_t tail = size & PAGE_MASK;
        memset((uint8_t *)page_to_virt(page) + tail, 0, PAGE_SIZE - tail);
    }
    vmo_page_clear(page, VMO_PAGE_LOADING);
}

static void page_failed(struct page *page, int error) {
    page->word[0] = (uint64_t)-error;
    vmo_page_set(page, VMO_PAGE_ERROR);
}

// Of a page that is had in pieces, word[1] counts the bytes that are still to come.
static void piece_done(struct page *page, uint64_t bytes, uint64_t size) {
    if (__atomic_sub_fetch(&page->word[1], bytes, __ATOMIC_ACQ_REL) == 0) page_loaded(page, size);
}

static void vector_done(const struct cache_io *io, const struct block_vector *v) {
    int error = io->request.error;
    struct page *page = virt_to_page(v->data);
    uint64_t start = (uint64_t)v->data & PAGE_MASK;
    for (uint64_t done = 0, n; done < v->bytes; done += n, start = 0, page++) {
        n = MIN(PAGE_SIZE - start, v->bytes - done);
        if (unlikely(error)) page_failed(page, error);
        if (likely(io->whole)) page_loaded(page, io->size);
        else piece_done(page, n, io->size);
    }
}

static void read_done(struct block_request *request) {
    struct cache_io *io = container_of(request, struct cache_io, request);
    struct wait_queue *queue = cache_queue(io->cache);
    for (unsigned i = 0; i < request->vector_count; i++) vector_done(io, &io->vectors[i]);
    __atomic_fetch_sub(&io->cache->loading, 1, __ATOMIC_RELEASE);
    kfree(io);
    cache_wake(queue);
}

// ---- the pieces of a range -------------------------------------------------------------------------------------------------------

struct fill {
    struct file_cache *cache;
    uint64_t first;           // page
    struct page **pages;
    uint64_t size;            // of the file
    struct cache_io *io;      // being filled
    bool finished_some;       // pages became loaded without a request
};

static void submit(struct fill *fill) {
    struct cache_io *io = fill->io;
    if (!io) return;
    fill->io = NULL;
    io->request.op = BLOCK_READ;
    io->request.sector = io->extent.sector;
    io->request.vectors = io->vectors;
    io->request.done = read_done;
    io->size = fill->size;
    __atomic_fetch_add(&fill->cache->loading, 1, __ATOMIC_RELAXED);
    block_submit(fill->cache->domain->device, &io->request);
}

static int add_to_request(struct fill *fill, struct page *page, uint64_t sector, uint32_t start, uint32_t bytes, uint64_t left) {
    for (;;) {
        struct cache_io *io = fill->io;
        bool whole = bytes == PAGE_SIZE;
        bool fits = io && io->whole == whole && io->extent.sector + (io->extent.bytes >> SECTOR_SHIFT) == sector;
        if (io && (!fits || !cache_io_add(io, page, start, bytes))) submit(fill);
        else if (io) return 0;
        fill->io = io = cache_io_alloc(fill->cache, div_round_up(left, PAGE_SIZE) + 1);
        if (!io) return -ENOMEM;
        io->extent.sector = sector;
        io->whole = whole;
        if (cache_io_add(io, page, start, bytes)) return 0;
        fill->io = NULL;  // a device that takes less than a page at once
        kfree(io);
        return -EIO;
    }
}

// n bytes are had without a request, or not at all.
static void finish_piece(struct fill *fill, struct page *page, uint64_t n) {
    if (n == PAGE_SIZE) page_loaded(page, fill->size);
    else piece_done(page, n, fill->size);
    fill->finished_some = true;
}

// One extent, or its part of the range, page by page.
static void fill_extent(struct fill *fill, const struct file_extent *extent) {
    uint64_t end = extent->offset + extent->bytes;
    for (uint64_t at = extent->offset, n; at < end; at += n) {
        struct page *page = fill->pages[(at >> PAGE_SHIFT) - fill->first];
        uint32_t start = (uint32_t)(at & PAGE_MASK);
        n = MIN(PAGE_SIZE - start, end - at);
        if (n != PAGE_SIZE && start == 0) page->word[1] = PAGE_SIZE;
        if (extent->state == FILE_MAPPED) {
            uint64_t sector = extent->sector + ((at - extent->offset) >> SECTOR_SHIFT);
            int error = add_to_request(fill, page, sector, start, (uint32_t)n, end - at);
            if (!error) continue;
            page_failed(page, error);
        } else {
            memset((uint8_t *)page_to_virt(page) + start, 0, n);
        }
        finish_piece(fill, page, n);
    }
}

static void fail_rest(struct fill *fill, uint64_t at, uint64_t end, int error) {
    for (uint64_t n; at < end; at += n) {
        struct page *page = fill->pages[(at >> PAGE_SHIFT) - fill->first];
        n = PAGE_SIZE - (at & PAGE_MASK);
        page_failed(page, error);
        finish_piece(fill, page, n);
    }
}

static void fill_blocks(struct fill *fill, unsigned count) {
    uint64_t end = (fill->first + count) << PAGE_SHIFT;
    for (uint64_t at = fill->first << PAGE_SHIFT; at < end;) {
        struct file_extent extent;
        int error = fill->cache->ops->map(fill->cache, at, end - at, &extent);
        if (!error && (extent.offset != at || extent.bytes == 0 || extent.bytes > end - at)) error = -EIO;
        if (error) {
            fail_rest(fill, at, end, error);
            break;
        }
        fill_extent(fill, &extent);
        at += extent.bytes;
    }
    submit(fill);
}

static void fill_pages(struct fill *fill, unsigned count) {
    int error = fill->cache->ops->read_pages(fill->cache, fill->first, fill->pages, count);
    for (unsigned i = 0; i < count; i++) {
        if (error) page_failed(fill->pages[i], error);
        page_loaded(fill->pages[i], fill->size);
    }
    fill->finished_some = true;
}

// Starts reading up to `count` missing pages from `first` on; stops at one that is there. How many, or an error.
static int fill_range(struct file_cache *cache, uint64_t first, uint64_t count, uint64_t trigger) {
    struct page *pages[CACHE_BATCH];
    unsigned wanted = (unsigned)MIN(count, (uint64_t)CACHE_BATCH);
    unsigned n = cache_alloc_pages(cache, first, pages, wanted, VMO_PAGE_LOADING | PAGE_NEW);
    if (n == 0) return -ENOMEM;
    if (trigger - first < n) vmo_page_set(pages[trigger - first], PAGE_TRIGGER);
    int inserted = cache_insert_pages(cache, pages, n);
    if (inserted <= 0) return inserted;
    struct fill fill = {.cache = cache, .first = first, .pages = pages, .size = __atomic_load_n(&cache->size, __ATOMIC_ACQUIRE)};
    if (cache->ops->read_pages) fill_pages(&fill, (unsigned)inserted);
    else fill_blocks(&fill, (unsigned)inserted);
    if (fill.finished_some) cache_wake(cache_queue(cache));
    cache_counts.misses += (unsigned)inserted;
    return inserted;
}

// ---- how far -------------------------------------------------------------------------------------------------------------------

static uint64_t file_pages(const struct file_cache *cache) {
    return div_round_up(__atomic_load_n(&cache->size, __ATOMIC_ACQUIRE), PAGE_SIZE);
}

static bool is_cached(struct file_cache *cache, uint64_t index) {
    const uint64_t *slot = page_tree_find(&cache->vmo->tree, index);
    return slot && *slot;
}

static uint64_t first_missing(struct file_cache *cache, uint64_t index, uint64_t end) {
    while (index < end && is_cached(cache, index)) index++;
    return index;
}

// A window was started.
static void note_window(struct file_cache *cache, uint64_t first, int pages, uint64_t window) {
    if (pages <= 0) return;
    cache->sequential.end = first + (uint64_t)pages;
    cache->sequential.window = window;
}

int cache_miss(struct file_cache *cache, uint64_t index, uint64_t needed) {
    uint64_t pages = file_pages(cache), window = needed;
    if (index >= pages) return -EFAULT;
    if (index == cache->sequential.end && cache->sequential.window) window = MAX(cache->sequential.window * 2, needed);
    else if (index == 0 || is_cached(cache, index - 1)) window = MAX(needed * 2, (uint64_t)WINDOW_FIRST);
    window = MIN(window, (uint64_t)CACHE_BATCH);
    int n = fill_range(cache, index, MIN(window, pages - index), index + needed);
    note_window(cache, index, n, window);
    if (n > (int)needed) cache_counts.read_ahead_pages += (unsigned)n - needed;
    return n < 0 ? n : 0;
}

void cache_read_ahead(struct file_cache *cache, uint64_t index) {
    uint64_t pages = file_pages(cache), window = MIN(cache->sequential.window * 2, (uint64_t)CACHE_BATCH);
    uint64_t first = cache->sequential.end;
    if (first <= index || first > index + 2 * CACHE_BATCH) first = index + 1;
    first = first_missing(cache, first, MIN(pages, index + 2 * CACHE_BATCH));
    window = MAX(window, (uint64_t)WINDOW_FIRST);
    if (first >= pages || first >= index + 2 * CACHE_BATCH) return;
    int n = fill_range(cache, first, MIN(window, pages - first), first);
    note_window(cache, first, n, window);
    if (n > 0) cache_counts.read_ahead_pages += (unsigned)n;
}

// ---- one page --------------------------------------------------------------------------------------------------------------------

// Takes a page out whose reading failed, and says why; 0: it is gone already.
static int take_failed(struct file_cache *cache, uint64_t index) {
    int error = 0;
    spin_lock(cache->vmo->lock);
    struct page *page = vmo_page_locked(cache->vmo, index);
    if (page && (vmo_page_flags(page) & (VMO_PAGE_LOADING | VMO_PAGE_ERROR)) == VMO_PAGE_ERROR) {
        error = -(int)page->word[0];
        vmo_take_page_locked(cache->vmo, page);
    }
    spin_unlock(cache->vmo->lock);
    if (error) cache_free_pages(&page, 1);
    return error;
}

// What failed may have been read ahead long ago, for nobody: it is tried once more before it is told.
int cache_get_page(struct file_cache *cache, uint64_t index, uint64_t needed) {
    int error = cache_make_vmo(cache), failures = 0;
    while (!error) {
        spin_lock(cache->vmo->lock);
        const struct page *page = vmo_page_locked(cache->vmo, index);
        unsigned flags = page ? vmo_page_flags(page) : 0;
        if (flags & PAGE_TRIGGER) vmo_page_clear((struct page *)page, PAGE_TRIGGER);
        spin_unlock(cache->vmo->lock);
        if (page && flags & PAGE_TRIGGER) cache_read_ahead(cache, index);
        if (!page) error = cache_miss(cache, index, needed);
        else if (flags & VMO_PAGE_LOADING) error = cache_wait_loaded(cache, index);
        else if (flags & VMO_PAGE_ERROR) error = take_failed(cache, index);
        else return 0;
        if (flags & VMO_PAGE_ERROR && !(flags & VMO_PAGE_LOADING) && failures++ == 0) error = 0;
    }
    return error;
}
