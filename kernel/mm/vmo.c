#include "kernel/mm/vmo.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/reaper.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/vmo_internal.h"
#include "kernel/mm/wasm_pool.h"
#include "lib/string.h"

#define LARGE_PAGES (LARGE_PAGE_SIZE / PAGE_SIZE)
#define LARGE_ORDER (LARGE_PAGE_SHIFT - PAGE_SHIFT)
#define PUT_NODES 2    // freed on the spot by vmo_put
#define ZERO_PAGES 16  // without a preemption point

static struct kmem_cache vmo_cache;

void vmo_init(void) {
    slub_cache_init(&vmo_cache, "vmo", sizeof(struct vmo), CACHE_LINE);
    page_tree_init();
}

// ---- life ------------------------------------------------------------------------------------------------------------

static int vmo_alloc(struct job *job, enum vmo_kind kind, uint64_t pages, unsigned flags, struct vmo **out) {
    if (pages > PAGE_TREE_PAGES_MAX) return -EINVAL;
    int error = job_charge(job, JOB_KERNEL_BYTES, sizeof(struct vmo));
    if (error) return error;
    struct vmo *vmo = slub_alloc_zeroed(&vmo_cache);
    if (!vmo) {
        job_uncharge(job, JOB_KERNEL_BYTES, sizeof(struct vmo));
        return -ENOMEM;
    }
    spin_init(&vmo->own_lock, "vmo");
    vmo->lock = &vmo->own_lock;
    list_init(&vmo->mappings);
    vmo->pages = pages;
    vmo->job = job;
    vmo->kind = kind;
    vmo->flags = (uint8_t)flags;
    vmo->refs = 1;
    *out = vmo;
    return 0;
}

static int size_to_pages(uint64_t size, uint64_t *pages) {
    if (size == 0 || size > VMO_SIZE_MAX) return -EINVAL;
    *pages = div_round_up(size, PAGE_SIZE);
    return 0;
}

int vmo_create(struct job *job, uint64_t size, unsigned flags, struct vmo **out) {
    uint64_t pages;
    int error = size_to_pages(size, &pages);
    return error ? error : vmo_alloc(job, VMO_ANONYMOUS, pages, flags, out);
}

int vmo_create_paged(struct job *job, uint64_t size, const struct vmo_pager *pager, void *data, struct vmo **out) {
    if (size > VMO_SIZE_MAX) return -EINVAL;  // an empty file is one
    int error = vmo_alloc(job, VMO_PAGED, div_round_up(size, PAGE_SIZE), 0, out);
    if (error) return error;
    page_tree_init_paged(&(*out)->tree);
    (*out)->pager = pager;
    (*out)->pager_data = data;
    return 0;
}

int vmo_create_physical(struct job *job, paddr_t base, uint64_t size, unsigned flags, struct vmo **out) {
    uint64_t pages;
    int error = size_to_pages(size, &pages);
    if (error) return error;
    if (!is_aligned(base.v, PAGE_SIZE) || base.v + size < base.v) return -EINVAL;
    error = vmo_alloc(job, VMO_PHYSICAL, pages, flags, out);
    if (!error) (*out)->base = base;
    return error;
}

int vmo_create_contiguous(struct job *job, uint64_t size, unsigned page_alloc_flags, struct vmo **out) {
    uint64_t pages;
    int error = size_to_pages(size, &pages);
    if (error) return error;
    if (pages > PAGE_BLOCK_PAGES) return -EINVAL;
    error = job_charge(job, JOB_PAGES, pages);
    if (error) return error;
    struct page *block = page_alloc_contiguous(pages, page_alloc_flags | PAGE_ALLOC_ZERO);
    error = block ? vmo_alloc(job, VMO_CONTIGUOUS, pages, 0, out) : -ENOMEM;
    if (error) {
        if (block) page_free_contiguous(block, pages);
        job_uncharge(job, JOB_PAGES, pages);
        return error;
    }
    (*out)->base = page_to_phys(block);
    return 0;
}

// What is reserved is charged, whether it is touched or not.
int vmo_pool_reserve(struct job *job, struct wasm_account *account, uint64_t pages) {
    int error = job_charge(job, JOB_PAGES, pages);
    if (error || wasm_pool_reserve(account, pages << PAGE_SHIFT)) return error;
    job_uncharge(job, JOB_PAGES, pages);
    return -ENOMEM;
}

