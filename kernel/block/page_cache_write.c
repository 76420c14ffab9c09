// Writing into the cache. A page that is written as a whole, or lies beyond the end, is filled before anybody can see it and
// then put into the file; others are read first where that is needed, pinned, and changed in place.
//
//     reserve ─▶ charge ─▶ for each page: new: copy, insert │ there: pin, copy ─▶ dirty, size ─▶ unpin
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "kernel/mm/usercopy.h"
#include "lib/string.h"

#define WRITE_PAGES 16u

struct source {
    const uint8_t *kernel;  // or
    struct user_ptr user;
};

static int copy_in(struct page *page, uint64_t in, const struct source *from, uint64_t done, uint64_t n) {
    uint8_t *to = (uint8_t *)page_to_virt(page) + in;
    if (!from->kernel) return copy_from_user(to, user_add(from->user, done), n);
    memcpy(to, from->kernel + done, n);
    return 0;
}

// Whether all pages of the range are dirty, so that nothing is to be reserved or charged.
static bool all_dirty(struct file_cache *cache, uint64_t first, unsigned count) {
    bool dirty = true;
    spin_lock(cache->vmo->lock);
    for (unsigned i = 0; i < count && dirty; i++) {
        const struct page *page = vmo_page_locked(cache->vmo, first + i);
        dirty = page && vmo_page_flags(page) & VMO_PAGE_DIRTY;
    }
    spin_unlock(cache->vmo->lock);
    return dirty;
}

// A new page with the bytes [in, in + n) from the writer and zeros around: pinned, in no VMO yet.
static int make_page(struct file_cache *cache, uint64_t index, uint64_t in, uint64_t n, const struct source *from,
                     uint64_t done, struct page **out) {
    if (cache_alloc_pages(cache, index, out, 1, 0) == 0) return -ENOMEM;
    uint8_t *data = page_to_virt(*out);
    memset(data, 0, in);
    memset(data + in + n, 0, PAGE_SIZE - in - n);
    int error = copy_in(*out, in, from, done, n);
    if (error) vmo_release_file_page(*out);
    else (*out)->refs = 2;
    return error;
}

// The page at index, loaded, pinned; NULL: not there.
static int pin_page(struct file_cache *cache, uint64_t index, struct page **out) {
    for (;;) {
        spin_lock(cache->vmo->lock);
        struct page *page = vmo_page_locked(cache->vmo, index);
        unsigned flags = page ? vmo_page_flags(page) : 0;
        bool ready = !(flags & (VMO_PAGE_LOADING | VMO_PAGE_ERROR));
        if (page && ready) __atomic_fetch_add(&page->refs, 1, __ATOMIC_RELAXED);
        spin_unlock(cache->vmo->lock);
        *out = page;
        if (ready) return 0;
        int error = cache_get_page(cache, index, 1);
        if (error) return error;
    }
}

// One page's part, in a page that is pinned then.
static int write_piece(struct file_cache *cache, uint64_t at, uint64_t n, const struct source *from, uint64_t done,
                       struct page **out) {
    uint64_t index = at >> PAGE_SHIFT, in = at & PAGE_MASK, size = cache->size;
    for (;;) {
        int error = pin_page(cache, index, out);
        if (error) return error;
        if (*out) {
            // What a mapping may have left beyond the end becomes a part of the file.
            if (size >> PAGE_SHIFT == index && (size & PAGE_MASK) < in)
                memset((uint8_t *)page_to_virt(*out) + (size & PAGE_MASK), 0, in - (size & PAGE_MASK));
            error = copy_in(*out, in, from, done, n);
            if (!error) vmo_page_clear(*out, PAGE_NEW);
            if (error) vmo_release_file_page(*out);
            return error;
        }
        if (n == PAGE_SIZE || index << PAGE_SHIFT >= size || (in == 0 && at + n >= size)) {
            error = make_page(cache, index, in, n, from, done, out);
            if (error) return error;
            int inserted = cache_insert_pages(cache, out, 1);
            if (inserted != 0) return inserted < 0 ? inserted : 0;
        } else {
            error = cache_get_page(cache, index, 1);
            if (error) return error;
        }
    }
}

