// Write-back: dirty pages of a file to the device, in runs as long as can be, several requests at work at a time.
//
//     take a run: clean, pinned, unmapped for writing ─▶ prepare ─▶ requests ─▶ done ─▶ complete, unpin
//
// A page is cleaned before its data are read: who writes it from then on makes it dirty again. cache->writeback is held
// throughout, so `complete` is called for all that was started before somebody else looks at the file.
#include "abi/gen/errors.h"
#include "kernel/block/page_cache_internal.h"
#include "kernel/core/assert.h"
#include "kernel/core/log.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define REQUESTS_AT_WORK 8
#define MEMORY_PAUSE_NANOS 20000000ull
#define MEMORY_PAUSES 500u  // then the data are given up

struct writeback {
    struct file_cache *cache;
    struct cache_io *first, *last;  // at work, in order
    unsigned at_work;
    int error;                      // the first
};

static void note_error(struct writeback *w, int error) {
    if (!error) return;
    if (!w->error) {
        log_error("%s: write-back failed, error %d: what was written to a file is lost", w->cache->domain->name, -error);
        w->error = error;
    }
    w->cache->error = error;
    __atomic_fetch_add(&w->cache->error_sequence, 1, __ATOMIC_RELEASE);
}

// What was written may have no other place than memory, so want of memory is waited out: clean pages go, others let go of
// theirs. False: it has lasted too long.
static bool wait_for_memory(unsigned *pauses) {
    if (++*pauses > MEMORY_PAUSES) return false;
    cache_make_room(CACHE_BATCH);
    sched_sleep_until(arch_now() + MEMORY_PAUSE_NANOS);
    return true;
}

// ---- requests --------------------------------------------------------------------------------------------------------------

static void write_done(struct block_request *request) {
    struct cache_io *io = container_of(request, struct cache_io, request);
    struct wait_queue *queue = cache_queue(io->cache);
    spin_lock(&queue->lock);
    io->done = true;
    if (!list_is_empty(&queue->waiters)) (void)wait_queue_wake_locked(queue, UINT32_MAX, 0);
    spin_unlock(&queue->lock);
}

static void wait_done(struct cache_io *io) {
    struct wait_queue *queue = cache_queue(io->cache);
    for (;;) {
        spin_lock(&queue->lock);
        if (io->done) break;
        wait_queue_join_always_unlock(queue);
        wait_block_always();
    }
    spin_unlock(&queue->lock);
}

static void unpin(const struct cache_io *io) {
    for (unsigned i = 0; i < io->request.vector_count; i++) {
        struct page *page = virt_to_page(io->vectors[i].data);
        uint64_t pages = div_round_up(((uint64_t)io->vectors[i].data & PAGE_MASK) + io->vectors[i].bytes, PAGE_SIZE);
        for (; pages-- > 0; page++) vmo_release_file_page(page);
    }
}

// The device is done with it: the file system's record.
static int complete(struct cache_io *io) {
    const struct file_cache_ops *ops = io->cache->ops;
    int error = ops->complete(io->cache, &io->extent, io->size, io->request.error);
    for (unsigned pauses = 0; error == -ENOMEM;) {
        bool again = wait_for_memory(&pauses);
        error = ops->complete(io->cache, &io->extent, io->size, again ? io->request.error : -ENOMEM);
        if (!again) return -ENOMEM;
    }
    return error;
}

static void finish_first(struct writeback *w) {
    struct cache_io *io = w->first;
    wait_done(io);
    w->first = io->next;
    w->at_work--;
    note_error(w, io->request.error);
    note_error(w, complete(io));
    unpin(io);
    __atomic_fetch_sub(&cache_counts.writing, io->extent.bytes >> PAGE_SHIFT, __ATOMIC_RELAXED);
    if (io->spare) mutex_unlock(&w->cache->domain->spare_lock);
    else kfree(io);
}

