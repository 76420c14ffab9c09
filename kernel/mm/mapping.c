#include "kernel/mm/mapping.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/tlb.h"
#include "lib/string.h"

struct kmem_cache mapping_cache;

void aspace_cache_init(void);  // aspace.c

void aspace_init(void) {
    slub_cache_init(&mapping_cache, "mapping", sizeof(struct mapping), CACHE_LINE);
    aspace_cache_init();
}

void mapping_put(struct mapping *m) {
    if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) != 0) return;
    job_uncharge(m->aspace->job, JOB_KERNEL_BYTES, sizeof(struct mapping));
    slub_free(&mapping_cache, m);
}

// Part of what was mapped at once is unmapped: its pages go now, and not only with the rest. Where that takes memory and there
// is none they stay, seen by nobody. Without its tail the VMO is as a smaller one, which can grow in place again.
static coldpath void release_part(const struct mapping *m, struct vmo *vmo) {
    uint64_t end = m->first + ((m->end - m->start) >> PAGE_SHIFT);
    if (vmo_decommit(vmo, m->first << PAGE_SHIFT, m->end - m->start)) return;
    spin_lock(vmo->lock);
    if (vmo->pages == end && m->first != 0) vmo->pages = m->first;
    spin_unlock(vmo->lock);
}

void mapping_end(struct mapping *m) {
    struct vmo *vmo = mapping_detach(m);
    if (likely(m->flags & MAPPING_GRANTED)) mapping_untie(m);
    bool part = vmo && m->flags & MAPPING_DYING && __atomic_load_n(&vmo->refs, __ATOMIC_ACQUIRE) > 1;
    if (unlikely(part) && mapping_is_own(m, vmo)) release_part(m, vmo);
    mapping_put(m);
    if (likely(vmo)) vmo_put_slowly(vmo);
}

// The upper part of m becomes a mapping of its own. If the handle is being revoked, nobody will look for that part: it
// takes the marker here.
static int split_locked(struct aspace *a, struct mapping *m, uint64_t address) {
    struct mapping *upper;
    int error = mapping_alloc(a, m->prot, m->max_prot, m->flags & ~(unsigned)(MAPPING_IN_TREE | MAPPING_GRANTED), &upper);
    if (error) return error;
    upper->start = address;
    upper->end = m->end;
    if (m->flags & MAPPING_GRANTED) {
        if (mapping_tie_sibling(upper, m)) upper->flags |= MAPPING_REVOKED;
        else upper->flags |= MAPPING_GRANTED;
    }
    if (m->vmo) {
        vmo_get(m->vmo);
        upper->writable = m->writable;
        mapping_attach(upper, m->vmo, m->first + ((address - m->start) >> PAGE_SHIFT));
    }
    m->end = address;
    mapping_tree_trimmed(&a->mappings, m);
    aspace_insert_locked(a, upper, m->next);
    if (!(upper->flags & MAPPING_REVOKED) || !upper->vmo) return 0;
    struct tlb_batch batch;
    tlb_batch_init(&batch, a);
    spin_lock(upper->vmo->lock);
    (void)mapping_clear(upper, &(uint64_t){upper->start}, upper->end, false, UINT32_MAX, &batch);
    tlb_batch_flush(&batch);
    spin_unlock(upper->vmo->lock);
    return 0;
}

int aspace_cut_locked(struct aspace *a, uint64_t address) {
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    return m && m->start < address ? split_locked(a, m, address) : 0;
}
