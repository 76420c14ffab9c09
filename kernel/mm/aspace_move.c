// Moving and resizing mappings. A mapping that moves is followed by a fresh one, which shows the same VMO in the new place;
// page-table entries go over in steps, and what a step has not reached yet faults in. Both show the same pages meanwhile, so
// the old one no longer owns them (MAPPING_SHARE): whoever ends it leaves them alone.
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/pte.h"
#include "kernel/mm/tlb.h"
#include "kernel/sched/sched.h"

#define JOINS_AT_ONCE 64u

struct move {
    struct aspace *a;
    uint64_t start, end, old_end;  // what stays of the old range, and its own end
    uint64_t new_size;
    uint64_t target;               // 0: the kernel chooses, if it must move at all
    bool may_move;
    struct mapping *fresh;         // allocated, to be put where it goes
    struct mapping *old;           // moved: with a reference
    struct mapping *joined;        // out of the tree, through ->next: to be ended without the lock
    struct vmo *copy_of, *copy;    // memory that cannot grow: pages [copy_first, ...) of it, and what takes its place
    uint64_t copy_first;
};

static bool grows(const struct move *mv) { return mv->new_size > mv->end - mv->start; }

// ---- joining: what protection has split and made equal again is one mapping ------------------------------------------

static bool is_one(const struct mapping *m, const struct mapping *n) {
    const unsigned ignored = MAPPING_TOUCHED, never = MAPPING_DYING | MAPPING_REVOKED | MAPPING_GRANTED;
    return n->start == m->end && n->vmo == m->vmo && (!m->vmo || n->first == m->first + ((m->end - m->start) >> PAGE_SHIFT)) &&
           n->entry == m->entry && n->prot == m->prot && n->max_prot == m->max_prot && !((n->flags | m->flags) & never) &&
           !((n->flags ^ m->flags) & ~ignored);
}

// Lets m grow over what follows it, up to `end`. -EAGAIN: there may be more.
static int join_locked(struct move *mv, struct mapping *m, uint64_t end) {
    for (unsigned n = 0; m->end < end; n++) {
        struct mapping *next = mapping_next(m);
        if (!next || !is_one(m, next)) return 0;
        if (n == JOINS_AT_ONCE) return -EAGAIN;
        aspace_remove_locked(mv->a, next);
        m->end = next->end;
        m->flags |= next->flags & MAPPING_TOUCHED;
        m->writable |= next->writable;
        next->next = mv->joined;
        mv->joined = next;
    }
    return 0;
}

static void end_joined(struct move *mv) {
    while (mv->joined) {
        struct mapping *m = mv->joined;
        mv->joined = m->next;
        mapping_end(m);
    }
}

// ---- growing ---------------------------------------------------------------------------------------------------------

// Whether a mapping of `pages` pages can show vmo from `first` on. 0 or -EINVAL.
static int check_size(const struct vmo *vmo, uint64_t first, uint64_t pages) {
    if (!vmo) return 0;
    if (vmo->kind == VMO_PHYSICAL || vmo->kind == VMO_CONTIGUOUS) return range_fits(first, pages, vmo->pages) ? 0 : -EINVAL;
    uint64_t below = vmo->source ? vmo->source_first : 0;
    return range_fits(first + below, pages, PAGE_TREE_PAGES_MAX) ? 0 : -EINVAL;
}

// Memory of the mapping's own grows with it, where that shows its end: nobody else can see what lies behind. A file does not.
static bool extend(const struct mapping *m, struct vmo *vmo, uint64_t first, uint64_t pages, uint64_t more) {
    if (!vmo || !mapping_is_own(m, vmo)) return true;
    spin_lock(vmo->lock);
    bool shows_end = vmo->pages == first + pages;
    if (shows_end) vmo->pages += more;
    spin_unlock(vmo->lock);
    return shows_end;
}

