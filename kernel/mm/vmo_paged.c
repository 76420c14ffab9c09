// PAGED VMOs: their pages are put in and taken out by a pager. Others find pages without a lock: a page is freed only when no
// CPU holds it, see vmo_hold.
//
//     reader                           who takes the page out
//     1. holds[cpu] = page             1. slot = 0
//     2. slot still the page? use it   2. a full fence; some holds[cpu] == page? freed after a grace period, else now
//     3. holds[cpu] = NULL
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/core/rcu.h"
#include "kernel/mm/vmo_internal.h"

struct vmo_hold vmo_holds[CONFIG_MAX_CPUS];

// ---- pages -------------------------------------------------------------------------------------------------------------

void vmo_adopt_file_page(struct vmo *vmo, uint64_t index, struct page *page, unsigned flags) {
    page_set_type(page, PAGE_USED, PAGE_FILE);
    page->refs = 1;
    page->flags = (uint16_t)flags;
    page->owner = vmo;
    page->index = index;
    list_node_init(&page->link);
}

static void free_later(struct rcu_head *head) {
    struct page *page = container_of((void *)head, struct page, word);
    page_set_type(page, PAGE_FILE, PAGE_USED);
    page_free(page);
}

static bool is_held(const struct page *page) {
    for (uint32_t cpu = 0; cpu < cpu_count; cpu++)
        if (__atomic_load_n(&vmo_holds[cpu].page, __ATOMIC_SEQ_CST) == page) return true;
    return false;
}

void vmo_release_file_page(struct page *page) {
    assert(page->type == PAGE_FILE);
    if (__atomic_sub_fetch(&page->refs, 1, __ATOMIC_SEQ_CST) != 0) return;
    if (unlikely(is_held(page))) {
        rcu_call((struct rcu_head *)page->word, free_later);
        return;
    }
    page_set_type(page, PAGE_FILE, PAGE_USED);
    page->refs = 1;
    page_free(page);
}

int vmo_supply_locked(struct vmo *vmo, uint64_t first, struct page *const *pages, unsigned count) {
    uint64_t *slot = NULL;
    unsigned n = 0;
    if (first >= vmo->pages) return 0;
    for (count = (unsigned)MIN(count, vmo->pages - first); n < count; n++, slot++) {
        if (n == 0 || (first + n) % PAGE_TREE_SLOTS == 0) slot = page_tree_slot(&vmo->tree, first + n, vmo->job);
        if (!slot) return n ? (int)n : -ENOMEM;
        if (*slot) break;
        __atomic_store_n(slot, (uint64_t)pages[n], __ATOMIC_RELEASE);
    }
    return (int)n;
}

struct page *vmo_page_locked(const struct vmo *vmo, uint64_t index) {
    const uint64_t *slot = page_tree_find(&vmo->tree, index);
    return slot && *slot ? entry_page(*slot) : NULL;
}

void vmo_set_dirty_locked(struct vmo *vmo, struct page *page) {
    vmo_page_set(page, VMO_PAGE_DIRTY);
    page_tree_mark(&vmo->tree, page->index);
}
void vmo_clear_dirty_locked(struct vmo *vmo, struct page *page) {
    vmo_page_clear(page, VMO_PAGE_DIRTY);
    page_tree_unmark(&vmo->tree, page->index);
}

void vmo_take_page_locked(struct vmo *vmo, struct page *page) {
    assert(!(page->flags & VMO_PAGE_DIRTY));
    uint64_t entry = page_tree_take(&vmo->tree, page->index);
    verify(entry_page(entry) == page);
    if (!list_is_empty(&vmo->mappings)) vmo_unmap_locked(vmo, page->index, page->index + 1);
}

// ---- faults --------------------------------------------------------------------------------------------------------------

struct vmo_frame vmo_paged_frame(struct vmo *vmo, uint64_t index, bool write) {
    const struct page *page = vmo_page_locked(vmo, index);
    unsigned flags = page ? vmo_page_flags(page) : VMO_PAGE_LOADING;
    bool dirty = flags & VMO_PAGE_DIRTY;
    if (flags & (VMO_PAGE_LOADING | VMO_PAGE_ERROR) || (write && !dirty)) return (struct vmo_frame){.error = -EAGAIN};
    return (struct vmo_frame){.address = page_to_phys(page), .writable = dirty};
}

int vmo_wait_page(struct vmo *vmo, uint64_t index, bool write) {
    struct vmo *paged = vmo_root(vmo);
    if (paged != vmo) {
        index += vmo->source_first;
        write = false;  // the overlay writes its own copy
    }
    if (paged->kind != VMO_PAGED) return 0;
    int error = paged->pager->get_page(paged, index);
    return error || !write ? error : paged->pager->dirty(paged, index);
}

int vmo_sync(struct vmo *vmo, uint64_t first, uint64_t count) {
    return vmo->kind == VMO_PAGED && vmo->pager->sync ? vmo->pager->sync(vmo, first, count) : 0;
}

bool vmo_is_resident_locked(const struct vmo *vmo, uint64_t index) {
    for (;; index += vmo->source_first, vmo = vmo->source) {
        if (index >= vmo->pages) return false;
        if (vmo->kind == VMO_PHYSICAL || vmo->kind == VMO_CONTIGUOUS) return true;
        bool exclusive;
        uint64_t entry = page_tree_lookup(&vmo->tree, index, &exclusive);
        if (entry) return vmo->kind != VMO_PAGED || !(vmo_page_flags(entry_page(entry)) & (VMO_PAGE_LOADING | VMO_PAGE_ERROR));
        if (!vmo->source) return false;
    }
}

// ---- ranges ----------------------------------------------------------------------------------------------------------------

static bool is_mapped(struct vmo *vmo) {
    spin_lock(vmo->lock);
    bool mapped = !list_is_empty(&vmo->mappings);
    spin_unlock(vmo->lock);
    return mapped;
}

void vmo_clean(struct vmo *vmo, uint64_t first, uint64_t count) {
    if (is_mapped(vmo)) vmo_write_protect(vmo, first, first + count);
}

void vmo_unmap(struct vmo *vmo, uint64_t first, uint64_t end) {
    if (is_mapped(vmo)) vmo_unmap_range(vmo, first, end);
}

void vmo_set_pages(struct vmo *vmo, uint64_t pages) {
    spin_lock(vmo->lock);
    vmo->pages = pages;
    spin_unlock(vmo->lock);
}
