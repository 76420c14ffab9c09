// The page cache: one for read, write and mmap of all files. A file's pages are the pages of a PAGED VMO; this module is the
// pager of those VMOs, keeps the pages by the ARC policy in its reference-bit form (CAR), reads ahead, writes back, and
// holds writers to their dirty limits. It moves the data itself, between pages and the block device; the file system only
// says where they lie:
//
//     read   page missing ─▶ ops->map(range) ─▶ extent ─▶ block_submit ─▶ page supplied to the VMO
//     write  ops->reserve(range) ─▶ page dirtied in memory       (delayed allocation: no place yet)
//     back   ops->prepare(range) ─▶ extent ─▶ block_submit(write) ─▶ done ─▶ ops->complete(extent)
//
// `prepare` chooses blocks but records nothing on disk; `complete` records blocks and file size, in one transaction, after
// the data are on the device. So no crash shows a file blocks that its data never reached (ordered data).
//
// A page that is written during its write-back is dirty again and written once more: the device may meanwhile hold a part of
// the newer data, which nobody was promised yet.
//
// A domain with a limit of its own may wait for a process. Then only its thread writes back; who wants that done asks it and
// waits (cache_ask_writeback), and waits for pages being read: waits that end with -EINTR when the thread is killed.
//
// Locks, in order: the file system's inode lock, cache->writeback (prepare and complete are called with it, perhaps while
// somebody who waits for it holds the inode lock: so they must take locks below it only), vmo->lock, the policy's, a domain's.
#pragma once
#include "kernel/block/block.h"
#include "kernel/mm/vmo.h"
#include "kernel/sched/mutex.h"

struct file_cache;

enum file_extent_state {
    FILE_HOLE,       // nothing there: reads as zeros
    FILE_UNWRITTEN,  // blocks, but they read as zeros until written
    FILE_MAPPED,
};
struct file_extent {
    uint64_t offset, bytes;  // in the file; multiples of the file system's block
    uint64_t sector;         // on the device; not for a hole
    uint8_t state;           // enum file_extent_state
    bool fresh;              // prepare: blocks set aside now, complete must record them (or give them back)
};

// What a file system does for the cache. Called without spin locks; may block, except where said. Offsets and sizes are in
// bytes and multiples of the file system's block, but may pass the end of the file by less than a page.
struct file_cache_ops {
    // The extent at `offset`: begins there, is at least one block, at most `bytes`. 0, -EIO (damage), -ENOMEM.
    int (*map)(struct file_cache *, uint64_t offset, uint64_t bytes, struct file_extent *out);
    // The range will be dirtied: sets aside what it may need. A block is reserved or not: reserving it again changes nothing.
    // May be called by several at once, by page faults without the inode lock. Whole pages.
    // 0, -ENOSPC, -EDQUOT, -EROFS, -EFBIG, -EIO.
    int (*reserve)(struct file_cache *, uint64_t offset, uint64_t bytes);
    // Reserved, and will not be dirtied, or was cut off before it was written, or prepare has failed. Does not fail.
    void (*unreserve)(struct file_cache *, uint64_t offset, uint64_t bytes);
    // Write-back: where the range is to be written. An extent as of map; a hole says that this part is not to be written, as
    // it lies beyond `size`, what the file was long when these data were taken. What was reserved for the extent is used up. 0;
    // -ENOMEM: nothing has changed, the cache asks again; -EIO, -ENOSPC, ...: the data are lost to the device, and the next sync
    // tells.
    int (*prepare)(struct file_cache *, uint64_t offset, uint64_t bytes, uint64_t size, struct file_extent *out);
    // The data of an extent, or of a part of it where the device takes less at once, are on the device (error 0), or could not
    // be written (they stay readable until memory is short, and are clean): records it, also the file's size up to
    // `size_written` (as prepare's). 0; -ENOMEM: nothing has changed, the cache calls
    // again, in the end with that as the error; or another error that the next sync tells.
    int (*complete)(struct file_cache *, const struct file_extent *extent, uint64_t size_written, int error);
    // Optional, for files whose data are not blocks of a device (FUSE): they replace map/prepare/complete and the block I/O.
    int (*read_pages)(struct file_cache *, uint64_t first, struct page **pages, uint32_t count);
    int (*write_pages)(struct file_cache *, uint64_t first, struct page **pages, uint32_t count, uint64_t size);
    // Optional. True: somebody has the VMO now, the inode must stay; false: nobody any more. Calls come in pairs that may
    // overlap (count them). False comes in any context and must not block.
    void (*mapped)(struct file_cache *, bool mapped);
    // Optional, of domains with a limit of their own. The write-back thread is about to write the file: whether the inode stays
    // until mapped(false) is called, or leaves memory already (false). Must not block.
    bool (*visit)(struct file_cache *);
    // Optional: the range, as its mappings have written it, is durable with what the file system must know of it. May block.
    int (*sync)(struct file_cache *, uint64_t offset, uint64_t bytes);
};

struct cache_domain;  // one per mounted file system: its dirty pages, its write-back thread

// device may be NULL with read_pages/write_pages. `limit_pages` 0: its dirty pages count against their jobs' limits and the
// overall one; else only against this one, and nobody waits for the domain who does not use it.
[[nodiscard]] int cache_domain_create(const char *name, struct block_device *device, uint64_t limit_pages,
                                      struct cache_domain **out);