// Pages and size together: write-back that met dirty pages beyond the end would take them for none of the file's.
static unsigned mark_dirty(struct file_cache *cache, struct page *const *pages, unsigned count, struct job *job, uint64_t end) {
    unsigned charged = 0;
    spin_lock(cache->vmo->lock);
    for (unsigned i = 0; i < count; i++) charged += cache_set_dirty_locked(cache, pages[i], job);
    if (end > cache->size) __atomic_store_n(&cache->size, end, __ATOMIC_RELEASE);
    spin_unlock(cache->vmo->lock);
    return charged;
}

// Up to WRITE_PAGES pages: bytes written, or an error when there are none.
static int64_t write_batch(struct file_cache *cache, uint64_t offset, uint64_t bytes, const struct source *from, uint64_t done) {
    struct page *pages[WRITE_PAGES];
    uint64_t first = offset >> PAGE_SHIFT, end = div_round_up(offset + bytes, PAGE_SIZE), written = 0;
    unsigned count = (unsigned)(end - first), n = 0;
    bool settled = offset + bytes <= cache->size && all_dirty(cache, first, count);
    int error = 0;
    if (!settled && cache->ops->reserve) error = cache->ops->reserve(cache, first << PAGE_SHIFT, (end - first) << PAGE_SHIFT);
    if (error) return error;
    struct job *job;
    error = cache_charge_dirty(cache, count, &job);
    if (error) return error;
    spin_lock(cache->vmo->lock);
    if (end > cache->vmo->pages) cache->vmo->pages = end;
    spin_unlock(cache->vmo->lock);
    while (written < bytes) {
        uint64_t at = offset + written, piece = MIN(PAGE_SIZE - (at & PAGE_MASK), bytes - written);
        error = write_piece(cache, at, piece, from, done + written, &pages[n]);
        if (error) break;
        written += piece;
        n++;
    }
    unsigned charged = n ? mark_dirty(cache, pages, n, job, offset + written) : 0;
    if (charged < count) cache_uncharge_dirty(cache, job, count - charged);
    for (unsigned i = 0; i < n; i++) vmo_release_file_page(pages[i]);
    if (!error) return (int64_t)written;
    // Behind what was written nothing is dirty but what was before.
    for (uint64_t index = first + n; index < end && cache->ops->unreserve; index++)
        if (!all_dirty(cache, index, 1)) cache->ops->unreserve(cache, index << PAGE_SHIFT, PAGE_SIZE);
    vmo_set_pages(cache->vmo, div_round_up(cache->size, PAGE_SIZE));
    return written ? (int64_t)written : error;
}

static int64_t write_pages(struct file_cache *cache, uint64_t offset, const struct source *from, uint64_t bytes) {
    if (bytes == 0) return 0;
    if (offset + bytes < offset || offset + bytes > VMO_SIZE_MAX) return -EFBIG;
    int error = cache_make_vmo(cache);
    if (!error && offset >> PAGE_SHIFT > cache->size >> PAGE_SHIFT) error = cache_grow_past_tail(cache);
    if (error) return error;
    for (uint64_t done = 0;;) {
        uint64_t room = WRITE_PAGES * PAGE_SIZE - ((offset + done) & PAGE_MASK);
        uint64_t wanted = MIN(room, bytes - done);
        int64_t n = write_batch(cache, offset + done, wanted, from, done);
        if (n > 0) done += (uint64_t)n;
        if (n < (int64_t)wanted || done == bytes || sched_preempt_point()) return done ? (int64_t)done : n;
    }
}

int64_t file_cache_write(struct file_cache *cache, uint64_t offset, struct user_ptr from, uint64_t bytes) {
    if (!user_range_valid(from, bytes)) return -EFAULT;
    return write_pages(cache, offset, &(struct source){.user = from}, bytes);
}

int64_t file_cache_write_kernel(struct file_cache *cache, uint64_t offset, const void *from, uint64_t bytes) {
    return write_pages(cache, offset, &(struct source){.kernel = from}, bytes);
}
