// Between the files that implement address spaces.
#pragma once
#include "abi/gen/errors.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/mm/aspace.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/slub.h"

#define STEP_ENTRIES 512  // page-table entries changed without a preemption point
#define STEP_TABLES 16u   // page tables looked through

static inline pte_t mapping_entry(unsigned prot) {
    return PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NX | (prot & PROT_WRITE ? PTE_WRITE | PTE_DIRTY : 0);
}
// A mapping with refs 1 that shows nothing yet, charged to a->job; where it is the caller says. 0, -ENOMEM, -ENFILE.
extern struct kmem_cache mapping_cache;
[[nodiscard]] static inline int mapping_alloc(struct aspace *a, unsigned prot, unsigned max_prot, unsigned flags,
                                              struct mapping **out) {
    int error = job_charge(a->job, JOB_KERNEL_BYTES, sizeof(struct mapping));
    if (unlikely(error)) return error;
    struct mapping *m = slub_alloc(&mapping_cache);
    if (unlikely(!m)) {
        job_uncharge(a->job, JOB_KERNEL_BYTES, sizeof(struct mapping));
        return -ENOMEM;
    }
    m->aspace = a;
    m->vmo = NULL;
    m->first = 0;
    m->entry = mapping_entry(prot);
    m->prot = prot & PROT_ALL;
    m->max_prot = max_prot & PROT_ALL;
    m->flags = (uint8_t)flags;
    m->writable = false;
    m->refs = 1;
    m->emptied = 0;
    m->link.mapping = m;
    *out = m;
    return 0;
}
// Drops a reference; the last one frees it. m is in no list and holds no VMO.
void mapping_put(struct mapping *m);
// What may be done with its pages from now on; entries that exist are the caller's to change.
static inline void mapping_set_prot(struct mapping *m, unsigned prot) {
    m->prot = prot & PROT_ALL;
    m->entry = mapping_entry(prot) | (m->entry & (PTE_CACHE_DISABLE | PTE_WRITE_THROUGH));
}
// m starts or stops showing vmo: takes over a reference; gives it back. Its page tables are empty at the end.
static inline void mapping_attach(struct mapping *m, struct vmo *vmo, uint64_t first) {
    if (unlikely(vmo->flags & VMO_UNCACHED)) m->entry |= PTE_CACHE_DISABLE | PTE_WRITE_THROUGH;
    m->vmo = vmo;
    m->first = first;
    spin_lock(vmo->lock);
    list_push_back(&vmo_root(vmo)->mappings, &m->link.node);
    spin_unlock(vmo->lock);
}
static inline struct vmo *mapping_detach(struct mapping *m) {
    struct vmo *vmo = m->vmo;
    if (unlikely(!vmo)) return NULL;
    spin_lock(vmo->lock);
    list_remove(&m->link.node);
    spin_unlock(vmo->lock);
    m->vmo = NULL;
    return vmo;
}

static inline void aspace_insert_locked(struct aspace *a, struct mapping *m, struct mapping *above) {
    mapping_tree_insert_below(&a->mappings, m, above);
    m->flags |= MAPPING_IN_TREE;
}
static inline void aspace_remove_locked(struct aspace *a, struct mapping *m) {
    mapping_tree_remove(&a->mappings, m);
    m->flags &= (uint8_t)~MAPPING_IN_TREE;
    if (a->recent == m) a->recent = NULL;
}
// Clears a piece of m, which takes no faults any more, from its start on; true when its page tables are empty. a->lock held.
bool mapping_clear_step(struct mapping *m);
static inline uint64_t mapping_not_emptied(const struct mapping *m) {
    return MIN(m->start + ((uint64_t)m->emptied << LARGE_PAGE_SHIFT), m->end);
}
static inline void mapping_set_emptied(struct mapping *m, uint64_t address) {
    m->emptied = (uint32_t)((address - m->start) >> LARGE_PAGE_SHIFT);
}
// Puts m, which is in no tree yet, at [start, end) in place of all that is there, in one step as others see it: its address,
// or an error (-EDESTROYED, -ENOMEM, -ENFILE) with nothing changed. No lock held; preemptible.
[[nodiscard]] int64_t aspace_replace(struct aspace *a, uint64_t start, uint64_t end, struct mapping *m);
// The same under a->lock, where start and end are boundaries: it cannot fail. The caller ends what was replaced.
void aspace_replace_locked(struct aspace *a, uint64_t start, uint64_t end, struct mapping *m);
// Ends what was replaced, whoever began it. No lock held; preemptible.
void aspace_end_replaced(struct aspace *a);
// At the end of a change of mappings: a thread of `a` goes on when no clone is being made that may lack it. Preemptible.
void aspace_wait_clones(struct aspace *a);
static inline void aspace_settle(struct aspace *a) {
    if (unlikely(__atomic_load_n(&a->clones, __ATOMIC_RELAXED) != 0)) aspace_wait_clones(a);
}
// Takes a->lock when nothing is being replaced. Preemptible.
static inline void aspace_lock_settled(struct aspace *a) {
    for (spin_lock(&a->lock); unlikely(a->replaced); spin_lock(&a->lock)) {
        spin_unlock(&a->lock);
        aspace_end_replaced(a);
    }
}
// The mapping that address lies in, or NULL. a->lock held.
struct mapping *aspace_find_elsewhere(struct aspace *a, uint64_t address);
static inline struct mapping *aspace_find(struct aspace *a, uint64_t address) {
    struct mapping *m = a->recent;
    if (likely(m && address >= m->start && address < m->end)) return m;
    return aspace_find_elsewhere(a, address);
}
// Makes the page table show a page of m as prot asks, which m allows: 0, or as vmo_frame_locked. a->lock and the VMO's held.
[[nodiscard]] int aspace_show_page_locked(struct mapping *m, uint64_t address, uint64_t index, unsigned prot);
// Makes address a boundary between mappings. 0, -ENOMEM, -ENFILE.
[[nodiscard]] int aspace_cut_locked(struct aspace *a, uint64_t address);
// Whether nobody else ever sees the pages that m shows.
static inline bool mapping_is_own(const struct mapping *m, const struct vmo *vmo) {
    return vmo->flags & VMO_UNNAMED && !(m->flags & MAPPING_SHARE);
}
// One step of unmapping m: true when it is out of the tree, for the caller to end.
[[nodiscard]] bool aspace_unmap_step_locked(struct aspace *a, struct mapping *m);
// Ends a removed mapping: unties it, drops its VMO, frees it. No lock held; preemptible.
void mapping_end(struct mapping *m);

// Makes the pages of [start, end), whole ones, accessible as prot asks, one of PROT_*: 0, or as aspace_fault at the first that cannot
// be had; those before it are. Preemptible, no lock held.
[[nodiscard]] int aspace_populate(struct aspace *a, uint64_t start, uint64_t end, unsigned prot);
// Empties the page tables in [start, end): faults fill them again. Preemptible, no lock held.
void aspace_forget(struct aspace *a, uint64_t start, uint64_t end);
// Frees page tables without entries in [start, end), as many as one hold of a->lock allows: true when those were all. Else a look
// at all of them is due.
bool aspace_prune_locked(struct aspace *a, uint64_t start, uint64_t end);
// Frees what paging_table_free has gathered, once hardware has forgotten it.
void aspace_free_tables(struct aspace *a);
// Frees all of them, the root too, which no CPU has loaded any more and no mapping has entries in.
void aspace_end_tables(struct aspace *a);
bool aspace_range_valid(uint64_t address, uint64_t size);
