// Finding, making and forgetting buffers. Writing them back: buffer_write.c.
#include "kernel/block/buffer.h"

#include "abi/gen/errors.h"
#include "kernel/block/buffer_internal.h"
#include "kernel/core/assert.h"
#include "kernel/mm/slub.h"
#include "lib/string.h"

#define FIRST_BUCKETS 256u
#define MOST_BUCKETS (256u << 10)
#define BUSY (BUFFER_DIRTY | BUFFER_JOURNALED | BUFFER_WRITING)

static struct kmem_cache buffer_slab;
static struct spinlock caches_lock = SPINLOCK_INIT("buffer_caches");  // before any cache->lock
static struct list caches = LIST_INIT(caches);

// ---- the cache ------------------------------------------------------------------------------------------------------------------

static void start_once(void) {
    static bool started;
    if (__atomic_exchange_n(&started, true, __ATOMIC_ACQ_REL)) return;
    slub_cache_init(&buffer_slab, "buffer", sizeof(struct buffer), 0);
    buffer_kernel_start();
}

int buffer_cache_create(struct block_device *device, uint32_t block_size, struct buffer_cache **out) {
    assert(is_power_of_two(block_size) && block_size >= SECTOR_SIZE && block_size <= 65536);
    start_once();
    struct buffer_cache *cache = kzalloc(sizeof *cache);
    if (cache == NULL) return -ENOMEM;
    cache->table = kcalloc(FIRST_BUCKETS, sizeof *cache->table);
    if (cache->table == NULL || buffer_reserve_make(cache) != 0) {
        kfree(cache->table);
        kfree(cache);
        return -ENOMEM;
    }
    cache->device = device;
    cache->block_size = block_size;
    cache->sectors_log = log2_floor(block_size / SECTOR_SIZE);
    cache->blocks = device->sectors >> cache->sectors_log;
    cache->hash_shift = 64 - log2_floor(FIRST_BUCKETS);
    spin_init(&cache->lock, "buffer_cache");
    mutex_init(&cache->write_lock, "buffer_write");
    list_init(&cache->clean);
    list_init(&cache->dirty);
    spin_lock(&caches_lock);
    list_push_back(&caches, &cache->node);
    spin_unlock(&caches_lock);
    *out = cache;
    return 0;
}

static void free_buffer(struct buffer *b) {
    buffer_memory_free(b->data, b->cache->block_size);
    slub_free(&buffer_slab, b);
}

static void unhash(struct buffer_cache *cache, struct buffer *b) {
    struct buffer **link = buffer_bucket(cache, b->block);
    while (*link != b) link = &(*link)->next;
    *link = b->next;
    list_remove(&b->list);
    cache->count--;
}

static void drop_all(struct buffer_cache *cache, struct list *list) {
    for (;;) {
        spin_lock(&cache->lock);
        struct buffer *b = list_first_entry(list, struct buffer, list);
        if (b == NULL) break;
        if (buffer_wait_unlock(cache, b)) continue;
        spin_lock(&cache->lock);
        verify(b->refs == 0 && b->journal == NULL);
        unhash(cache, b);
        spin_unlock(&cache->lock);
        free_buffer(b);
    }
    spin_unlock(&cache->lock);
}

void buffer_cache_destroy(struct buffer_cache *cache) {
    spin_lock(&caches_lock);
    list_remove(&cache->node);
    spin_unlock(&caches_lock);
    mutex_lock(&cache->write_lock);  // the age thread is out of it
    mutex_unlock(&cache->write_lock);
    drop_all(cache, &cache->dirty);
    drop_all(cache, &cache->clean);
    kfree(cache->reserve);
    kfree(cache->table);
    kfree(cache);
}

struct block_device *buffer_cache_device(struct buffer_cache *cache) { return cache->device; }
uint32_t buffer_cache_block_size(const struct buffer_cache *cache) { return cache->block_size; }
uint32_t buffer_count(const struct buffer_cache *cache) { return __atomic_load_n(&cache->count, __ATOMIC_RELAXED); }

// ---- lookup ---------------------------------------------------------------------------------------------------------------------

// With a reference, or NULL. cache->lock is held.
static inline struct buffer *lookup(struct buffer_cache *cache, uint64_t block) {
    for (struct buffer *b = *buffer_bucket(cache, block); b != NULL; b = b->next) {
        if (b->block != block) continue;
        buffer_get(b);
        if (unlikely((b->state & BUFFER_USED) == 0)) buffer_set(b, BUFFER_USED);
        return b;
    }
    return NULL;
}