static bool grow_in_place_locked(struct move *mv, struct mapping *m) {
    uint64_t end = mv->start + mv->new_size, more = (end - mv->end) >> PAGE_SHIFT;
    if (mv->target || m->end != mv->end || end > m->next->start) return false;
    if (!extend(m, m->vmo, m->first, (m->end - m->start) >> PAGE_SHIFT, more)) return false;
    m->end = end;
    return true;
}

// ---- moving ----------------------------------------------------------------------------------------------------------

// Memory that cannot grow where it is: its pages are shared with a VMO that can, and go from the old one as it is unmapped.
// True: mv->copy is made for what m shows, or not needed.
static bool has_copy_locked(struct move *mv, const struct mapping *m) {
    if (mv->copy && mv->copy_of == m->vmo && mv->copy_first == m->first) return true;
    if (mv->copy) vmo_put(mv->copy);
    if (mv->copy_of) vmo_put(mv->copy_of);
    mv->copy = mv->copy_of = NULL;
    if (!grows(mv) || !m->vmo || !mapping_is_own(m, m->vmo)) return true;
    if (m->vmo->pages == m->first + ((m->end - m->start) >> PAGE_SHIFT)) return true;
    vmo_get(m->vmo);
    mv->copy_of = m->vmo;
    mv->copy_first = m->first;
    return false;
}

static struct mapping_place choose_place(const struct move *mv, const struct mapping *m) {
    struct aspace *a = mv->a;
    if (mv->target) return (struct mapping_place){mv->target, NULL};
    bool large = mv->new_size >= LARGE_PAGE_SIZE && m->vmo && m->vmo->flags & VMO_LARGE;
    uint64_t align = large ? LARGE_PAGE_SIZE : PAGE_SIZE;
    struct mapping_place place = mapping_tree_find_gap(&a->mappings, mv->new_size, align, USER_MIN, a->ceiling);
    return place.address ? place : mapping_tree_find_gap(&a->mappings, mv->new_size, align, USER_MIN, USER_MAX);
}

// A given place is taken from what is mapped there.
static void put_in_locked(struct move *mv, struct mapping_place place) {
    struct mapping *fresh = mv->fresh;
    if (mv->target) {
        aspace_replace_locked(mv->a, place.address, place.address + mv->new_size, fresh);
        return;
    }
    fresh->start = place.address;
    fresh->end = place.address + mv->new_size;
    aspace_insert_locked(mv->a, fresh, place.above);
    mv->a->recent = fresh;
}

// mv->fresh shows what m shows, at place. If m's handle is being revoked, nobody will look for it: it takes the marker here.
static void follow_locked(struct move *mv, struct mapping *m, struct mapping_place place) {
    struct mapping *fresh = mv->fresh;
    struct vmo *vmo = mv->copy ? mv->copy : m->vmo;
    uint64_t first = mv->copy ? 0 : m->first, pages = (m->end - m->start) >> PAGE_SHIFT;
    fresh->max_prot = m->max_prot;
    fresh->flags = m->flags & (MAPPING_SHARE | MAPPING_PRIVATE);
    mapping_set_prot(fresh, m->prot);
    if (m->flags & MAPPING_GRANTED) fresh->flags |= mapping_tie_sibling(fresh, m) ? MAPPING_REVOKED : MAPPING_GRANTED;
    if (vmo && !(fresh->flags & MAPPING_REVOKED)) {
        if (grows(mv)) verify(extend(m, vmo, first, pages, (mv->new_size >> PAGE_SHIFT) - pages));
        vmo_get(vmo);
        mapping_attach(fresh, vmo, first);
    }
    put_in_locked(mv, place);
    if (!mv->copy) m->flags |= MAPPING_SHARE;
    m->flags |= MAPPING_DYING;
    fresh->refs++;
    __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
    mv->old = m;
}

enum { JOIN_MORE = 1, COPY_FIRST };  // what must be done without the lock before another try