static struct cache_io *io_make(struct writeback *w, uint64_t pages) {
    struct cache_io *io = cache_io_alloc(w->cache, pages);
    if (io) return io;
    while (w->first) finish_first(w);  // the spare one is perhaps among them
    io = w->cache->domain->spare;
    uint32_t capacity = io->capacity;
    mutex_lock(&w->cache->domain->spare_lock);
    memset(io, 0, sizeof(*io));
    io->capacity = capacity;
    io->cache = w->cache;
    io->spare = true;
    return io;
}

static void submit(struct writeback *w, struct cache_io *io, const struct file_extent *extent, uint64_t size) {
    io->extent.sector = extent->sector + ((io->extent.offset - extent->offset) >> SECTOR_SHIFT);
    io->extent.state = extent->state;
    io->extent.fresh = extent->fresh;
    io->size = size;
    io->request.op = BLOCK_WRITE;
    io->request.sector = io->extent.sector;
    io->request.vectors = io->vectors;
    io->request.done = write_done;
    io->next = NULL;
    if (w->first) w->last->next = io;
    else w->first = io;
    w->last = io;
    w->at_work++;
    __atomic_fetch_add(&cache_counts.writing, io->extent.bytes >> PAGE_SHIFT, __ATOMIC_RELAXED);
    block_submit(w->cache->domain->device, &io->request);
    if (w->at_work >= REQUESTS_AT_WORK) finish_first(w);
}

// ---- runs --------------------------------------------------------------------------------------------------------------------

struct run {
    uint64_t first;             // page
    unsigned count;
    uint64_t size;              // of the file when it was taken
    struct page *pages[CACHE_BATCH];  // pinned; NULL: the pin is a request's now
};

// The file's rest of its last page is zero on the device, whatever a mapping wrote there. Not while a writer is in the page:
// he makes it dirty again.
static void zero_tail_locked(const struct vmo *vmo, struct page *page, uint64_t size) {
    if (list_is_empty(&vmo->mappings) || page->index != size >> PAGE_SHIFT) return;
    if (__atomic_load_n(&page->refs, __ATOMIC_RELAXED) > 1) return;
    memset((uint8_t *)page_to_virt(page) + (size & PAGE_MASK), 0, PAGE_SIZE - (size & PAGE_MASK));
}

// The next dirty pages that lie together. False: none.
static bool take_run(struct file_cache *cache, uint64_t first, uint64_t end, struct run *run) {
    struct vmo *vmo = cache->vmo;
    struct job *job = NULL;
    unsigned uncharge = 0;
    spin_lock(vmo->lock);
    run->first = page_tree_next_marked(&vmo->tree, first, end);
    run->size = cache->size;
    for (run->count = 0; run->count < CACHE_BATCH && run->first + run->count < end; run->count++) {
        struct page *page = vmo_page_locked(vmo, run->first + run->count);
        if (!page || !(vmo_page_flags(page) & VMO_PAGE_DIRTY)) break;
        zero_tail_locked(vmo, page, run->size);
        struct job *owes = cache_clear_dirty_locked(cache, page);
        if (owes != job && uncharge) {
            cache_uncharge_dirty(cache, job, uncharge);
            uncharge = 0;
        }
        job = owes;
        uncharge++;
        __atomic_fetch_add(&page->refs, 1, __ATOMIC_RELAXED);
        run->pages[run->count] = page;
    }
    spin_unlock(vmo->lock);
    if (uncharge) cache_uncharge_dirty(cache, job, uncharge);
    if (run->count) vmo_clean(vmo, run->first, run->count);
    return run->count != 0;
}