// Four times the buckets. Without memory the chains just grow.
static coldpath void grow(struct buffer_cache *cache) {
    unsigned bits = 64 - cache->hash_shift + 2;
    struct buffer **table = kcalloc(1ul << bits, sizeof(*table));
    if (table == NULL) return;
    spin_lock(&cache->lock);
    struct buffer **old = cache->table;
    uint64_t old_buckets = 1ul << (64 - cache->hash_shift);
    if (old_buckets << 2 == 1ul << bits) {
        cache->table = table;
        cache->hash_shift = (uint8_t)(64 - bits);
        for (uint64_t i = 0; i < old_buckets; i++) {
            for (struct buffer *b = old[i], *next; b != NULL; b = next) {
                struct buffer **bucket = buffer_bucket(cache, b->block);
                next = b->next;
                b->next = *bucket;
                *bucket = b;
            }
        }
        table = old;
    }
    spin_unlock(&cache->lock);
    kfree(table);
}

// A buffer without content, held once; not in the cache yet.
static struct buffer *make(struct buffer_cache *cache, uint64_t block) {
    struct buffer *b = slub_alloc_zeroed(&buffer_slab);
    if (b == NULL) return NULL;
    b->data = buffer_memory_alloc(cache->block_size);
    if (b->data == NULL) {
        slub_free(&buffer_slab, b);
        return NULL;
    }
    b->block = block;
    b->cache = cache;
    b->refs = 1;
    return b;
}

int buffer_obtain(struct buffer_cache *cache, uint64_t block, struct buffer **out) {
    if (unlikely(block >= cache->blocks)) return -EINVAL;
    spin_lock(&cache->lock);
    struct buffer *b = lookup(cache, block);
    spin_unlock(&cache->lock);
    if (b == NULL) {
        uint32_t buckets = 1u << (64 - cache->hash_shift);
        if (unlikely(cache->count > buckets && buckets < MOST_BUCKETS)) grow(cache);
        struct buffer *made = make(cache, block);
        if (made == NULL) return -ENOMEM;
        spin_lock(&cache->lock);
        b = lookup(cache, block);  // somebody may have been faster
        if (b == NULL) {
            struct buffer **bucket = buffer_bucket(cache, block);
            b = made;
            b->next = *bucket;
            *bucket = b;
            list_push_back(&cache->clean, &b->list);
            cache->count++;
        }
        spin_unlock(&cache->lock);
        if (b != made) free_buffer(made);
    }
    *out = b;
    return 0;
}

static coldpath int read_slowly(struct buffer_cache *cache, uint64_t block, struct buffer **out) {
    struct buffer *b;
    int error = buffer_obtain(cache, block, &b);
    if (error) return error;
    error = buffer_fill(b);
    if (error) {
        buffer_put(b);
        return error;
    }
    *out = b;
    return 0;
}

int buffer_read(struct buffer_cache *cache, uint64_t block, struct buffer **out) {
    struct buffer *b = buffer_find(cache, block);
    if (unlikely(b == NULL)) return read_slowly(cache, block, out);
    *out = b;
    return 0;
}

struct buffer *buffer_find(struct buffer_cache *cache, uint64_t block) {
    spin_lock(&cache->lock);
    struct buffer *b = lookup(cache, block);
    spin_unlock(&cache->lock);
    if (b == NULL || likely(buffer_state(b) & BUFFER_UPTODATE)) return b;
    buffer_put(b);
    return NULL;
}

int buffer_new(struct buffer_cache *cache, uint64_t block, struct buffer **out) {
    struct buffer *b;
    int error = buffer_obtain(cache, block, &b);
    if (error) return error;
    do spin_lock(&cache->lock);
    while (buffer_wait_unlock(cache, b));
    memset(b->data, 0, cache->block_size);
    buffer_clear(b, BUFFER_VERIFIED);
    buffer_set(b, BUFFER_UPTODATE);
    *out = b;
    return 0;
}

void buffer_put(struct buffer *b) {
    uint32_t before = __atomic_fetch_sub(&b->refs, 1, __ATOMIC_RELEASE);
    verify(before > 0);
}

// ---- forgetting -----------------------------------------------------------------------------------------------------------------