static int cut_locked(struct move *mv) {
    int error = aspace_cut_locked(mv->a, mv->old_end);
    if (!error) error = aspace_cut_locked(mv->a, mv->end);
    if (!error) error = aspace_cut_locked(mv->a, mv->start);
    if (!error && mv->target) error = aspace_cut_locked(mv->a, mv->target);
    if (!error && mv->target) error = aspace_cut_locked(mv->a, mv->target + mv->new_size);
    return error;
}

// The new address, an error with nothing changed, or what must be done first.
static int64_t move_locked(struct move *mv) {
    struct aspace *a = mv->a;
    if (a->closed) return -EDESTROYED;
    struct mapping *m = mapping_tree_from(&a->mappings, mv->start);
    if (!m || m->start > mv->start || m->flags & (MAPPING_DYING | MAPPING_REVOKED)) return -EFAULT;
    if (join_locked(mv, m, mv->end)) return JOIN_MORE;
    if (m->end < mv->end) return -EFAULT;
    if (m->flags & MAPPING_NO_CLONE) return -EINVAL;  // a thread's block: the kernel knows where it is
    uint64_t first = m->first + ((mv->start - m->start) >> PAGE_SHIFT);
    int error = check_size(m->vmo, first, mv->new_size >> PAGE_SHIFT);
    if (error) return error;
    if (grow_in_place_locked(mv, m)) return (int64_t)mv->start;
    if (!mv->may_move) return -ENOSPC;
    error = cut_locked(mv);
    if (error) return error;
    m = mapping_tree_from(&a->mappings, mv->start);
    if (!has_copy_locked(mv, m)) return COPY_FIRST;
    struct mapping_place place = choose_place(mv, m);
    if (!place.address) return -ENOSPC;
    follow_locked(mv, m, place);
    return (int64_t)place.address;
}

static int prepare(struct move *mv, int64_t what) {
    if (what != COPY_FIRST) return 0;
    int error = vmo_snapshot(mv->copy_of, mv->copy_first, (mv->end - mv->start) >> PAGE_SHIFT, mv->a->job, &mv->copy);
    return error == -EINVAL ? 0 : error;  // another thread has unmapped it meanwhile
}

// ---- page tables -----------------------------------------------------------------------------------------------------

// Where old's entry at `at` goes, while the fresh mapping is as it was made: NULL when it is to fault in.
static pte_t *new_entry(const struct move *mv, uint64_t at) {
    const struct mapping *old = mv->old, *fresh = mv->fresh;
    uint64_t to = fresh->start + (at - old->start);
    bool as_made = fresh->flags & MAPPING_IN_TREE && !(fresh->flags & (MAPPING_DYING | MAPPING_REVOKED)) && to < fresh->end &&
                   fresh->vmo == old->vmo && fresh->first == old->first && fresh->entry == old->entry && fresh->prot == old->prot;
    pte_t *entry = as_made ? paging_entry(mv->a, mv->a->root, to, PAGE_SIZE, true) : NULL;
    return entry && !(*entry & PTE_PRESENT) ? entry : NULL;
}

// Takes entries over, as many as the budget allows. True: none is left. Locks of address space and VMO are held.
static bool carry_over(struct move *mv, unsigned budget) {
    struct mapping *old = mv->old;
    uint64_t at = mapping_not_emptied(old), size;
    unsigned tables = STEP_TABLES;
    struct tlb_batch batch;
    tlb_batch_init(&batch, mv->a);
    pte_t *entry = NULL, lost = mv->a->clones > 0 ? PTE_WRITE : 0;
    mv->fresh->flags |= MAPPING_TOUCHED;
    mv->fresh->writable |= old->writable;
    while (budget-- > 0 && (entry = pte_next_few(mv->a->root, &at, old->end, &size, &tables)) != NULL) {
        pte_t value = *entry, *to = size == PAGE_SIZE ? new_entry(mv, at) : NULL;
        __atomic_store_n(entry, 0, __ATOMIC_RELAXED);
        if (to) __atomic_store_n(to, value & ~(PTE_ACCESSED | lost), __ATOMIC_RELAXED);
        if (value & PTE_ACCESSED) tlb_batch_add(&batch, at);
        at = align_down(at, size) + size;
    }
    tlb_batch_flush(&batch);
    mapping_set_emptied(old, MIN(at, old->end));
    return at >= old->end;
}

