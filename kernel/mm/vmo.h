// Virtual memory objects: memory that can be mapped, read and written. This layer knows no handles; the object that
// handles name is kernel/object/vmo_object.h.
//
//   ANONYMOUS   zeroed pages, made when first touched              tree
//   PAGED       pages come from a pager (the page cache)           tree, filled by the pager
//   OVERLAY     own pages where written, else those of `source`    tree over source
//   PHYSICAL    device memory                                      base
//   CONTIGUOUS  RAM in one piece, for DMA                          base
//   POOL        pages of the WASM pool, reserved before use        tree
//
// Locks, in order: aspace->lock, vmo->lock. An overlay uses its source's lock, so that one lock covers all page tables
// that lead to a page. A leaf page-table entry is written under the lock of the VMO that is mapped there, so a VMO takes
// pages out of all address spaces that map it without their locks. No function blocks unless it says so.
#pragma once
#include "kernel/core/spinlock.h"
#include "kernel/mm/page.h"
#include "kernel/mm/page_tree.h"
#include "kernel/mm/reaper.h"

struct job;
struct vmo;
struct aspace;
struct wasm_account;

enum vmo_kind { VMO_ANONYMOUS, VMO_PAGED, VMO_OVERLAY, VMO_PHYSICAL, VMO_CONTIGUOUS, VMO_POOL };
enum {  // struct vmo flags
    VMO_RESIZABLE = 1 << 0,  // KPIO_VMO_RESIZABLE
    VMO_LARGE = 1 << 1,      // 2 MiB pages where alignment allows
    VMO_PINNED = 1 << 2,     // the kernel keeps addresses of its pages: they are never replaced or taken away
    VMO_UNCACHED = 1 << 3,   // PHYSICAL: device registers
    VMO_UNNAMED = 1 << 4,    // made for a mapping: no handle leads to it, each page is shown at most once unless MAPPING_SHARE
};
#define VMO_SIZE_MAX (PAGE_TREE_PAGES_MAX << PAGE_SHIFT)

// Where the pages of a PAGED VMO come from. The first two are called without locks and may block.
struct vmo_pager {
    // Brings page `index` into the VMO (also neighbours), or finds that it is there: 0, or -EIO, -ENOMEM, -EFAULT (beyond the
    // end). Another CPU may take it away again: the caller looks and asks again.
    int (*get_page)(struct vmo *vmo, uint64_t index);
    // The page is about to be written through a mapping: marks it dirty, if it is there. 0, or an error that forbids it.
    int (*dirty)(struct vmo *vmo, uint64_t index);
    // Pages [first, first + count) as they were written, also through mappings until now, are durable: 0 or the first error.
    // Without locks, may block. May be NULL.
    int (*sync)(struct vmo *vmo, uint64_t first, uint64_t count);
    // All references but one, the pager's own, are gone. Any context, must not block. May be NULL.
    void (*unused)(struct vmo *vmo);
    // The last reference is gone: frees what hangs on vmo->pager_data. Must not block.
    void (*gone)(struct vmo *vmo);
};

struct vmo {
    struct spinlock *lock;        // &own_lock, or the source's
    struct page_tree tree;
    uint64_t pages;               // size in pages
    struct list mappings;         // struct vmo_link: those of this VMO and of its overlays
    struct vmo *source;           // OVERLAY: where untouched pages come from; never an overlay itself
    union {
        uint64_t source_first;    // OVERLAY: index in source of page 0
        uint64_t max_pages;       // POOL: what it may grow to
    };
    struct job *job;              // who pays
    uint8_t kind;                 // enum vmo_kind
    uint8_t flags;
    uint32_t refs;                // atomic
    struct spinlock own_lock;
    union {
        paddr_t base;             // PHYSICAL, CONTIGUOUS
        struct wasm_account *account;  // POOL
        const struct vmo_pager *pager; // PAGED
    };
    void *pager_data;
    void (*release)(struct vmo *vmo);  // the last reference is gone; may be NULL (then CONTIGUOUS frees its pages)
    uint64_t id;                  // of the object that stands for it; 0: none
    struct page_grave grave;      // after the last reference
    struct reap_item reap;
};

// An entry of vmo->mappings: a mapping, or the place that a walk of the list has reached (mapping NULL).
struct vmo_link {
    struct list_node node;
    struct mapping *mapping;
};

void vmo_init(void);  // caches; once, before everything else here

// ---- life: size in bytes, rounded up to pages; 0 or -EINVAL (0 or too large), -ENOMEM, -ENFILE ------------------------
[[nodiscard]] int vmo_create(struct job *job, uint64_t size, unsigned flags, struct vmo **out);
[[nodiscard]] int vmo_create_paged(struct job *job, uint64_t size, const struct vmo_pager *pager, void *data,
                                   struct vmo **out);
