// What is asked and changed about mappings that exist: access, description, revocation.
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/tlb.h"
#include "kernel/sched/sched.h"

// ---- access ----------------------------------------------------------------------------------------------------------

// Whether the whole range is mapped and allows prot.
static int check_range_locked(struct aspace *a, uint64_t start, uint64_t end, unsigned prot) {
    if (prot & PROT_WRITE && prot & PROT_EXECUTE && !a->jit) return -EPERM;
    struct mapping *m = mapping_tree_from(&a->mappings, start);
    for (uint64_t at = start; at < end; m = mapping_next(m)) {
        if (!m || m->start > at || m->flags & MAPPING_DYING) return -EINVAL;
        if (prot & ~m->max_prot) return -EPERM;
        at = m->end;
        if (at < end && !mapping_next(m)) return -EINVAL;
    }
    return 0;
}

// Takes rights away from the page tables of [*start, end) as far as the budget allows. True at the end. An entry that is
// cleared though it need not be is made again by the next fault.
static bool reduce_step(struct aspace *a, uint64_t *start, uint64_t end, bool only_write) {
    struct mapping *m = mapping_tree_from(&a->mappings, *start);
    if (!m || m->start >= end) return true;
    if (*start < m->start) *start = m->start;
    uint64_t stop = MIN(end, m->end);
    if (!m->vmo || !(m->flags & MAPPING_TOUCHED)) {
        *start = stop;
        return stop == end;
    }
    struct tlb_batch batch;
    tlb_batch_init(&batch, a);
    spin_lock(m->vmo->lock);
    if (only_write) (void)mapping_write_protect(m, start, stop, &(unsigned){STEP_ENTRIES}, &batch);
    else (void)mapping_clear(m, start, stop, false, STEP_ENTRIES, &batch);
    tlb_batch_flush(&batch);
    spin_unlock(m->vmo->lock);
    return *start >= end;
}

static void reduce(struct aspace *a, uint64_t start, uint64_t end, bool only_write) {
    for (bool done = false; !done;) {
        spin_lock(&a->lock);
        done = reduce_step(a, &start, end, only_write);
        spin_unlock(&a->lock);
        if (!done) (void)sched_preempt_point();
    }
}

void aspace_forget(struct aspace *a, uint64_t start, uint64_t end) { reduce(a, start, end, false); }

int aspace_protect(struct aspace *a, uint64_t address, uint64_t size, unsigned prot) {
    if (!aspace_range_valid(address, size) || prot & ~(unsigned)PROT_ALL) return -EINVAL;
    uint64_t end = address + size;
    unsigned lost = 0;
    bool gained_execute = false;
    aspace_lock_settled(a);
    int error = check_range_locked(a, address, end, prot);
    if (!error) error = aspace_cut_locked(a, address);
    if (!error) error = aspace_cut_locked(a, end);
    if (error) {
        spin_unlock(&a->lock);
        return error;
    }
    for (struct mapping *m = mapping_tree_from(&a->mappings, address); m && m->start < end; m = mapping_next(m)) {
        lost |= m->prot & ~prot;
        gained_execute = gained_execute || (prot & ~m->prot & PROT_EXECUTE);
        mapping_set_prot(m, prot);
    }
    spin_unlock(&a->lock);
    // What is gained comes with the next fault; but a present entry that forbids execution is simplest made anew.
    if (lost || gained_execute) reduce(a, address, end, lost == PROT_WRITE && prot && !gained_execute);
    aspace_settle(a);
    return 0;
}

// ---- questions -------------------------------------------------------------------------------------------------------

static uint64_t describe_flags(const struct mapping *m) {
    uint64_t flags = m->prot;
    if (m->flags & MAPPING_PRIVATE) flags |= KPIO_MAP_PRIVATE;
    else if (m->vmo && m->vmo->flags & VMO_UNNAMED) flags |= KPIO_MAP_ANONYMOUS;
    if (m->flags & MAPPING_SHARE) flags |= KPIO_MAP_LOCAL_SHARE;
    if (!m->max_prot) flags |= KPIO_MAP_RESERVE;
    return flags;
}

int aspace_query(struct aspace *a, uint64_t address, bool counted, struct aspace_range *out) {
    if (address >= USER_MAX) return -ENOENT;
    spin_lock(&a->lock);
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    if (!m) {
        spin_unlock(&a->lock);
        return -ENOENT;
    }
    struct vmo *vmo = m->vmo;
    *out = (struct aspace_range){m->start, m->end - m->start, describe_flags(m), vmo ? vmo_root(vmo)->id : 0,
                                 m->first << PAGE_SHIFT, 0};
    if (vmo && vmo->source) out->offset += vmo->source_first << PAGE_SHIFT;
    if (!counted) vmo = NULL;
    uint64_t first = m->first;
    if (vmo) vmo_get(vmo);
    spin_unlock(&a->lock);
    if (!vmo) return 0;
    out->committed = vmo_count_pages(vmo, first, first + (out->size >> PAGE_SHIFT));
    vmo_put_slowly(vmo);
    return 0;
}

bool aspace_shows(struct aspace *a, uint64_t address, uint64_t size, const struct vmo *vmo) {
    spin_lock(&a->lock);
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    bool shows = m && m->start == address && m->end == address + size && m->vmo == vmo && m->first == 0 &&
                 m->prot == m->max_prot && !(m->flags & MAPPING_DYING);
    spin_unlock(&a->lock);
    return shows;
}

int aspace_resolve(struct aspace *a, uint64_t address, struct vmo **vmo, uint64_t *offset) {
    aspace_lock_settled(a);
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    bool found = m && m->start <= address && m->vmo && !(m->flags & (MAPPING_REVOKED | MAPPING_DYING));
    if (found) {
        vmo_get(m->vmo);
        *vmo = m->vmo;
        *offset = (m->first << PAGE_SHIFT) + (address - m->start);
    }
    spin_unlock(&a->lock);
    return found ? 0 : -EFAULT;
}

// ---- revocation ------------------------------------------------------------------------------------------------------

void mapping_pin(struct mapping *m) {
    aspace_get(m->aspace);
    __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
}

// The marker stays until somebody unmaps it, so that an access can be told from one to an address never mapped. It is
// out of its tree, and the object that it leads to goes once this returns: nobody may look it up from here any more.
void mapping_revoked(struct mapping *m) {
    struct aspace *a = m->aspace;
    struct vmo *vmo = NULL;
    uint64_t position = m->start;
    for (bool done = false; !done;) {
        spin_lock(&a->lock);
        m->flags |= MAPPING_REVOKED;
        done = !(m->flags & MAPPING_IN_TREE) || !m->vmo;  // who unmaps it does the rest
        if (!done) {
            done = position >= m->end || reduce_step(a, &position, m->end, false);
            if (done) vmo = mapping_detach(m);
        }
        if (done) m->flags &= (uint8_t)~MAPPING_GRANTED;
        spin_unlock(&a->lock);
        if (!done) (void)sched_preempt_point();
    }
    mapping_put(m);
    if (vmo) vmo_put_slowly(vmo);
    aspace_put(a);
}
