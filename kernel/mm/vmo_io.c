// Reading, writing and changing the content of VMOs, page by page, with preemption points between.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/usercopy.h"
#include "kernel/mm/vmo_internal.h"
#include "kernel/mm/wasm_pool.h"
#include "lib/string.h"

#define PREEMPT_PAGES 16
#define SETTLE_PAGES 64  // of which nothing is written

// ---- read and write --------------------------------------------------------------------------------------------------
// User memory is copied through a buffer on the stack where it may fault: a fault takes the locks of the very VMO that is
// read. No page is touched by its address without its VMO's lock.

struct transfer {
    void *kernel;           // or
    struct user_ptr user;
    bool write;             // into the VMO
};

static int64_t no_page(struct vmo *vmo, uint64_t index, int error, bool write) {
    return error == -EAGAIN ? vmo_wait_page(vmo, index, write) : error;
}

// Whether reading page `index` gives zeros without making a page.
static bool is_hole(struct vmo *vmo, uint64_t index) {
    bool exclusive;
    return vmo->kind == VMO_ANONYMOUS && index < vmo->pages && !page_tree_lookup(&vmo->tree, index, &exclusive);
}

static int64_t copy_piece(struct vmo *vmo, uint64_t offset, void *buffer, size_t n, bool write) {
    uint64_t index = offset >> PAGE_SHIFT;
    for (;;) {
        spin_lock(vmo->lock);
        if (!write && is_hole(vmo, index)) {
            memset(buffer, 0, n);
            spin_unlock(vmo->lock);
            return 0;
        }
        struct vmo_frame frame = vmo_frame_locked(vmo, index, write);
        if (!frame.error) {
            uint8_t *page = (uint8_t *)phys_to_virt(frame.address) + (offset & PAGE_MASK);
            if (write) memcpy(page, buffer, n);
            else memcpy(buffer, page, n);
        }
        spin_unlock(vmo->lock);
        if (!frame.error) return 0;
        int64_t result = no_page(vmo, index, frame.error, write);
        if (result) return result;
    }
}

// A page or less, between user memory that is there and a frame that can be had at once: bytes copied, 0 to be done through a
// buffer. No fault that would take a lock of a VMO or wait is served under the VMO's lock.
static size_t copy_directly(struct vmo *vmo, uint64_t offset, struct user_ptr user, size_t n, bool write) {
    size_t done = 0;
    spin_lock(vmo->lock);
    if (write || !is_hole(vmo, offset >> PAGE_SHIFT)) {
        struct vmo_frame frame = vmo_frame_locked(vmo, offset >> PAGE_SHIFT, write);
        uint8_t *page = frame.error ? NULL : (uint8_t *)phys_to_virt(frame.address) + (offset & PAGE_MASK);
        if (page) done = n - (write ? copy_from_user_resident(page, user, n) : copy_to_user_resident(user, page, n));
    }
    spin_unlock(vmo->lock);
    return done;
}

#define BOUNCE 512

static int64_t transfer_piece(struct vmo *vmo, uint64_t offset, const struct transfer *t, uint64_t done, size_t n) {
    if (t->kernel) return copy_piece(vmo, offset, (uint8_t *)t->kernel + done, n, t->write);
    uint64_t bounce[BOUNCE / 8];
    int64_t error = 0;
    if (t->write) error = copy_from_user(bounce, user_add(t->user, done), n);
    if (!error) error = copy_piece(vmo, offset, bounce, n, t->write);
    if (!error && !t->write) error = copy_to_user(user_add(t->user, done), bounce, n);
    return error;
}

static int64_t transfer(struct vmo *vmo, uint64_t offset, uint64_t size, const struct transfer *t) {
    if (vmo->kind == VMO_PHYSICAL) return -EINVAL;  // device registers have widths and side effects: map them
    const uint64_t end = __atomic_load_n(&vmo->pages, __ATOMIC_RELAXED) << PAGE_SHIFT;  // each piece looks again
    if (offset >= end) return 0;
    if (size > end - offset) size = end - offset;
    uint64_t done = 0;
    for (unsigned pieces = 0; done < size;) {
        uint64_t at = offset + done;
        size_t n = PAGE_SIZE - (at & PAGE_MASK);
        if (n > size - done) n = size - done;
        size_t direct = t->kernel ? 0 : copy_directly(vmo, at, user_add(t->user, done), n, t->write);
        if (likely(direct)) {
            done += direct;
            if (++pieces % PREEMPT_PAGES == 0 && sched_preempt_point()) break;
            continue;
        }
        const size_t most = t->kernel ? PAGE_SIZE : BOUNCE;
        n = most - (at & (most - 1));
        if (n > size - done) n = size - done;
        int64_t error = transfer_piece(vmo, at, t, done, n);
        if (error) return done ? (int64_t)done : error;
        done += n;
        if (++pieces % PREEMPT_PAGES == 0 && sched_preempt_point()) break;
    }
    return (int64_t)done;
}