// All files of it are gone.
void cache_domain_destroy(struct cache_domain *domain);
// Writes everything dirty of the domain back and waits. 0 or the first error.
[[nodiscard]] int cache_domain_sync(struct cache_domain *domain);
// Only has it begin. Any context.
void cache_domain_start(struct cache_domain *domain);

// Embedded in a file system's inode. Fields are the cache's.
struct file_cache {
    const struct file_cache_ops *ops;
    struct cache_domain *domain;
    struct vmo *vmo;           // the pages; made at the first use
    uint64_t size;             // of the file, bytes: what reads and page-ins stop at; atomic
    struct {                   // adaptive read-ahead; hints, changed without a lock
        uint64_t end;          // page behind the last window
        uint64_t window;       // its size in pages
        uint64_t byte;         // where the last read ended, inside a page
    } sequential;
    uint64_t identity;         // keys of pages for the policy: a file that comes back should have the same; 0: given by init
    struct mutex writeback;    // write-back, truncation and what takes pages away
    uint32_t dirty_pages;      // under vmo->lock
    uint32_t error_sequence;   // moves with every failed write-back; a file compares what it saw last
    int error;                 // the last one
    uint32_t loading;          // block requests at work that read; atomic
    uint32_t visits;           // by the domain's thread and syncs, under the domain's lock
    uint32_t pass;             // the last sync of the domain that came by
    nanos_t dirty_since;
    struct list_node node;     // in the domain's list of files with something to write back
};

void file_cache_init(struct file_cache *cache, const struct file_cache_ops *ops, struct cache_domain *domain, uint64_t size);
// The inode leaves memory: what is dirty is discarded, with `discard`, or else written; what cannot be is dropped with a
// message. No mapping is left. Does not wait for the device except for writes.
void file_cache_destroy(struct file_cache *cache, bool discard);

// Bytes read (short at the end of the file), or -EFAULT, -EIO, -ENOMEM. May be called by many at once.
[[nodiscard]] int64_t file_cache_read(struct file_cache *cache, uint64_t offset, struct user_ptr to, uint64_t bytes);
// Bytes written, or the error if there are none: also what reserve says. Grows the size. The caller holds the inode's lock
// against other writers and truncation. Waits while the writer's job, the file or the system is over its dirty limit.
[[nodiscard]] int64_t file_cache_write(struct file_cache *cache, uint64_t offset, struct user_ptr from, uint64_t bytes);
// The same with kernel memory, for loaders, symlinks, file systems themselves.
[[nodiscard]] int64_t file_cache_read_kernel(struct file_cache *cache, uint64_t offset, void *to, uint64_t bytes);
[[nodiscard]] int64_t file_cache_write_kernel(struct file_cache *cache, uint64_t offset, const void *from, uint64_t bytes);

// The file is to become `size` long. Shrinking drops pages beyond it (waits for writes at work, unmaps them) and zeroes the
// rest of the last page; the file system frees blocks afterwards. Growing only moves the size.
[[nodiscard]] int file_cache_resize(struct file_cache *cache, uint64_t size);
// Somebody else has changed the file, which is `size` long now: what is clean from `offset` on goes, and all beyond the end.
// -EINTR: killed.
[[nodiscard]] int file_cache_reset(struct file_cache *cache, uint64_t offset, uint64_t size);
// The range's pages go, dirty or not; partial pages are zeroed at the ends. For holes that are punched.
[[nodiscard]] int file_cache_discard(struct file_cache *cache, uint64_t offset, uint64_t bytes);
// The first byte >= offset that is dirty in memory and so no hole, whatever the file system says; UINT64_MAX: none.
uint64_t file_cache_next_dirty(struct file_cache *cache, uint64_t offset);
// How many of the bytes from `offset` on are in memory right now, at most a few MiB; offset + bytes must not wrap.
uint64_t file_cache_resident(struct file_cache *cache, uint64_t offset, uint64_t bytes);

// Of the bytes from `offset` on as many as are in memory, without waiting, perhaps fewer.
uint64_t file_cache_peek(struct file_cache *cache, uint64_t offset, void *to, uint64_t bytes);
// What the range is now, from whoever has the file, within its size. Does not wait: what is written here, or would have to be read
// first, is left alone. False: something is being read meanwhile, and may be what was there before.
[[nodiscard]] bool file_cache_store(struct file_cache *cache, uint64_t offset, const void *from, uint64_t bytes);

// Writes what is dirty in the range back and waits for it: 0 or the first error. The file system then makes its own records
// durable (inode sync).
[[nodiscard]] int file_cache_sync(struct file_cache *cache, uint64_t offset, uint64_t bytes);
// The VMO for mapping, with a reference. The inode must stay while there is one: ops->mapped tells.
[[nodiscard]] int file_cache_vmo(struct file_cache *cache, struct vmo **out);
// Drops clean pages in the range (posix_fadvise DONTNEED, and tests that need a cold cache).
void file_cache_drop(struct file_cache *cache, uint64_t offset, uint64_t bytes);

void page_cache_init(void);  // once, after memory and scheduler
// Writes everything dirty of all domains back and waits. 0 or the first error.
[[nodiscard]] int page_cache_sync_all(void);
struct page_cache_stats {
    uint64_t pages, dirty, writing, misses, read_ahead_pages, ghosts;
    uint64_t bytes_of_index;  // of the policy: ghosts and their directory
};
void page_cache_stats(struct page_cache_stats *out);
