// Requests of the buffer cache: reading blocks in, writing them back, neighbours together. A buffer_io is one request; the
// buffers that it reads or writes point to it. It lives until the device and the last who waits for it have let go.
#include "abi/gen/errors.h"
#include "kernel/block/buffer_internal.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define RUN_BYTES (256u << 10)  // the largest request
#define RUN_BLOCKS 64u
#define BATCH 128u              // buffers collected at once by write-back

struct buffer_io {
    struct block_request request;
    struct completion done;
    struct buffer_cache *cache;
    uint32_t refs;     // atomic: the device's, the waiters'
    uint32_t count;
    int error;         // once done
    bool rewrite;      // written from the dirty list: dirty again when it fails
    struct buffer **buffers;
    struct block_vector vectors[];  // then the buffers
};

static void put_io(struct buffer_io *io) {
    if (__atomic_fetch_sub(&io->refs, 1, __ATOMIC_ACQ_REL) == 1) kfree(io);
}

bool buffer_wait_unlock(struct buffer_cache *cache, struct buffer *b) {
    struct buffer_io *io = b->io;
    if (likely(io == NULL)) {
        spin_unlock(&cache->lock);
        return false;
    }
    __atomic_fetch_add(&io->refs, 1, __ATOMIC_RELAXED);
    spin_unlock(&cache->lock);
    completion_wait(&io->done);
    put_io(io);
    return true;
}

static void dirty_locked(struct buffer_cache *cache, struct buffer *b) {
    if (b->state & BUFFER_DIRTY) return;
    b->age = cache->age;
    list_remove(&b->list);
    list_push_back(&cache->dirty, &b->list);
    buffer_set(b, BUFFER_DIRTY);
}

static void finish_one(struct buffer_io *io, struct buffer *b, bool read) {
    b->io = NULL;
    if (read) {
        if (!io->error) buffer_set(b, BUFFER_UPTODATE);
        return;
    }
    b->error = io->error;
    buffer_clear(b, BUFFER_WRITING);
    if (likely(!io->error)) return;
    if (io->rewrite && !(b->state & BUFFER_JOURNALED)) dirty_locked(io->cache, b);
    if (!io->cache->error) io->cache->error = io->error;
}

static void finished(struct block_request *request) {
    struct buffer_io *io = request->context;
    struct buffer_cache *cache = io->cache;
    bool read = request->op == BLOCK_READ;
    io->error = request->error;
    spin_lock(&cache->lock);
    for (uint32_t i = 0; i < io->count; i++) finish_one(io, io->buffers[i], read);
    spin_unlock(&cache->lock);
    completion_signal(&io->done);
    put_io(io);
}

// Room for a request of up to `count` buffers, held twice: by the device and by the caller.
static struct buffer_io *make_io(struct buffer_cache *cache, uint8_t op, uint32_t count) {
    struct buffer_io *io = kzalloc(sizeof *io + count * (sizeof(struct block_vector) + sizeof(struct buffer *)));
    if (io == NULL) return NULL;
    io->request.op = op;
    io->request.vectors = io->vectors;
    io->request.done = finished;
    io->request.context = io;
    io->cache = cache;
    io->refs = 2;
    io->buffers = (struct buffer **)(io->vectors + count);
    completion_init(&io->done, "buffer_io");
    return io;
}

// b belongs to the request from now on. cache->lock is held.
static void add_locked(struct buffer_io *io, struct buffer *b) {
    if (io->count == 0) io->request.sector = b->block << io->cache->sectors_log;
    io->vectors[io->count] = (struct block_vector){b->data, io->cache->block_size};
    io->buffers[io->count++] = b;
    b->io = io;
}

static void submit(struct buffer_io *io) {
    io->request.vector_count = (uint16_t)io->count;
    block_submit(io->cache->device, &io->request);
}

static int wait_and_put(struct buffer_io *io) {
    completion_wait(&io->done);
    int error = io->error;
    put_io(io);
    return error;
}

static uint32_t run_limit(const struct buffer_cache *cache) {
    const struct block_device *device = cache->device;
    uint32_t blocks = MIN(RUN_BYTES >> SECTOR_SHIFT, device->max_sectors) >> cache->sectors_log;
    blocks = MIN(blocks, RUN_BLOCKS);
    blocks = MIN(blocks, device->max_vectors);
    return MAX(blocks, 1u);
}

// ---- reading --------------------------------------------------------------------------------------------------------------------

