// The buffer cache: single blocks of a device, by number, for the metadata of file systems. File contents never go through
// it (kernel/block/page_cache.h). A buffer lives while somebody holds it, while it is dirty or a journal's, and else as
// long as memory lasts; the reclaimer takes the coldest clean ones.
//
//   state of a buffer       content                      written back
//   0                       none yet                     -
//   UPTODATE                the device's                 -
//   UPTODATE | DIRTY        newer than the device's      by buffer_sync, by age, or under memory pressure
//   UPTODATE | JOURNALED    newer; belongs to a journal  only by the journal, in its order (kernel/fs/ext4/journal.h)
//
// A buffer without a state above may also be READING (io tells); a dirty one that is written home is WRITING, and dirty no
// more; when the write fails it is dirty again and keeps the error.
//
// Locks, in order: cache->write_lock (sleeps: one writer back at a time), cache->lock (spin: hash, lists, io; a leaf). The
// content is guarded by who owns the block: the file system's own locks. Also built for host tests.
#pragma once
#include "kernel/block/block.h"
#include "kernel/sched/mutex.h"

struct buffer_cache;

enum { BUFFER_UPTODATE = 1 << 0, BUFFER_DIRTY = 1 << 1, BUFFER_JOURNALED = 1 << 2, BUFFER_WRITING = 1 << 3,
       BUFFER_VERIFIED = 1 << 4 /* the owner's: its checksum was seen to be right */,
       BUFFER_USED = 1 << 5 /* since the reclaimer last looked */ };

struct buffer {
    uint64_t block;
    uint8_t *data;           // cache->block_size bytes
    struct buffer_cache *cache;
    uint32_t refs;           // atomic
    uint32_t state;          // BUFFER_*; atomic
    int error;               // of the last write-back; 0 when it worked
    uint32_t age;            // dirty: the cache's age then
    struct buffer *next;     // with the same hash
    struct list_node list;   // clean (coldest first), or dirty (oldest first)
    struct buffer_io *io;    // the request that reads or writes it now, or NULL
    void *journal;           // the journal's own record of it, or NULL
};

// A cache over a device that the caller has claimed, with blocks of 512 to 65,536 bytes: 0 or -ENOMEM.
[[nodiscard]] int buffer_cache_create(struct block_device *device, uint32_t block_size, struct buffer_cache **out);
// Nothing is held any more. Dirty buffers are given up: sync first.
void buffer_cache_destroy(struct buffer_cache *cache);
struct block_device *buffer_cache_device(struct buffer_cache *cache);
uint32_t buffer_cache_block_size(const struct buffer_cache *cache);

// The block with its content, held: 0, or -EIO, -ENOMEM, -EINVAL (beyond the device). May block.
[[nodiscard]] int buffer_read(struct buffer_cache *cache, uint64_t block, struct buffer **out);
// The block, held, its content zeroed instead of read (it is new); not yet dirty. -ENOMEM, -EINVAL.
[[nodiscard]] int buffer_new(struct buffer_cache *cache, uint64_t block, struct buffer **out);
// The block if it is in the cache with its content, held, or NULL. Does not block.
struct buffer *buffer_find(struct buffer_cache *cache, uint64_t block);
// Starts reading blocks that will be wanted soon. Does not wait; errors show when they are read.
void buffer_read_ahead(struct buffer_cache *cache, uint64_t block, uint32_t count);
static inline void buffer_get(struct buffer *b) { __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED); }
void buffer_put(struct buffer *b);

// The content was changed (or is about to be): it is to be written back. Without a journal.
void buffer_mark_dirty(struct buffer *b);
// The blocks are nobody's any more: their content is dropped, dirty or not.
void buffer_forget(struct buffer_cache *cache, uint64_t block, uint64_t count);
// Writes one buffer now and waits: 0 or -EIO.
[[nodiscard]] int buffer_write(struct buffer *b, unsigned block_flags);
// Writes these now, whatever their state, and waits; neighbours in one request. Sorts the array by block. 0 or the first
// error: buffer->error tells which were not written. JOURNALED stays as it is.
[[nodiscard]] int buffer_write_many(struct buffer_cache *cache, struct buffer **buffers, size_t count);
// Writes all dirty buffers, waits, flushes the device. 0 or the first error since the last call.
[[nodiscard]] int buffer_sync(struct buffer_cache *cache);

// ---- for a journal ---------------------------------------------------------------------------------------------------------------
// The buffer, held, is the journal's: only the journal writes it. Whether it was dirty. Any spin lock may be held.
bool buffer_join_journal(struct buffer *b);
// It is an ordinary clean buffer again.
void buffer_leave_journal(struct buffer *b);
// Its content is not to be believed: the next who wants it reads it anew.
void buffer_drop_content(struct buffer *b);
// Waits for the request at work on the buffer, which is held.
void buffer_wait(struct buffer *b);

// ---- for the kernel's thread, the reclaimer, tests -----------------------------------------------------------------------------
// Writes back what has been dirty since before the last call, in all caches. Errors show at the next buffer_sync.
void buffer_age_all(void);
// Frees the coldest clean buffers of all caches, about `pages` pages of them; returns how many pages. Only tries locks.
size_t buffer_reclaim(size_t pages);
uint32_t buffer_count(const struct buffer_cache *cache);
// Provided by buffer_kernel.c, in host tests by a stand-in: a block's memory, aligned to its size (to a page at most); the
// reclaimer and the thread, started with the first cache.
[[nodiscard]] void *buffer_memory_alloc(uint32_t bytes);
void buffer_memory_free(void *memory, uint32_t bytes);
void buffer_kernel_start(void);