static void forget_one(struct buffer_cache *cache, uint64_t block) {
    struct buffer *b;
    for (;;) {
        spin_lock(&cache->lock);
        for (b = *buffer_bucket(cache, block); b != NULL && b->block != block;) b = b->next;
        if (b == NULL || b->state & BUFFER_JOURNALED) {
            spin_unlock(&cache->lock);
            return;
        }
        if (b->io == NULL) break;
        (void)buffer_wait_unlock(cache, b);
    }
    bool free = b->refs == 0;
    if (b->state & BUFFER_DIRTY) {
        list_remove(&b->list);
        list_push_front(&cache->clean, &b->list);
    }
    buffer_clear(b, BUFFER_DIRTY | BUFFER_UPTODATE | BUFFER_VERIFIED);
    b->error = 0;
    if (free) unhash(cache, b);
    spin_unlock(&cache->lock);
    if (free) free_buffer(b);
}

// A range of more blocks than there are buffers: looks at the buffers instead.
static void forget_range(struct buffer_cache *cache, uint64_t block, uint64_t count) {
    for (uint64_t i = 0; i < 1ul << (64 - cache->hash_shift); i++) {
        for (bool again = true; again;) {
            uint64_t found = UINT64_MAX;
            spin_lock(&cache->lock);
            for (struct buffer *b = cache->table[i]; b != NULL && found == UINT64_MAX; b = b->next)
                if (b->block - block < count && !(b->state & BUFFER_JOURNALED) && b->state & BUFFER_UPTODATE) found = b->block;
            spin_unlock(&cache->lock);
            again = found != UINT64_MAX;
            if (again) forget_one(cache, found);
        }
    }
}

void buffer_forget(struct buffer_cache *cache, uint64_t block, uint64_t count) {
    if (count > buffer_count(cache)) {
        forget_range(cache, block, count);
        return;
    }
    for (uint64_t i = 0; i < count; i++) forget_one(cache, block + i);
}

// ---- memory is short ------------------------------------------------------------------------------------------------------------

static size_t reclaim_from(struct buffer_cache *cache, size_t wanted) {
    size_t freed = 0;
    for (uint32_t looked = cache->count; looked > 0 && freed < wanted; looked--) {
        struct buffer *b = list_first_entry(&cache->clean, struct buffer, list);
        if (b == NULL) break;
        bool busy = b->refs != 0 || b->io != NULL || b->journal != NULL || (b->state & BUSY);
        if (busy || b->state & BUFFER_USED) {
            buffer_clear(b, BUFFER_USED);
            list_remove(&b->list);
            list_push_back(&cache->clean, &b->list);
            continue;
        }
        unhash(cache, b);
        free_buffer(b);
        freed++;
    }
    return freed;
}

size_t buffer_reclaim(size_t pages) {
    size_t freed = 0;
    if (!spin_trylock(&caches_lock)) return 0;
    list_for_each_entry(cache, &caches, struct buffer_cache, node) {
        size_t per_page = MAX(PAGE_SIZE / cache->block_size, 1ul), pages_each = MAX(cache->block_size / PAGE_SIZE, 1ul);
        if (freed >= pages || !spin_trylock(&cache->lock)) continue;
        size_t buffers = reclaim_from(cache, (pages - freed) * per_page);
        spin_unlock(&cache->lock);
        freed += buffers / per_page * pages_each;
    }
    spin_unlock(&caches_lock);
    return freed;
}

// The n-th cache with its write lock, or NULL. A cache is not destroyed while that is held.
static struct buffer_cache *lock_cache(unsigned n) {
    struct buffer_cache *found = NULL;
    spin_lock(&caches_lock);
    list_for_each_entry(cache, &caches, struct buffer_cache, node) {
        if (n-- > 0) continue;
        found = mutex_trylock(&cache->write_lock) ? cache : NULL;
        break;
    }
    spin_unlock(&caches_lock);
    return found;
}

void buffer_age_all(void) {
    unsigned count = 0;
    spin_lock(&caches_lock);
    list_for_each(node, &caches) count++;
    spin_unlock(&caches_lock);
    for (unsigned i = 0; i < count; i++) {
        struct buffer_cache *cache = lock_cache(i);
        if (cache == NULL) continue;  // it is being written
        buffer_write_older_locked(cache, cache->age - 1);
        spin_lock(&cache->lock);
        cache->age++;
        spin_unlock(&cache->lock);
        mutex_unlock(&cache->write_lock);
    }
}