int64_t vmo_read(struct vmo *vmo, uint64_t offset, struct user_ptr buffer, uint64_t size) {
    if (!user_range_valid(buffer, size)) return -EFAULT;
    return transfer(vmo, offset, size, &(struct transfer){.user = buffer});
}
int64_t vmo_write(struct vmo *vmo, uint64_t offset, struct user_ptr buffer, uint64_t size) {
    if (!user_range_valid(buffer, size)) return -EFAULT;
    return transfer(vmo, offset, size, &(struct transfer){.user = buffer, .write = true});
}
int64_t vmo_read_kernel(struct vmo *vmo, uint64_t offset, void *buffer, uint64_t size) {
    return transfer(vmo, offset, size, &(struct transfer){.kernel = buffer});
}
int64_t vmo_write_kernel(struct vmo *vmo, uint64_t offset, const void *buffer, uint64_t size) {
    return transfer(vmo, offset, size, &(struct transfer){.kernel = (void *)buffer, .write = true});
}

// ---- ranges ----------------------------------------------------------------------------------------------------------

static int check_range(const struct vmo *vmo, uint64_t offset, uint64_t size, uint64_t alignment) {
    if (!is_aligned(offset | size, alignment)) return -EINVAL;
    return range_fits(offset, size, vmo->pages << PAGE_SHIFT) ? 0 : -EINVAL;
}

// Keeps a page that a commit has made, or takes it back.
static void settle_page_locked(struct vmo *vmo, uint64_t index, bool keep) {
    bool exclusive;
    uint64_t entry = page_tree_lookup(&vmo->tree, index, &exclusive);
    uint64_t *slot = entry & ENTRY_FRESH && exclusive ? page_tree_slot(&vmo->tree, index, vmo->job) : NULL;
    if (!slot) return;
    *slot = keep ? entry & ~(uint64_t)ENTRY_FRESH : 0;
    if (keep) return;
    vmo_unmap_locked(vmo, index, index + 1);  // it may have been read
    page_entry_put(entry);
}

// Ends a commit: keeps the pages that it made, or takes those back that nobody has touched.
static void commit_settle(struct vmo *vmo, uint64_t first, uint64_t end, bool keep) {
    unsigned walked = 0;
    spin_lock(vmo->lock);
    for (uint64_t i = page_tree_next(&vmo->tree, first, end); i < end; i = page_tree_next(&vmo->tree, i + 1, end)) {
        settle_page_locked(vmo, i, keep);
        if (++walked % SETTLE_PAGES != 0) continue;
        spin_unlock(vmo->lock);
        (void)sched_preempt_point();
        spin_lock(vmo->lock);
    }
    spin_unlock(vmo->lock);
}

static int commit_page(struct vmo *vmo, uint64_t index) {
    bool exclusive;
    spin_lock(vmo->lock);
    int error = 0;
    if (index < vmo->pages && !page_tree_lookup(&vmo->tree, index, &exclusive)) {
        error = vmo_frame_locked(vmo, index, vmo->source != NULL).error;
        uint64_t *slot = error ? NULL : page_tree_slot(&vmo->tree, index, vmo->job);
        if (slot) *slot |= ENTRY_FRESH;
    }
    spin_unlock(vmo->lock);
    return error;
}

// 0, -ENOENT (page by page then), or why not.
static int commit_large(struct vmo *vmo, uint64_t index) {
    for (;;) {
        spin_lock(vmo->lock);
        int error = vmo_large_frame_locked(vmo, index, false).error;
        spin_unlock(vmo->lock);
        if (error != -EBUSY) return error;
        error = vmo_prepare_large(vmo, index, false);
        if (error) return error;
    }
}

