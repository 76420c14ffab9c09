// Snapshots and overlays.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/vmo_internal.h"

// Drops what the copy shares beyond its own range, so that it neither keeps nor ever shows it.
static int trim(struct vmo *copy) {
    struct page_grave grave = {NULL};
    struct page_tree_removal gone;
    uint64_t at = copy->pages;
    int error = 0;
    while (!error && at < PAGE_TREE_PAGES_MAX) {
        error = page_tree_remove(&copy->tree, at, PAGE_TREE_PAGES_MAX, copy->job, &gone);
        if (!error) page_tree_bury_removal(&gone, &grave);
        at = gone.end;
        while (page_grave_step(&grave, 8)) {
        }
        (void)sched_preempt_point();
    }
    return error;
}

// Copies references one by one, where the range does not begin at the tree's beginning.
static int share_pages(struct vmo *vmo, uint64_t first, struct vmo *copy) {
    int error = 0;
    for (uint64_t i = 0; i < copy->pages && !error; i++) {
        spin_lock(vmo->lock);
        i = page_tree_next(&vmo->tree, first + i, first + copy->pages) - first;
        if (i < copy->pages) {
            bool exclusive;
            uint64_t entry = page_tree_lookup(&vmo->tree, first + i, &exclusive);
            uint64_t *slot = page_tree_slot(&copy->tree, i, copy->job);
            if (!slot) error = -ENOMEM;
            if (slot) {
                __atomic_fetch_add(&entry_page(entry)->refs, 1, __ATOMIC_RELAXED);
                *slot = entry & ~(uint64_t)ENTRY_FLAGS;
            }
        }
        spin_unlock(vmo->lock);
        if (i % 64 == 63) (void)sched_preempt_point();
    }
    return error;
}

static int check_range(const struct vmo *vmo, uint64_t first, uint64_t pages) {
    if (pages == 0 || !range_fits(first, pages, PAGE_TREE_PAGES_MAX)) return -EINVAL;
    if (vmo->kind != VMO_ANONYMOUS && vmo->kind != VMO_OVERLAY && vmo->kind != VMO_PAGED) return -EINVAL;
    return vmo->flags & VMO_PINNED ? -EINVAL : 0;
}

static int create_like(struct vmo *vmo, uint64_t first, uint64_t pages, struct job *job, struct vmo **out) {
    struct vmo *source = vmo->kind == VMO_OVERLAY ? vmo->source : NULL;
    int error = vmo_create(job, pages << PAGE_SHIFT, vmo->flags, out);
    if (error || !source) return error;
    vmo_get(source);
    vmo_make_overlay(*out, source, vmo->source_first + first);
    return 0;
}

static int share(struct vmo *vmo, uint64_t first, struct vmo *copy) {
    if (first != 0) return share_pages(vmo, first, copy);
    spin_lock(vmo->lock);
    page_tree_share(&copy->tree, &vmo->tree);
    bool larger = vmo->pages > copy->pages;
    spin_unlock(vmo->lock);
    return larger ? trim(copy) : 0;
}

int vmo_snapshot_mapped(struct vmo *vmo, struct job *job, bool own, struct vmo **out) {
    struct vmo *copy;
    int error = check_range(vmo, 0, vmo->pages);
    if (!error) error = create_like(vmo, 0, vmo->pages, job, &copy);
    if (error) return error;
    spin_lock(vmo->lock);
    page_tree_share(&copy->tree, &vmo->tree);
    bool larger = vmo->pages > copy->pages;
    const struct list *mappings = &vmo_root(vmo)->mappings;
    bool alone = own || list_first(mappings) == list_last(mappings);
    spin_unlock(vmo->lock);
    if (unlikely(larger) && trim(copy)) {
        vmo_put_slowly(copy);
        return -ENOMEM;
    }
    if (unlikely(!alone)) vmo_write_protect(vmo, 0, copy->pages);
    *out = copy;
    return 0;
}

int vmo_snapshot(struct vmo *vmo, uint64_t first, uint64_t pages, struct job *job, struct vmo **out) {
    int error = check_range(vmo, first, pages);
    if (error) return error;
    if (vmo->kind == VMO_PAGED) return -EINVAL;  // a file's pages may change below: only an overlay says so
    struct vmo *copy;
    error = create_like(vmo, first, pages, job, &copy);
    if (error) return error;
    error = share(vmo, first, copy);
    if (error) {
        vmo_put_slowly(copy);
        return error == -ENFILE ? error : -ENOMEM;
    }
    // From the sharing on every new writable entry is of a page that the VMO has alone; here go the older ones.
    vmo_write_protect(vmo, first, first + pages);
    *out = copy;
    return 0;
}

int vmo_overlay(struct vmo *vmo, uint64_t first, uint64_t pages, struct job *job, struct vmo **out) {
    if (vmo->kind == VMO_OVERLAY) return vmo_snapshot(vmo, first, pages, job, out);  // no chains
    int error = check_range(vmo, first, pages);
    if (error) return error;
    error = vmo_create(job, pages << PAGE_SHIFT, vmo->flags & VMO_RESIZABLE, out);
    if (error) return error;
    vmo_get(vmo);
    vmo_make_overlay(*out, vmo, first);
    return 0;
}

void vmo_make_overlay(struct vmo *vmo, struct vmo *source, uint64_t first) {
    vmo->kind = VMO_OVERLAY;
    vmo->flags &= (uint8_t)~VMO_LARGE;
    vmo->source = source;
    vmo->source_first = first;
    vmo->lock = source->lock;
}