int buffer_fill(struct buffer *b) {
    struct buffer_cache *cache = b->cache;
    struct buffer_io *mine = make_io(cache, BLOCK_READ, 1);
    int error = 0;
    if (mine == NULL) return -ENOMEM;
    spin_lock(&cache->lock);
    while (!error && !(b->state & BUFFER_UPTODATE)) {
        struct buffer_io *io = b->io;
        if (io == NULL) {
            add_locked(mine, b);
            spin_unlock(&cache->lock);
            submit(mine);
            return wait_and_put(mine);
        }
        __atomic_fetch_add(&io->refs, 1, __ATOMIC_RELAXED);
        spin_unlock(&cache->lock);
        error = wait_and_put(io);  // somebody reads it already
        spin_lock(&cache->lock);
    }
    spin_unlock(&cache->lock);
    kfree(mine);
    return error;
}

// Adds the block to the request if nobody has or reads it.
static bool add_missing(struct buffer_io *io, uint64_t block) {
    struct buffer *b;
    if (buffer_obtain(io->cache, block, &b) != 0) return false;
    spin_lock(&io->cache->lock);
    bool missing = b->io == NULL && !(b->state & BUFFER_UPTODATE);
    if (missing) add_locked(io, b);
    spin_unlock(&io->cache->lock);
    buffer_put(b);  // the request keeps it
    return missing;
}

void buffer_read_ahead(struct buffer_cache *cache, uint64_t block, uint32_t count) {
    uint32_t limit = run_limit(cache);
    uint64_t end = block < cache->blocks ? block + MIN((uint64_t)count, cache->blocks - block) : block;
    struct buffer_io *io = NULL;
    for (; block < end; block++) {
        if (io == NULL) io = make_io(cache, BLOCK_READ, limit);
        if (io == NULL) return;
        bool added = add_missing(io, block);
        if (io->count == 0 || (added && io->count < limit && block + 1 < end)) continue;
        submit(io);
        put_io(io);
        io = NULL;
    }
    kfree(io);
}

// ---- writing --------------------------------------------------------------------------------------------------------------------

void buffer_mark_dirty(struct buffer *b) {
    struct buffer_cache *cache = b->cache;
    if (buffer_state(b) & BUFFER_DIRTY) return;
    spin_lock(&cache->lock);
    assert(b->refs > 0 && !(b->state & BUFFER_JOURNALED));
    dirty_locked(cache, b);
    spin_unlock(&cache->lock);
}

// No longer to be written back. cache->lock is held.
static bool clean_locked(struct buffer_cache *cache, struct buffer *b) {
    if (!(b->state & BUFFER_DIRTY)) return false;
    list_remove(&b->list);
    list_push_back(&cache->clean, &b->list);
    buffer_clear(b, BUFFER_DIRTY);
    return true;
}

bool buffer_join_journal(struct buffer *b) {
    spin_lock(&b->cache->lock);
    bool was_dirty = clean_locked(b->cache, b);
    buffer_set(b, BUFFER_JOURNALED);
    spin_unlock(&b->cache->lock);
    return was_dirty;
}

void buffer_leave_journal(struct buffer *b) { buffer_clear(b, BUFFER_JOURNALED); }
void buffer_drop_content(struct buffer *b) { buffer_clear(b, BUFFER_UPTODATE | BUFFER_VERIFIED); }

void buffer_wait(struct buffer *b) {
    spin_lock(&b->cache->lock);
    (void)buffer_wait_unlock(b->cache, b);
}

// b is written by io. A read or write at work on it is awaited first, by the caller. cache->lock is held.
static void add_write_locked(struct buffer_io *io, struct buffer *b) {
    if (clean_locked(io->cache, b)) io->rewrite = true;
    buffer_set(b, BUFFER_WRITING);
    add_locked(io, b);
}

// The request that is always there, for one buffer. Once nobody waits for its last use any more; write_lock is held.
static struct buffer_io *take_reserve(struct buffer_cache *cache) {
    struct buffer_io *io = cache->reserve;
    while (__atomic_load_n(&io->refs, __ATOMIC_ACQUIRE) > 1) sched_yield();
    io->refs = 3;  // the cache's besides
    io->count = 0;
    io->rewrite = false;
    io->request.flags = 0;
    completion_init(&io->done, "buffer_io");
    return io;
}

