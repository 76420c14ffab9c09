// Between the files of the page cache.
//
//   page flag        set                                    cleared
//   VMO_PAGE_LOADING put into the VMO to be read            the last piece of it was read (interrupt), or failed
//   VMO_PAGE_ERROR   it failed; word[0] says why            never: the reader that finds it takes the page out
//   VMO_PAGE_DIRTY   written; word[0] is the job charged    taken for write-back (cache->writeback, vmo->lock held)
//   PAGE_USED_BIT    used again since its first use         by the policy's hand
//   PAGE_NEW         read ahead, not used yet               at its first use
//   PAGE_TRIGGER     read ahead: the next window is due     by who finds it
//   PAGE_FREQUENT    on that clock                          both under car_lock
//
// A page leaves the VMO only while it is clean, loaded and has no pin (refs 1), under vmo->lock. Pins: writers while they copy
// into it, write-back while the device reads it.
#pragma once
#include "kernel/block/car.h"
#include "kernel/block/page_cache.h"
#include "kernel/mm/charge.h"

enum {
    PAGE_USED_BIT = VMO_PAGE_PAGER,
    PAGE_NEW = VMO_PAGE_PAGER << 1,
    PAGE_TRIGGER = VMO_PAGE_PAGER << 2,
    PAGE_FREQUENT = VMO_PAGE_PAGER << 3,
};

#define CACHE_BATCH 128u  // pages that are read, written or taken at once: 512 KiB

struct cache_domain {
    const char *name;
    struct block_device *device;
    uint64_t limit_pages;
    uint64_t dirty_pages;      // atomic; only with a limit of its own
    struct spinlock lock;      // a leaf
    struct list asked;         // struct cache_order: what its thread is to write for others
    struct list files;         // dirty, or being written back; the one that waits longest first
    uint32_t pass;
    uint32_t users;            // syncs of all domains at work here
    bool stop, stopped;
    bool kicked;               // write back regardless of age; atomic
    struct wait_queue queue;   // its thread
    struct wait_queue served;  // who waits for an order
    struct ktimer timer;       // the oldest dirty page gets too old
    bool timer_armed;
    struct thread *thread;
    struct cache_io *spare;    // for when memory is out
    struct mutex spare_lock;
    struct list_node node;     // in the list of all
    struct rcu_head rcu;
};

static inline bool cache_is_remote(const struct file_cache *cache) { return cache->domain->limit_pages != 0; }

// One request of the block layer for a file's pages.
struct cache_io {
    struct block_request request;
    struct file_cache *cache;
    uint64_t size;             // of the file when it was made
    struct file_extent extent; // what it covers
    struct cache_io *next;
    bool done;                 // writes: under the file's queue's lock
    bool whole;                // it covers whole pages only
    bool spare;
    uint32_t capacity;
    struct block_vector vectors[];
};

extern struct page_cache_stats cache_counts;  // misses and read-ahead by estimate

// ---- page_cache.c: pages in and out ---------------------------------------------------------------------------------------
struct job *cache_job(void);         // pays for trees: the root job
struct job *cache_writer_job(void);  // the running thread's
void cache_limit_dirty(uint64_t pages);  // the root job's JOB_DIRTY_PAGES
[[nodiscard]] int cache_make_vmo(struct file_cache *cache);
extern const struct vmo_pager cache_pager;
// Up to `count` free pages, adopted with these flags, for places from `first` on: how many.
unsigned cache_alloc_pages(struct file_cache *cache, uint64_t first, struct page **pages, unsigned count, unsigned flags);
// Puts them into the VMO and the policy: how many from the first on (the rest is freed), or -ENOMEM.
[[nodiscard]] int cache_insert_pages(struct file_cache *cache, struct page **pages, unsigned count);
// They are in no VMO: out of the policy, freed.
void cache_free_pages(struct page **pages, unsigned count);
// Takes the pages in [first, end) out; `dirty` ones too. Waits for what is being read. cache->writeback is held.
[[nodiscard]] int cache_remove_range(struct file_cache *cache, uint64_t first, uint64_t end, bool dirty);
// Waits until the page is loaded, or gone. As all int functions here that wait: 0, or -EINTR in a domain with its own limit.
[[nodiscard]] int cache_wait_loaded(struct file_cache *cache, uint64_t index);
[[nodiscard]] int cache_lock_writeback(struct file_cache *cache);  // cache->writeback
struct wait_queue *cache_queue(const struct file_cache *cache);  // who waits for the file's pages and requests
void cache_wake(struct wait_queue *queue);