static void write_extent(struct writeback *w, struct run *run, const struct file_extent *extent) {
    uint64_t end = extent->offset + extent->bytes;
    struct cache_io *io = NULL;
    for (uint64_t at = extent->offset, n; at < end; at += n) {
        unsigned i = (unsigned)((at >> PAGE_SHIFT) - run->first);
        uint64_t start = at & PAGE_MASK;
        n = MIN(PAGE_SIZE - start, end - at);
        struct page *page = run->pages[i];
        if (io && !cache_io_add(io, page, (uint32_t)start, (uint32_t)n)) {
            submit(w, io, extent, run->size);
            io = NULL;
        }
        if (!io) {
            io = io_make(w, div_round_up(end - at, PAGE_SIZE) + 1);
            io->extent.offset = at;
            verify(cache_io_add(io, page, (uint32_t)start, (uint32_t)n));
        }
        if (n == PAGE_SIZE) run->pages[i] = NULL;
        else __atomic_fetch_add(&page->refs, 1, __ATOMIC_RELAXED);
    }
    if (io) submit(w, io, extent, run->size);
}

// As ops->prepare. What is at work holds memory, so that is finished before waiting for some.
static int prepare(struct writeback *w, uint64_t offset, uint64_t bytes, uint64_t size, struct file_extent *out) {
    unsigned pauses = 0;
    int error;
    while ((error = w->cache->ops->prepare(w->cache, offset, bytes, size, out)) == -ENOMEM) {
        while (w->first) finish_first(w);
        if (!wait_for_memory(&pauses)) break;
    }
    return error;
}

static int write_pages(struct writeback *w, struct run *run) {
    unsigned pauses = 0;
    int error;
    do error = w->cache->ops->write_pages(w->cache, run->first, run->pages, run->count, run->size);
    while (error == -ENOMEM && wait_for_memory(&pauses));
    return error;
}

static void write_blocks(struct writeback *w, struct run *run) {
    const struct file_cache_ops *ops = w->cache->ops;
    uint64_t end = (run->first + run->count) << PAGE_SHIFT;
    for (uint64_t at = run->first << PAGE_SHIFT; at < end;) {
        struct file_extent extent;
        int error = prepare(w, at, end - at, run->size, &extent);
        if (!error && (extent.offset != at || extent.bytes == 0 || extent.bytes > end - at)) error = -EIO;
        if (error) {
            note_error(w, error);
            if (ops->unreserve) ops->unreserve(w->cache, at, end - at);
            return;
        }
        if (extent.state != FILE_HOLE) write_extent(w, run, &extent);
        at += extent.bytes;
    }
}

static void write_run(struct writeback *w, struct run *run) {
    if (w->cache->ops->write_pages) note_error(w, write_pages(w, run));
    else write_blocks(w, run);
    for (unsigned i = 0; i < run->count; i++)
        if (run->pages[i]) vmo_release_file_page(run->pages[i]);
}

int cache_writeback(struct file_cache *cache, uint64_t first, uint64_t end, uint64_t most) {
    struct writeback w = {.cache = cache};
    struct run run;
    assert(mutex_is_held(&cache->writeback));
    for (uint64_t written = 0; written < most && take_run(cache, first, end, &run); written += run.count) {
        write_run(&w, &run);
        first = run.first + run.count;
        (void)sched_preempt_point();
    }
    while (w.first) finish_first(&w);
    if (cache->dirty_pages == 0) cache_domain_leave(cache);
    return w.error;
}

int file_cache_sync(struct file_cache *cache, uint64_t offset, uint64_t bytes) {
    if (!__atomic_load_n(&cache->vmo, __ATOMIC_ACQUIRE) || bytes == 0) return 0;
    uint64_t last = offset + bytes - 1 < offset ? UINT64_MAX : offset + bytes - 1;
    uint64_t end = MIN((last >> PAGE_SHIFT) + 1, PAGE_TREE_PAGES_MAX);
    if (cache_is_remote(cache)) return cache_ask_writeback(cache, offset >> PAGE_SHIFT, end, UINT64_MAX);
    mutex_lock(&cache->writeback);
    int error = cache_writeback(cache, offset >> PAGE_SHIFT, end, UINT64_MAX);
    mutex_unlock(&cache->writeback);
    return error;
}