// Ends the old mapping, unless another thread that found it marked has done so.
static void end_old(struct move *mv) {
    struct aspace *a = mv->a;
    struct mapping *old = mv->old;
    for (bool done = false; !done;) {
        spin_lock(&a->lock);
        done = !(old->flags & MAPPING_IN_TREE);
        bool empty = done || !old->vmo || !(old->flags & MAPPING_TOUCHED);
        if (!empty) {
            spin_lock(old->vmo->lock);
            empty = carry_over(mv, STEP_ENTRIES);
            spin_unlock(old->vmo->lock);
        }
        bool gone = !done && empty && aspace_unmap_step_locked(a, old);
        spin_unlock(&a->lock);
        if (gone) mapping_end(old);
        done = done || gone;
        (void)sched_preempt_point();
    }
    mapping_put(old);
    mapping_put(mv->fresh);
}

// ---- the call --------------------------------------------------------------------------------------------------------

static int64_t resize_or_move(struct move *mv) {
    int64_t result = mapping_alloc(mv->a, 0, 0, 0, &mv->fresh);
    while (result == 0) {
        aspace_lock_settled(mv->a);
        result = move_locked(mv);
        spin_unlock(&mv->a->lock);
        end_joined(mv);
        if (result != JOIN_MORE && result != COPY_FIRST) break;
        result = prepare(mv, result);
        if (sched_preempt_point() && !result) result = -EINTR;
    }
    if (mv->old) {
        aspace_end_replaced(mv->a);
        end_old(mv);
    } else if (mv->fresh) {
        mapping_put(mv->fresh);
    }
    if (mv->copy) vmo_put_slowly(mv->copy);
    if (mv->copy_of) vmo_put_slowly(mv->copy_of);
    // Its edges are boundaries: what cannot be unmapped is what another thread has put there since.
    if (mv->old && mv->old_end > mv->end) (void)aspace_unmap(mv->a, mv->end, mv->old_end - mv->end);
    return result;
}

static int64_t shrink(struct aspace *a, uint64_t address, uint64_t size, uint64_t new_size) {
    aspace_lock_settled(a);
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    bool mapped = m && m->start <= address && !(m->flags & MAPPING_DYING);
    spin_unlock(&a->lock);
    if (!mapped) return -EFAULT;
    int error = size > new_size ? aspace_unmap(a, address + new_size, size - new_size) : 0;
    return error ? error : (int64_t)address;
}

int64_t aspace_move(struct aspace *a, uint64_t address, uint64_t size, uint64_t new_size, unsigned flags, uint64_t target) {
    bool fixed = flags & KPIO_MOVE_FIXED;
    if (!aspace_range_valid(address, size) || flags & ~(unsigned)(KPIO_MOVE_MAYMOVE | KPIO_MOVE_FIXED)) return -EINVAL;
    if (new_size == 0 || !is_aligned(new_size, PAGE_SIZE) || new_size > USER_MAX - USER_MIN) return -EINVAL;
    if (fixed ? !(flags & KPIO_MOVE_MAYMOVE) || !aspace_range_valid(target, new_size) : target != 0) return -EINVAL;
    if (fixed && target < address + size && address < target + new_size) return -EINVAL;
    if (!fixed && new_size <= size) return shrink(a, address, size, new_size);
    struct move mv = {
        .a = a,
        .start = address,
        .end = address + MIN(size, new_size),
        .old_end = address + size,
        .new_size = new_size,
        .target = target,
        .may_move = flags & KPIO_MOVE_MAYMOVE,
    };
    int64_t result = resize_or_move(&mv);
    aspace_settle(a);
    return result;
}