static void pool_unreserve(struct job *job, struct wasm_account *account, uint64_t pages) {
    wasm_pool_unreserve(account, pages << PAGE_SHIFT);
    job_uncharge(job, JOB_PAGES, pages);
}

int vmo_create_pool(struct job *job, uint64_t size, uint64_t maximum, struct wasm_account *account, struct vmo **out) {
    if (size > maximum || maximum > VMO_SIZE_MAX) return -EINVAL;  // an empty memory is one
    uint64_t pages = div_round_up(size, PAGE_SIZE);
    int error = vmo_pool_reserve(job, account, pages);
    if (error) return error;
    error = vmo_alloc(job, VMO_POOL, pages, VMO_RESIZABLE | VMO_LARGE, out);
    if (error) {
        pool_unreserve(job, account, pages);
        return error;
    }
    (*out)->account = account;
    (*out)->max_pages = div_round_up(maximum, PAGE_SIZE);
    return 0;
}

// The tree is empty. Frees what else hangs on the VMO, and itself.
static void vmo_free(struct vmo *vmo) {
    if (vmo->kind == VMO_CONTIGUOUS) {
        if (!vmo->release) page_free_contiguous(phys_to_page(vmo->base), vmo->pages);
        job_uncharge(vmo->job, JOB_PAGES, vmo->pages);
    }
    if (vmo->kind == VMO_POOL) pool_unreserve(vmo->job, vmo->account, vmo->pages);
    if (vmo->kind == VMO_PAGED && vmo->pager->gone) vmo->pager->gone(vmo);
    if (vmo->release) vmo->release(vmo);
    if (vmo->source) vmo_put(vmo->source);
    job_uncharge(vmo->job, JOB_KERNEL_BYTES, sizeof(struct vmo));
    slub_free(&vmo_cache, vmo);
}

static bool vmo_reap_some(struct reap_item *item) {
    return page_grave_step(&container_of(item, struct vmo, reap)->grave, PUT_NODES);
}

static void vmo_reap_end(struct reap_item *item) { vmo_free(container_of(item, struct vmo, reap)); }

// Drops a reference; true when it was the last and the pages lie in vmo->grave.
static bool vmo_drop(struct vmo *vmo) {
    bool paged = vmo->kind == VMO_PAGED;  // asked now: without its last reference another CPU may free it, unless it has a pager
    uint32_t before = __atomic_fetch_sub(&vmo->refs, 1, __ATOMIC_ACQ_REL);
    verify(before != 0);
    if (unlikely(before == 2 && paged && vmo->pager->unused)) vmo->pager->unused(vmo);
    if (before != 1) return false;
    assert(list_is_empty(&vmo->mappings));
    page_tree_bury(&vmo->tree, &vmo->grave);
    return true;
}

void vmo_put(struct vmo *vmo) {
    if (!vmo_drop(vmo)) return;
    if (page_grave_step(&vmo->grave, PUT_NODES)) {
        vmo->reap.free_some = vmo_reap_some;
        vmo->reap.end = vmo_reap_end;
        reaper_add(&vmo->reap);
        return;
    }
    vmo_free(vmo);
}

void vmo_put_slowly(struct vmo *vmo) {
    if (!vmo_drop(vmo)) return;
    while (page_grave_step(&vmo->grave, PUT_NODES)) (void)sched_preempt_point();
    vmo_free(vmo);
}

// ---- pages -----------------------------------------------------------------------------------------------------------