int vmo_commit(struct vmo *vmo, uint64_t offset, uint64_t size) {
    int error = check_range(vmo, offset, size, PAGE_SIZE);
    if (error || vmo->kind == VMO_PHYSICAL || vmo->kind == VMO_CONTIGUOUS) return error;
    uint64_t first = offset >> PAGE_SHIFT, end = first + (size >> PAGE_SHIFT);
    if (vmo->kind == VMO_PAGED) return -EINVAL;
    for (uint64_t i = first; i < end; i++) {
        int large = vmo->flags & VMO_LARGE && i % 512 == 0 && end - i >= 512 ? commit_large(vmo, i) : -ENOENT;
        if (large == 0) i += 511;
        else error = large == -ENOENT ? commit_page(vmo, i) : large;
        if (error == -EAGAIN) error = vmo_wait_page(vmo, i--, false);
        if (!error && i % PREEMPT_PAGES == PREEMPT_PAGES - 1 && sched_preempt_point()) error = -EINTR;
        if (!error) continue;
        commit_settle(vmo, first, end, false);
        return error == -EFAULT ? -EINVAL : error;  // it was made smaller meanwhile
    }
    commit_settle(vmo, first, end, true);
    return 0;
}

// Copies what nodes of the range are shared with snapshots, so that taking pages out of them needs no memory later.
static int unshare_nodes(struct vmo *vmo, uint64_t first, uint64_t end) {
    int error = 0;
    for (; first < end && !error; first = (first | (PAGE_TREE_SLOTS - 1)) + 1) {
        spin_lock(vmo->lock);
        first = page_tree_next(&vmo->tree, first, end);
        if (first < end && !page_tree_slot(&vmo->tree, first, vmo->job)) error = -ENOMEM;
        spin_unlock(vmo->lock);
        (void)sched_preempt_point();
    }
    return error;
}

// The pages of a linear memory go at once: what is reserved suffices for one page a place, not for a new one while the old
// one is on its way. A leaf is not much to do with the lock held.
static int remove_pool_leaf(struct vmo *vmo, uint64_t first, uint64_t end, struct page_tree_removal *gone) {
    struct page_grave grave = {NULL};
    spin_lock(vmo->lock);
    int error = page_tree_remove(&vmo->tree, first, end, vmo->job, gone);
    if (!error) {
        vmo_unmap_locked(vmo, gone->first, gone->end);
        page_tree_bury_removal(gone, &grave);
        while (page_grave_step(&grave, 1)) continue;
    }
    spin_unlock(vmo->lock);
    return error;
}

// Takes pages out of the tree a leaf at a time, then out of the page tables, then frees them: who faults in between gets
// a new page, and no freed page is visible anywhere.
static int remove_leaf(struct vmo *vmo, uint64_t first, uint64_t end, struct page_tree_removal *gone) {
    struct page_grave grave = {NULL};
    spin_lock(vmo->lock);
    int error = page_tree_remove(&vmo->tree, first, end, vmo->job, gone);
    spin_unlock(vmo->lock);
    if (error) return error;
    if (gone->end > gone->first) vmo_unmap_range(vmo, gone->first, gone->end);
    page_tree_bury_removal(gone, &grave);
    while (page_grave_step(&grave, 8)) (void)sched_preempt_point();
    return 0;
}

static int remove_pages(struct vmo *vmo, uint64_t first, uint64_t end) {
    int error = unshare_nodes(vmo, first, end);
    if (error) return error;
    while (first < end) {
        struct page_tree_removal gone;
        error = vmo->kind == VMO_POOL ? remove_pool_leaf(vmo, first, end, &gone) : remove_leaf(vmo, first, end, &gone);
        if (error) return error == -ENFILE ? -ENOMEM : error;
        first = gone.end;
        (void)sched_preempt_point();
    }
    return 0;
}

int vmo_decommit(struct vmo *vmo, uint64_t offset, uint64_t size) {
    int error = check_range(vmo, offset, size, PAGE_SIZE);
    if (error) return error;
    if (vmo->kind == VMO_PHYSICAL || vmo->kind == VMO_PAGED || vmo->flags & VMO_PINNED) return -EINVAL;
    if (vmo->kind == VMO_CONTIGUOUS) return vmo_zero(vmo, offset, size);
    return remove_pages(vmo, offset >> PAGE_SHIFT, (offset + size) >> PAGE_SHIFT);
}

static int zero_piece(struct vmo *vmo, uint64_t offset, size_t n, bool prepare) {
    static const uint8_t zeros[PAGE_SIZE];
    spin_lock(vmo->lock);
    bool hole = is_hole(vmo, offset >> PAGE_SHIFT);
    int error = hole || !prepare ? 0 : vmo_frame_locked(vmo, offset >> PAGE_SHIFT, true).error;
    spin_unlock(vmo->lock);
    if (hole || (prepare && error != -EAGAIN)) return error;
    return prepare ? vmo_wait_page(vmo, offset >> PAGE_SHIFT, true) : (int)copy_piece(vmo, offset, (void *)zeros, n, true);
}

