// From a VMO to the page tables that show its pages. The list of mappings is walked under the VMO's lock; a walk that
// lets go of the lock leaves its place marked in the list.
#include "kernel/core/assert.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/pte.h"
#include "kernel/mm/tlb.h"
#include "kernel/mm/vmo_internal.h"

#define WALK_ENTRIES 256  // page-table entries changed without a preemption point

// The part of m that shows pages [first, end) of vmo: false when there is none. An overlay's mapping counts with those
// pages of its source that it has not copied.
static bool part_of(const struct mapping *m, const struct vmo *vmo, uint64_t first, uint64_t end, uint64_t *from,
                    uint64_t *to) {
    uint64_t shown = m->first;  // page of `vmo` at m->start
    if (!(m->flags & MAPPING_TOUCHED)) return false;
    if (m->vmo != vmo) {
        if (m->vmo->source != vmo) return false;
        shown += m->vmo->source_first;
    }
    uint64_t shown_end = shown + ((m->end - m->start) >> PAGE_SHIFT);
    if (first < shown) first = shown;
    if (end > shown_end) end = shown_end;
    if (first >= end) return false;
    *from = m->start + ((first - shown) << PAGE_SHIFT);
    *to = m->start + ((end - shown) << PAGE_SHIFT);
    return true;
}

void vmo_unmap_locked(struct vmo *vmo, uint64_t first, uint64_t end) {
    list_for_each_entry(link, &vmo_root(vmo)->mappings, struct vmo_link, node) {
        struct mapping *m = link->mapping;
        uint64_t from, to;
        if (!m || !part_of(m, vmo, first, end, &from, &to)) continue;
        struct tlb_batch batch;
        tlb_batch_init(&batch, m->aspace);
        (void)mapping_clear(m, &from, to, m->vmo != vmo, UINT32_MAX, &batch);
        tlb_batch_flush(&batch);
    }
}

bool vmo_page_accessed_locked(struct vmo *vmo, uint64_t index) {
    bool accessed = false;
    list_for_each_entry(link, &vmo->mappings, struct vmo_link, node) {
        struct mapping *m = link->mapping;
        uint64_t from, to, size;
        if (!m || !part_of(m, vmo, index, index + 1, &from, &to)) continue;
        pte_t *pte = pte_next(m->aspace->root, &from, to, &size);
        if (!pte || !(*pte & PTE_ACCESSED)) continue;
        __atomic_fetch_and(pte, ~(pte_t)PTE_ACCESSED, __ATOMIC_RELAXED);
        struct tlb_batch batch;  // an entry that is not accessed is in no translation buffer
        tlb_batch_init(&batch, m->aspace);
        tlb_batch_add(&batch, from);
        tlb_batch_flush(&batch);
        accessed = true;
    }
    return accessed;
}

// Changes one mapping, as much as the budget allows. *position (a page of vmo) keeps how far it came.
static bool change_part(struct vmo *vmo, struct mapping *m, uint64_t *position, uint64_t end, bool protect) {
    uint64_t from, to;
    if (!part_of(m, vmo, *position, end, &from, &to)) return true;
    uint64_t at = from;
    struct tlb_batch batch;
    tlb_batch_init(&batch, m->aspace);
    bool done = protect ? mapping_write_protect(m, &at, to, &(unsigned){WALK_ENTRIES}, &batch)
                        : mapping_clear(m, &at, to, m->vmo != vmo, WALK_ENTRIES, &batch);
    tlb_batch_flush(&batch);
    *position += (at - from) >> PAGE_SHIFT;
    return done;
}

// A mapping that comes into being during the walk needs no change: what it shows is the new state already. That is also
// why a mapping which takes the place of the one that a pause stopped in may be entered at `position`.
static void change_mappings(struct vmo *vmo, uint64_t first, uint64_t end, bool protect) {
    struct vmo_link place = {.mapping = NULL};
    struct list *mappings = &vmo_root(vmo)->mappings;
    uint64_t position = first;
    unsigned walked = 0;
    spin_lock(vmo->lock);
    list_push_front(mappings, &place.node);
    for (struct list_node *next; (next = list_next(mappings, &place.node)) != NULL;) {
        struct mapping *m = list_entry(next, struct vmo_link, node)->mapping;
        bool done = !m || change_part(vmo, m, &position, end, protect);
        if (done) {
            list_remove(&place.node);
            list_insert_after(next, &place.node);
            position = first;
        }
        if (done && ++walked % 16 != 0) continue;
        spin_unlock(vmo->lock);
        (void)sched_preempt_point();
        spin_lock(vmo->lock);
    }
    list_remove(&place.node);
    spin_unlock(vmo->lock);
}

void vmo_unmap_range(struct vmo *vmo, uint64_t first, uint64_t end) { change_mappings(vmo, first, end, false); }
void vmo_write_protect(struct vmo *vmo, uint64_t first, uint64_t end) { change_mappings(vmo, first, end, true); }

// The part of an overlay that m shows of its source's pages from `first` on, in bytes. It may be shorter than what shows it.
static bool copied_part(const struct mapping *m, uint64_t first, uint64_t *offset, uint64_t *size) {
    uint64_t shown = m->first + m->vmo->source_first, end = m->first + ((m->end - m->start) >> PAGE_SHIFT);
    uint64_t from = m->first + (first > shown ? first - shown : 0);
    end = MIN(end, m->vmo->pages);
    if (from >= end) return false;
    *offset = from << PAGE_SHIFT;
    *size = (end - from) << PAGE_SHIFT;
    return true;
}

// A mapping that comes into being meanwhile copies nothing that is gone already. Who unmaps meanwhile drops the copies himself.
void vmo_drop_copies(struct vmo *vmo, uint64_t first) {
    struct vmo_link place = {.mapping = NULL};
    unsigned walked = 0;
    spin_lock(vmo->lock);
    list_push_front(&vmo->mappings, &place.node);
    for (struct list_node *next; (next = list_next(&vmo->mappings, &place.node)) != NULL;) {
        const struct mapping *m = list_entry(next, struct vmo_link, node)->mapping;
        uint64_t offset, size;
        struct vmo *overlay = m && m->vmo != vmo && copied_part(m, first, &offset, &size) ? m->vmo : NULL;
        list_remove(&place.node);
        list_insert_after(next, &place.node);
        if (!overlay && ++walked % 16 != 0) continue;
        if (overlay) vmo_get(overlay);
        spin_unlock(vmo->lock);
        if (overlay) (void)vmo_decommit(overlay, offset, size);
        if (overlay) vmo_put_slowly(overlay);
        (void)sched_preempt_point();
        spin_lock(vmo->lock);
    }
    list_remove(&place.node);
    spin_unlock(vmo->lock);
}