[[nodiscard]] int vmo_create_physical(struct job *job, paddr_t base, uint64_t size, unsigned flags, struct vmo **out);
// Allocates zeroed contiguous RAM of at most 4 MiB and charges it at once. `release` NULL: it is freed with the VMO.
[[nodiscard]] int vmo_create_contiguous(struct job *job, uint64_t size, unsigned page_alloc_flags, struct vmo **out);
// A linear memory: `size` is reserved in the account now, vmo_resize grows it up to `maximum`. The account must live until
// vmo->release is called.
[[nodiscard]] int vmo_create_pool(struct job *job, uint64_t size, uint64_t maximum, struct wasm_account *account,
                                  struct vmo **out);
// Copies of a range (whole pages), paid by job from the first write on. PHYSICAL, CONTIGUOUS and POOL have none: -EINVAL.
// Preemptible; no lock held.
[[nodiscard]] int vmo_snapshot(struct vmo *vmo, uint64_t first, uint64_t pages, struct job *job, struct vmo **out);
[[nodiscard]] int vmo_overlay(struct vmo *vmo, uint64_t first, uint64_t pages, struct job *job, struct vmo **out);
static inline void vmo_get(struct vmo *vmo) { __atomic_fetch_add(&vmo->refs, 1, __ATOMIC_RELAXED); }
// Does not block: what is large goes to the reaper. vmo_put_slowly frees it in preemptible steps itself; no lock held.
void vmo_put(struct vmo *vmo);
void vmo_put_slowly(struct vmo *vmo);

// ---- content: preemptible, no lock held, may block for a PAGED VMO ----------------------------------------------------
// Copies between the VMO and the caller's memory: bytes copied, short at the end; -EFAULT, -ENOMEM, -EIO.
struct user_ptr;
[[nodiscard]] int64_t vmo_read(struct vmo *vmo, uint64_t offset, struct user_ptr buffer, uint64_t size);
[[nodiscard]] int64_t vmo_write(struct vmo *vmo, uint64_t offset, struct user_ptr buffer, uint64_t size);
// The same with kernel memory, for loaders.
[[nodiscard]] int64_t vmo_read_kernel(struct vmo *vmo, uint64_t offset, void *buffer, uint64_t size);
[[nodiscard]] int64_t vmo_write_kernel(struct vmo *vmo, uint64_t offset, const void *buffer, uint64_t size);
// Whole pages inside the VMO, else -EINVAL. commit: all or nothing. decommit: pages go, content is zero (or the source's)
// again. zero: any byte range.
[[nodiscard]] int vmo_commit(struct vmo *vmo, uint64_t offset, uint64_t size);
[[nodiscard]] int vmo_decommit(struct vmo *vmo, uint64_t offset, uint64_t size);
[[nodiscard]] int vmo_zero(struct vmo *vmo, uint64_t offset, uint64_t size);
// -EPERM when it is not resizable.
[[nodiscard]] int vmo_resize(struct vmo *vmo, uint64_t size);
// PHYSICAL: the device is gone. No page of it is mapped any more, or will be.
void vmo_cut(struct vmo *vmo);
// Pages in [first, end) that it has itself (shared ones count); a preemptible walk.
uint64_t vmo_count_pages(struct vmo *vmo, uint64_t first, uint64_t end);
// What was written to pages [first, first + count) is durable: nothing to do but for a PAGED VMO. No lock held, may block.
[[nodiscard]] int vmo_sync(struct vmo *vmo, uint64_t first, uint64_t count);
// The page at index, made if missing; for memory that the kernel shares with a process (VMO_PINNED). NULL: no memory.
struct page *vmo_pin_page(struct vmo *vmo, uint64_t index);

// ---- for pagers (vmo_paged.c); a PAGED VMO's pages are paid by nobody ----------------------------------------------------
enum {                            // struct page flags of PAGE_FILE; changed atomically
    VMO_PAGE_DIRTY = 1 << 0,      // may be mapped writable; marked in the tree
    VMO_PAGE_LOADING = 1 << 1,    // its content is not there yet
    VMO_PAGE_ERROR = 1 << 2,      // its content could not be had
    VMO_PAGE_PAGER = 1 << 3,      // this and the higher ones are the pager's
};
static inline void vmo_page_set(struct page *page, unsigned flags) {
    __atomic_fetch_or(&page->flags, (uint16_t)flags, __ATOMIC_RELEASE);
}
static inline void vmo_page_clear(struct page *page, unsigned flags) {
    __atomic_fetch_and(&page->flags, (uint16_t)~flags, __ATOMIC_RELEASE);
}
static inline unsigned vmo_page_flags(const struct page *page) { return __atomic_load_n(&page->flags, __ATOMIC_ACQUIRE); }