// Bytes from `at` on that are in one page, or in a hole, which is zero already.
static uint64_t zero_step(struct vmo *vmo, uint64_t at, uint64_t left) {
    uint64_t n = PAGE_SIZE - (at & PAGE_MASK);
    if (vmo->kind == VMO_ANONYMOUS) {
        spin_lock(vmo->lock);
        uint64_t next = page_tree_next(&vmo->tree, at >> PAGE_SHIFT, vmo->pages) << PAGE_SHIFT;
        spin_unlock(vmo->lock);
        if (next > at) n = next - at;
    }
    return MIN(n, left);
}

static int zero_pass(struct vmo *vmo, uint64_t offset, uint64_t size, bool prepare) {
    unsigned pieces = 0;
    for (uint64_t done = 0, n; done < size; done += n) {
        n = zero_step(vmo, offset + done, size - done);
        int error = zero_piece(vmo, offset + done, n < PAGE_SIZE ? n : PAGE_SIZE, prepare);
        if (error) return error;
        if (++pieces % PREEMPT_PAGES == 0 && sched_preempt_point()) return -EINTR;
    }
    return 0;
}

// First makes all the pages its own, which may fail, then writes.
int vmo_zero(struct vmo *vmo, uint64_t offset, uint64_t size) {
    int error = check_range(vmo, offset, size, 1);
    if (error) return error;
    if (vmo->kind == VMO_PHYSICAL) return -EINVAL;
    error = zero_pass(vmo, offset, size, true);
    return error ? error : zero_pass(vmo, offset, size, false);
}

// ---- size ------------------------------------------------------------------------------------------------------------

static int grow(struct vmo *vmo, uint64_t pages) {
    int error = 0;
    spin_lock(vmo->lock);
    if (pages > vmo->pages) {
        if (vmo->kind == VMO_POOL) error = vmo_pool_reserve(vmo->job, vmo->account, pages - vmo->pages);
        if (!error) vmo->pages = pages;
    }
    spin_unlock(vmo->lock);
    return error;
}

int vmo_resize(struct vmo *vmo, uint64_t size) {
    if (!(vmo->flags & VMO_RESIZABLE)) return -EPERM;
    if (size > VMO_SIZE_MAX || size == 0) return -EINVAL;
    uint64_t pages = div_round_up(size, PAGE_SIZE);
    if (vmo->kind == VMO_POOL && pages > vmo->max_pages) return -EINVAL;
    spin_lock(vmo->lock);
    uint64_t old = vmo->pages;
    if (pages < old && vmo->kind != VMO_POOL) vmo->pages = pages;  // no faults beyond from here on
    spin_unlock(vmo->lock);
    if (pages >= old) return grow(vmo, pages);
    if (vmo->kind == VMO_POOL) return -EINVAL;  // a linear memory never shrinks
    int error = remove_pages(vmo, pages, old);
    if (vmo->kind == VMO_OVERLAY) vmo_unmap_range(vmo, pages, old);  // what it showed of its source
    else if (!error) vmo_drop_copies(vmo, pages);
    if (!error) return 0;
    spin_lock(vmo->lock);
    if (vmo->pages == pages) vmo->pages = old;
    spin_unlock(vmo->lock);
    return error;
}

void vmo_cut(struct vmo *vmo) {
    assert(vmo->kind == VMO_PHYSICAL);
    spin_lock(vmo->lock);
    uint64_t pages = vmo->pages;
    vmo->pages = 0;
    spin_unlock(vmo->lock);
    vmo_unmap_range(vmo, 0, pages);
}

static bool has_page(struct vmo *vmo, uint64_t index) {
    spin_lock(vmo->lock);
    bool found = index < vmo->pages && page_tree_look(&vmo->tree, index) != 0;
    spin_unlock(vmo->lock);
    return found;
}

uint64_t vmo_count_pages(struct vmo *vmo, uint64_t first, uint64_t end) {
    if (vmo->kind == VMO_PHYSICAL || vmo->kind == VMO_CONTIGUOUS) return MIN(end, vmo->pages) - MIN(first, vmo->pages);
    if (end - first == 1) return has_page(vmo, first);  // a write of a page asks this
    uint64_t count = 0;
    for (;;) {
        bool done = false;
        spin_lock(vmo->lock);
        for (unsigned n = 0; n < 256; n++, count++, first++) {
            first = page_tree_next(&vmo->tree, first, MIN(end, vmo->pages));
            done = first >= MIN(end, vmo->pages);
            if (done) break;
        }
        spin_unlock(vmo->lock);
        if (done) return count;
        (void)sched_preempt_point();
    }
}