void page_entry_put(uint64_t entry) {
    struct page *page = entry_page(entry);
    if (__atomic_sub_fetch(&page->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    if (page->type == PAGE_POOL) {
        wasm_pool_give_small(page->owner, page);
        return;
    }
    if (page->type == PAGE_FILE) {
        page->refs = 1;
        vmo_release_file_page(page);
        return;
    }
    struct job *job = page->owner;
    page_set_type(page, PAGE_VMO, PAGE_USED);
    page_free(page);
    job_uncharge(job, JOB_PAGES, 1);
}

static inline struct page *page_adopt(struct page *page, struct job *job, uint64_t index) {
    page_set_type(page, PAGE_USED, PAGE_VMO);
    page->refs = 1;
    page->flags = 0;
    page->owner = job;
    page->index = index;
    return page;
}
struct page *vmo_page_adopt(struct page *page, struct job *job, uint64_t index) { return page_adopt(page, job, index); }

static coldpath struct page *page_new_pool(struct vmo *vmo) {
    struct page *page = wasm_pool_take_small(vmo->account);
    verify(page != NULL);  // size is what is reserved
    page->owner = vmo->account;
    return page;
}

static coldpath struct page *page_new_again(struct vmo *vmo, uint64_t index, unsigned flags) {
    struct page *page = reaper_help() ? page_alloc(flags) : NULL;
    if (page) return page_adopt(page, vmo->job, index);
    job_uncharge(vmo->job, JOB_PAGES, 1);
    return NULL;
}

// NULL: no memory, or the quota is reached.
static inline struct page *page_new(struct vmo *vmo, uint64_t index, unsigned flags) {
    if (unlikely(job_charge(vmo->job, JOB_PAGES, 1))) return NULL;
    struct page *page = page_alloc(0);
    if (unlikely(!page)) return page_new_again(vmo, index, flags);
    if (flags & PAGE_ALLOC_ZERO) page_zero(page);  // shorter than through the allocator
    return page_adopt(page, vmo->job, index);
}

// Puts a copy of `from` into the slot in place of what is there. NULL: no memory.
static coldpath struct page *page_copy_up(struct vmo *vmo, uint64_t index, uint64_t *slot, const struct page *from) {
    struct page *copy = page_new(vmo, index, 0);
    if (!copy) return NULL;
    // First: a CPU that has not heard yet that the page is shared could write to it after it was copied.
    vmo_unmap_locked(vmo, index, index + 1);
    memcpy(page_to_virt(copy), page_to_virt(from), PAGE_SIZE);
    uint64_t old = *slot;
    *slot = (uint64_t)copy;
    if (old) page_entry_put(old);
    return copy;
}

static inline struct vmo_frame frame_of(const struct page *page, bool writable) {
    return (struct vmo_frame){.address = page_to_phys(page), .writable = writable};
}
static inline struct vmo_frame no_frame(int error) { return (struct vmo_frame){.error = (int16_t)error}; }

static bool page_is_shared(const struct page *page) { return __atomic_load_n(&page->refs, __ATOMIC_ACQUIRE) > 1; }
static bool entry_is_shared(uint64_t entry) { return page_is_shared(entry_page(entry)); }

// *slot holds a page already: it stays, or a copy takes its place where others have it too.
static coldpath struct page *own_present(struct vmo *vmo, uint64_t index, uint64_t *slot) {
    *slot &= ~(uint64_t)ENTRY_FRESH;
    struct page *page = entry_page(*slot);
    return entry_is_shared(*slot) ? page_copy_up(vmo, index, slot, page) : page;
}

static inline __attribute__((always_inline)) struct vmo_frame own_page(struct vmo *vmo, uint64_t index, bool pool) {
    struct page *page;
    uint64_t *slot = page_tree_slot(&vmo->tree, index, vmo->job);
    if (unlikely(!slot)) return no_frame(-ENOMEM);
    if (likely(*slot == 0)) {
        page = pool ? page_new_pool(vmo) : page_new(vmo, index, PAGE_ALLOC_ZERO);
        *slot = (uint64_t)page;
    } else {
        page = own_present(vmo, index, slot);
    }
    return likely(page != NULL) ? frame_of(page, true) : no_frame(-ENOMEM);
}

// What an overlay's source has, to be read. The source's lock is ours.
static inline struct vmo_frame frame_below(const struct vmo *vmo, uint64_t index) {
    struct vmo *below = vmo->source;
    const uint64_t at = index + vmo->source_first;
    uint64_t entry = below->kind == VMO_ANONYMOUS && at < below->pages ? page_tree_look(&below->tree, at) : 0;
    struct vmo_frame frame = likely(entry != 0) ? frame_of(entry_page(entry), false) : vmo_frame_locked(below, at, false);
    frame.writable = false;
    frame.from_source = frame.error == 0;
    return frame;
}

static coldpath struct vmo_frame frame_copied_up(struct vmo *vmo, uint64_t index) {
    struct vmo_frame below = frame_below(vmo, index);
    if (below.error) return below;
    uint64_t *slot = page_tree_slot(&vmo->tree, index, vmo->job);
    struct page *page = slot ? page_copy_up(vmo, index, slot, phys_to_page(below.address)) : NULL;
    return page ? frame_of(page, true) : no_frame(-ENOMEM);
}

static inline bool lies_in_a_row(const struct vmo *vmo) { return vmo->kind == VMO_PHYSICAL || vmo->kind == VMO_CONTIGUOUS; }
static inline struct vmo_frame frame_in_row(const struct vmo *vmo, uint64_t index) {
    return (struct vmo_frame){.address = paddr(vmo->base.v + (index << PAGE_SHIFT)), .writable = true};
}

static __attribute__((noinline)) struct vmo_frame frame_to_write(struct vmo *vmo, uint64_t index) {
    if (lies_in_a_row(vmo)) return frame_in_row(vmo, index);
    if (vmo->kind == VMO_PAGED) return vmo_paged_frame(vmo, index, true);
    if (vmo->source && page_tree_look(&vmo->tree, index) == 0) return frame_copied_up(vmo, index);
    return own_page(vmo, index, vmo->kind == VMO_POOL);
}

// Mostly what is there already, of the VMO or of the one below it, as in faults on a program's file. One look at each tree.
static __attribute__((noinline)) struct vmo_frame frame_to_read(struct vmo *vmo, uint64_t index) {
    if (lies_in_a_row(vmo)) return frame_in_row(vmo, index);
    if (vmo->kind == VMO_PAGED) return vmo_paged_frame(vmo, index, false);
    uint64_t entry = page_tree_look(&vmo->tree, index);
    if (entry == 0) return vmo->source ? frame_below(vmo, index) : own_page(vmo, index, vmo->kind == VMO_POOL);
    return frame_of(entry_page(entry), !(entry & (ENTRY_FRESH | ENTRY_SHARED)) && !entry_is_shared(entry));
}

struct vmo_frame vmo_frame_locked(struct vmo *vmo, uint64_t index, bool write) {
    if (unlikely(index >= vmo->pages)) return no_frame(-EFAULT);
    if (likely(vmo->kind == VMO_ANONYMOUS && write)) return own_page(vmo, index, false);
    return write ? frame_to_write(vmo, index) : frame_to_read(vmo, index);
}

struct page *vmo_pin_page(struct vmo *vmo, uint64_t index) {
    spin_lock(vmo->lock);
    struct vmo_frame frame = vmo_frame_locked(vmo, index, true);
    spin_unlock(vmo->lock);
    return frame.error ? NULL : phys_to_page(frame.address);
}

// ---- 2 MiB pages -----------------------------------------------------------------------------------------------------
// One is made in two steps, for zeroing it takes long: without locks vmo_prepare_large zeroes it, piece by piece; then whoever
// faults takes it, with the locks held. In between somebody else may have taken the one of the pool, or filled the place.

// Fills 512 empty slots, whose nodes exist already, from a block.
static void large_insert(struct vmo *vmo, uint64_t index, struct page *block) {
    void *owner = vmo->kind == VMO_POOL ? (void *)vmo->account : vmo->job;
    for (unsigned i = 0; i < LARGE_PAGES; i += PAGE_TREE_SLOTS, block += PAGE_TREE_SLOTS) {
        uint64_t *slot = page_tree_slot(&vmo->tree, index + i, vmo->job);  // a leaf's slots lie together
        verify(slot);
        for (unsigned k = 0; k < PAGE_TREE_SLOTS; k++) {
            assert(!slot[k]);
            slot[k] = (uint64_t)(block + k);
            block[k].owner = owner;
        }
    }
}

static bool large_nodes(struct vmo *vmo, uint64_t index) {
    for (unsigned i = 0; i < LARGE_PAGES; i += PAGE_TREE_SLOTS)
        if (!page_tree_slot(&vmo->tree, index + i, vmo->job)) return false;
    return true;
}

static bool large_is_empty(const struct vmo *vmo, uint64_t index) {
    return page_tree_next(&vmo->tree, index, index + LARGE_PAGES) == index + LARGE_PAGES;
}

// Nothing is there: what the pool has ready, or word that something must be made ready.
static struct vmo_frame large_frame_new(struct vmo *vmo, uint64_t index) {
    if (vmo->kind != VMO_POOL) return no_frame(-EBUSY);
    bool dirty = false;
    struct page *block = large_nodes(vmo, index) ? wasm_pool_take_large(vmo->account, &dirty) : NULL;
    if (!block) return no_frame(dirty ? -EBUSY : -ENOENT);
    large_insert(vmo, index, block);
    return frame_of(block, true);
}

// Whether the 512 slots from index on have the pages of one block; *writable: and nobody else has them.
static bool large_is_whole(const struct vmo *vmo, uint64_t index, bool *writable) {
    const struct page *page = NULL;
    *writable = true;
    for (unsigned i = 0; i < LARGE_PAGES; i += PAGE_TREE_SLOTS) {
        bool exclusive;
        const uint64_t *slots = page_tree_leaf(&vmo->tree, index + i, &exclusive);
        if (!slots) return false;
        if (i == 0) page = entry_page(slots[0]);
        if (!page || (i == 0 && !is_aligned(page_to_phys(page).v, LARGE_PAGE_SIZE))) return false;
        *writable = *writable && exclusive;
        for (unsigned k = 0; k < PAGE_TREE_SLOTS; k++, page++) {
            if (slots[k] != (uint64_t)page) return false;
            *writable = *writable && !page_is_shared(page);
        }
    }
    return true;
}

static struct vmo_frame large_tree_frame(struct vmo *vmo, uint64_t index, bool write) {
    if (large_is_empty(vmo, index)) return large_frame_new(vmo, index);
    bool writable;
    if (!large_is_whole(vmo, index, &writable) || (write && !writable)) return no_frame(-ENOENT);
    return frame_of(entry_page(page_tree_look(&vmo->tree, index)), writable);
}

static bool has_room_for_large(const struct vmo *vmo, uint64_t index) {
    return vmo->pages >= LARGE_PAGES && index <= vmo->pages - LARGE_PAGES;
}

struct vmo_frame vmo_large_frame_locked(struct vmo *vmo, uint64_t index, bool write) {
    if (!has_room_for_large(vmo, index)) return no_frame(-ENOENT);
    if (vmo->kind == VMO_ANONYMOUS || vmo->kind == VMO_POOL) return large_tree_frame(vmo, index, write);
    if (vmo->kind != VMO_PHYSICAL && vmo->kind != VMO_CONTIGUOUS) return no_frame(-ENOENT);
    uint64_t base = vmo->base.v + (index << PAGE_SHIFT);
    if (!is_aligned(base, LARGE_PAGE_SIZE)) return no_frame(-ENOENT);
    return (struct vmo_frame){.address = paddr(base), .writable = true};
}

static bool large_put_in(struct vmo *vmo, uint64_t index, struct page *block) {
    spin_lock(vmo->lock);
    bool fits = has_room_for_large(vmo, index) && large_is_empty(vmo, index) && large_nodes(vmo, index);
    if (fits) large_insert(vmo, index, block);
    spin_unlock(vmo->lock);
    return fits;
}

// 512 zeroed pages at index, unless something is there meanwhile. False: no memory for them.
static bool large_make(struct vmo *vmo, uint64_t index) {
    if (job_charge(vmo->job, JOB_PAGES, LARGE_PAGES)) return false;
    struct page *block = page_alloc_block(LARGE_ORDER, 0);
    if (!block) {
        job_uncharge(vmo->job, JOB_PAGES, LARGE_PAGES);
        return false;
    }
    for (unsigned i = 0; i < LARGE_PAGES; i += ZERO_PAGES) {
        page_zero_range(page_to_virt(block + i), ZERO_PAGES);
        (void)sched_preempt_point();
    }
    page_split_block(block, LARGE_ORDER);
    for (unsigned i = 0; i < LARGE_PAGES; i++) (void)page_adopt(block + i, vmo->job, index + i);
    if (large_put_in(vmo, index, block)) return true;
    for (unsigned i = 0; i < LARGE_PAGES; i++) {
        page_set_type(block + i, PAGE_VMO, PAGE_USED);
        page_free(block + i);
    }
    job_uncharge(vmo->job, JOB_PAGES, LARGE_PAGES);
    return false;
}

int vmo_prepare_large(struct vmo *vmo, uint64_t index, bool write) {
    if (vmo->kind == VMO_POOL) {
        for (struct pool_block *mine = NULL; wasm_pool_clean_step(&mine); (void)sched_preempt_point()) continue;
        return 0;
    }
    if (large_make(vmo, align_down(index, LARGE_PAGES))) return 0;
    spin_lock(vmo->lock);  // a small page there keeps the next try from asking for a large one again
    int error = vmo_frame_locked(vmo, index, write).error;
    spin_unlock(vmo->lock);
    return error;
}