// Without a lock: the page of a slot that page_tree_find gave, held by this CPU until vmo_unhold, or NULL. Meanwhile it may be
// taken out of the VMO, but is not freed. One at a time; no quiescent point and no other hold between.
extern struct vmo_hold {
    struct page *page;
} cacheline_aligned vmo_holds[CONFIG_MAX_CPUS];
static inline struct page *vmo_hold(const uint64_t *slot) {
    for (;;) {
        uint64_t entry = __atomic_load_n(slot, __ATOMIC_RELAXED);
        if (unlikely(!entry)) return NULL;
        (void)__atomic_exchange_n(&vmo_holds[cpu_id()].page, entry_page(entry), __ATOMIC_SEQ_CST);
        if (likely(__atomic_load_n(slot, __ATOMIC_SEQ_CST) == entry)) return entry_page(entry);
    }
}
static inline void vmo_unhold(void) { __atomic_store_n(&vmo_holds[cpu_id()].page, NULL, __ATOMIC_RELEASE); }

// Makes a PAGE_USED page one of the VMO's, not yet in it, and back: freed once no pin and no hold is left.
void vmo_adopt_file_page(struct vmo *vmo, uint64_t index, struct page *page, unsigned flags);
void vmo_release_file_page(struct page *page);
// Puts adopted pages into consecutive free places: how many were put, or -ENOMEM if none could for want of memory. 0: the
// first place is taken, or beyond the end.
[[nodiscard]] int vmo_supply_locked(struct vmo *vmo, uint64_t first, struct page *const *pages, unsigned count);
struct page *vmo_page_locked(const struct vmo *vmo, uint64_t index);  // or NULL
void vmo_set_dirty_locked(struct vmo *vmo, struct page *page);    // it is in the VMO
void vmo_clear_dirty_locked(struct vmo *vmo, struct page *page);
// Takes a clean page out of the VMO and of page tables; the caller releases it.
void vmo_take_page_locked(struct vmo *vmo, struct page *page);
// Whether a mapping has used the page since it was asked last.
bool vmo_page_accessed_locked(struct vmo *vmo, uint64_t index);
// The pages' dirty flags were cleared: the next write to each through a mapping faults and calls pager->dirty. No lock held.
void vmo_clean(struct vmo *vmo, uint64_t first, uint64_t count);
// The file's size. Shrinking: no faults beyond from here on; the caller takes the pages out. No lock held.
void vmo_set_pages(struct vmo *vmo, uint64_t pages);
// Takes what lies in the range out of page tables. Preemptible, no lock held.
void vmo_unmap(struct vmo *vmo, uint64_t first, uint64_t end);
// Pages from `first` on are gone, and with them what overlays have copied of them, as far as it is mapped. Preemptible; no lock
// held that a fault takes. A copy stays where its job has no room for the bookkeeping (nodes of a tree that forks share).
void vmo_drop_copies(struct vmo *vmo, uint64_t first);

// ---- for address spaces; vmo->lock held -------------------------------------------------------------------------------
struct vmo_frame {     // two registers
    paddr_t address;
    int16_t error;     // 0, or negative errno, and then the rest means nothing
    bool writable;     // may be written in place
    bool from_source;  // of an overlay: not its own
};
// What a page table is to show at index. `write`: makes it the VMO's own. Errors: -EFAULT beyond the end; -ENOMEM;
// -EAGAIN: call vmo_wait_page without locks and try again.
[[nodiscard]] struct vmo_frame vmo_frame_locked(struct vmo *vmo, uint64_t index, bool write);
// The same for 512 pages from index (a multiple of 512): error -ENOENT when they are not one 2 MiB frame; -EBUSY: they may be
// one after vmo_prepare_large, without locks.
[[nodiscard]] struct vmo_frame vmo_large_frame_locked(struct vmo *vmo, uint64_t index, bool write);
// Zeroes 2 MiB for the pages around index, of which none is there; or makes the page at index, for want of memory for all:
// 0 (try again), -EFAULT, -ENOMEM. Preemptible, no lock held.
[[nodiscard]] int vmo_prepare_large(struct vmo *vmo, uint64_t index, bool write);
// Whether there is a page at index, loaded, its own or the source's.
bool vmo_is_resident_locked(const struct vmo *vmo, uint64_t index);
// Asks the pager, if there is one. May block.
[[nodiscard]] int vmo_wait_page(struct vmo *vmo, uint64_t index, bool write);
static inline struct vmo *vmo_root(struct vmo *vmo) { return vmo->source ? vmo->source : vmo; }