int buffer_reserve_make(struct buffer_cache *cache) {
    cache->reserve = make_io(cache, BLOCK_WRITE, 1);
    if (cache->reserve == NULL) return -ENOMEM;
    cache->reserve->refs = 1;
    return 0;
}

// Starts writing one run of neighbours from the front of the array; returns how many.
static size_t write_run(struct buffer_cache *cache, struct buffer **buffers, size_t count, uint8_t flags, struct buffer_io **out) {
    size_t run = 1, limit = MIN(count, run_limit(cache));
    while (run < limit && buffers[run]->block == buffers[run - 1]->block + 1) run++;
    struct buffer_io *io = make_io(cache, BLOCK_WRITE, (uint32_t)run);
    if (io == NULL) {
        io = take_reserve(cache);
        run = 1;
    }
    for (size_t i = 0; i < run; i++) {
        spin_lock(&cache->lock);
        while (buffers[i]->io != NULL) {
            (void)buffer_wait_unlock(cache, buffers[i]);
            spin_lock(&cache->lock);
        }
        add_write_locked(io, buffers[i]);
        spin_unlock(&cache->lock);
    }
    io->request.flags = flags;
    submit(io);
    *out = io;
    return run;
}

static void sort(struct buffer **buffers, size_t count) {
    for (size_t gap = count / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11) {
        for (size_t i = gap; i < count; i++) {
            struct buffer *b = buffers[i];
            size_t at = i;
            for (; at >= gap && buffers[at - gap]->block > b->block; at -= gap) buffers[at] = buffers[at - gap];
            buffers[at] = b;
        }
    }
}

// write_lock is held. The buffers are held, or cannot go: dirty or a journal's.
static int write_batch_locked(struct buffer_cache *cache, struct buffer **buffers, size_t count, uint8_t flags) {
    struct buffer_io *at_work[16];
    int first_error = 0;
    sort(buffers, count);
    for (size_t done = 0; done < count;) {
        size_t runs = 0;
        for (; done < count && runs < ARRAY_SIZE(at_work); runs++) {
            done += write_run(cache, buffers + done, count - done, flags, &at_work[runs]);
            if (at_work[runs] == cache->reserve) {
                runs++;
                break;  // there is just one
            }
        }
        for (size_t i = 0; i < runs; i++) {
            int error = wait_and_put(at_work[i]);
            if (error && !first_error) first_error = error;
        }
    }
    return first_error;
}

int buffer_write_many(struct buffer_cache *cache, struct buffer **buffers, size_t count) {
    mutex_lock(&cache->write_lock);
    int error = write_batch_locked(cache, buffers, count, 0);
    mutex_unlock(&cache->write_lock);
    return error;
}

int buffer_write(struct buffer *b, unsigned block_flags) {
    struct buffer_cache *cache = b->cache;
    mutex_lock(&cache->write_lock);
    int error = write_batch_locked(cache, &b, 1, (uint8_t)block_flags);
    mutex_unlock(&cache->write_lock);
    return error;
}

// Takes up to BATCH of the oldest dirty buffers, with references.
static size_t collect(struct buffer_cache *cache, uint32_t age, struct buffer **buffers) {
    size_t count = 0;
    spin_lock(&cache->lock);
    list_for_each_entry(b, &cache->dirty, struct buffer, list) {
        if (count == BATCH || (int32_t)(b->age - age) > 0) break;
        buffer_get(b);
        buffers[count++] = b;
    }
    spin_unlock(&cache->lock);
    return count;
}

void buffer_write_older_locked(struct buffer_cache *cache, uint32_t age) {
    struct buffer *buffers[BATCH];
    for (size_t count; (count = collect(cache, age, buffers)) > 0;) {
        (void)write_batch_locked(cache, buffers, count, 0);  // cache->error keeps it for the next sync
        for (size_t i = 0; i < count; i++) buffer_put(buffers[i]);
    }
}

int buffer_sync(struct buffer_cache *cache) {
    mutex_lock(&cache->write_lock);
    spin_lock(&cache->lock);
    uint32_t age = cache->age++;  // what fails is dirty again, at a later age: tried once
    spin_unlock(&cache->lock);
    buffer_write_older_locked(cache, age);
    int error = block_flush(cache->device);
    spin_lock(&cache->lock);
    if (cache->error) error = cache->error;
    cache->error = 0;
    spin_unlock(&cache->lock);
    mutex_unlock(&cache->write_lock);
    return error;
}