// ---- page_cache_reclaim.c -------------------------------------------------------------------------------------------------
extern struct spinlock car_lock;
extern struct car car;
void cache_reclaim_init(void);
uint64_t cache_page_key(const struct page *page);
void cache_policy_insert(struct page *const *pages, unsigned count);
void cache_policy_remove(struct page *const *pages, unsigned count);
// Keeps memory free for those who cannot wait: evicts some when there is little left. No lock held.
void cache_make_room(unsigned pages);

// ---- page_cache_fill.c: reading --------------------------------------------------------------------------------------------
// Starts reading what is missing from page `index` on (`needed` of them are wanted now): 0 or an error.
[[nodiscard]] int cache_miss(struct file_cache *cache, uint64_t index, uint64_t needed);
void cache_read_ahead(struct file_cache *cache, uint64_t index);  // a trigger page was met
// The page is there, loaded: 0, or -EIO, -ENOMEM, -EFAULT (beyond the end). It may go again.
[[nodiscard]] int cache_get_page(struct file_cache *cache, uint64_t index, uint64_t needed);

struct cache_io *cache_io_alloc(struct file_cache *cache, uint64_t pages);
// Adds a piece of a page; false: the device takes no more at once.
bool cache_io_add(struct cache_io *io, struct page *page, uint32_t start, uint32_t bytes);

// ---- page_cache_dirty.c ----------------------------------------------------------------------------------------------------
// Charges `count` pages to be dirtied by the running thread, waiting for write-back where a limit is reached.
[[nodiscard]] int cache_charge_dirty(struct file_cache *cache, unsigned count, struct job **out);
void cache_uncharge_dirty(struct file_cache *cache, struct job *job, unsigned count);
// vmo->lock held. True: it was clean, and job's charge is the page's.
bool cache_set_dirty_locked(struct file_cache *cache, struct page *page, struct job *job);
// vmo->lock held; returns the job to uncharge.
struct job *cache_clear_dirty_locked(struct file_cache *cache, struct page *page);
[[nodiscard]] int cache_fault_dirty(struct vmo *vmo, uint64_t index);

// ---- page_cache_range.c ----------------------------------------------------------------------------------------------------
// The file is about to grow past its last page, whose rest becomes a part of it: that is zero, unless a mapping wrote there,
// and where blocks are smaller than pages needs some of its own if the page is dirty. 0, or what reserve says.
[[nodiscard]] int cache_grow_past_tail(struct file_cache *cache);

// ---- page_cache_writeback.c --------------------------------------------------------------------------------------------------
// Writes dirty pages of [first, end) back, at most about `most`, and waits: 0 or the first error.
[[nodiscard]] int cache_writeback(struct file_cache *cache, uint64_t first, uint64_t end, uint64_t most);

// ---- page_cache_domain.c -----------------------------------------------------------------------------------------------------
void cache_domain_enter_locked(struct file_cache *cache);   // vmo->lock held: it has dirty pages now
void cache_domain_leave(struct file_cache *cache);          // it has none, and no request at work
void cache_domain_wait_visits(struct file_cache *cache);    // nobody of the domain is at work on it
void cache_domain_kick(struct cache_domain *domain);        // any context but with the domain's locks
// Has the domain's thread write as cache_writeback does, and waits for that: its error, or -EINTR, -ENOMEM. Only if the domain
// has a limit of its own.
[[nodiscard]] int cache_ask_writeback(struct file_cache *cache, uint64_t first, uint64_t end, uint64_t most);
void cache_kick_all(void);                                  // for reclaim: tries locks only
