// Fork: the other address space gets a snapshot of every mapping. Its page tables stay empty and are filled by faults;
// here only the right to write goes from the entries of what is shared now: in one walk after all snapshots, so that the other
// CPUs are told once.
//
// The clone is of one moment. Until the walk other threads write to pages that are in the snapshot already, which it then has
// too. What it does not have any more is what they get from the kernel meanwhile: a fault's page, another mapping. A thread
// that went on with those could store to the former later, and the clone would have the later store without the earlier one:
// a list whose end is missing. So while aspace->clones says that one is made, a fault waits for its end (aspace_fault.c), and so
// does, at its end, a call that changed mappings (aspace_settle). Both wait as readers of a lock that clones write: in
// the order of arrival, so that a process that forks without end still gets its pages.
//
// A mapping that moves meanwhile could pass the walk by: with aspace->clones it leaves the right behind.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/tlb.h"
#include "kernel/mm/vmo_internal.h"
#include "kernel/sched/sched.h"

#define WALK_MAPPINGS 64u  // without a preemption point

// VMOs that were snapshot already: mappings of one VMO, such as the parts of a program, stay mappings of one VMO.
struct clone {
    struct aspace *from, *to;
    struct {
        struct vmo *vmo, *copy;  // a reference on each
    } cache[ASPACE_CLONE_CACHE];
    unsigned next;
};

// A mapping as it was under the lock: from where the walk had come to, as other threads may have put it across that place.
struct piece {
    struct mapping *mapping;  // with a reference
    struct vmo *vmo;          // with a reference, or NULL (also once that has gone to the cache)
    uint64_t start, end, first;
    unsigned prot, max_prot, flags;
};

// Whether a mapping with these flags shows a copy in the clone.
static bool is_copied(const struct vmo *vmo, unsigned flags) {
    return !(flags & MAPPING_SHARE) && (vmo->kind == VMO_ANONYMOUS || vmo->kind == VMO_OVERLAY);
}

// What the mapping in the clone shows: with a reference for the caller. The piece's may go to the cache.
static int copy_of(struct clone *c, struct piece *piece, struct vmo **out) {
    struct vmo *vmo = piece->vmo;
    if (!is_copied(vmo, piece->flags)) {
        vmo_get(vmo);
        *out = vmo;
        return 0;
    }
    for (unsigned i = 0; i < MIN(c->next, (unsigned)ASPACE_CLONE_CACHE); i++) {
        if (c->cache[i].vmo != vmo) continue;
        *out = c->cache[i].copy;
        vmo_get(*out);
        return 0;
    }
    int error = vmo_snapshot_mapped(vmo, c->to->job, vmo->flags & VMO_UNNAMED, out);
    if (error) return error;
    unsigned slot = c->next++ % ASPACE_CLONE_CACHE;
    if (c->cache[slot].vmo) {
        vmo_put_slowly(c->cache[slot].vmo);
        vmo_put_slowly(c->cache[slot].copy);
    }
    vmo_get(*out);
    c->cache[slot].vmo = vmo;
    piece->vmo = NULL;
    c->cache[slot].copy = *out;
    return 0;
}

static void cache_drop(struct clone *c) {
    for (unsigned i = 0; i < ASPACE_CLONE_CACHE; i++) {
        if (!c->cache[i].vmo) continue;
        vmo_put_slowly(c->cache[i].vmo);
        vmo_put_slowly(c->cache[i].copy);
    }
}

// The first one from *position on that is inherited; *position moves behind it. `before`: the one that the walk comes from, or
// NULL. False: there is none.
static bool next_inherited(struct aspace *a, uint64_t *position, const struct mapping *before, struct piece *piece) {
    aspace_lock_settled(a);
    bool as_left = before && before->flags & MAPPING_IN_TREE && before->end == *position;
    struct mapping *m = as_left ? mapping_next(before) : mapping_tree_from(&a->mappings, *position);
    while (m && (m->flags & (MAPPING_NO_CLONE | MAPPING_DYING) || (m->vmo && m->vmo->kind == VMO_POOL)))
        m = mapping_next(m);
    if (m) {
        uint64_t start = MAX(m->start, *position);
        *piece = (struct piece){
            .mapping = m,
            .vmo = m->vmo,
            .start = start,
            .end = m->end,
            .first = m->first + ((start - m->start) >> PAGE_SHIFT),
            .prot = m->prot,
            .max_prot = m->max_prot,
            .flags = m->flags,
        };
        *position = m->end;
        __atomic_fetch_add(&m->refs, 1, __ATOMIC_RELAXED);
        if (m->vmo) vmo_get(m->vmo);
    }
    spin_unlock(&a->lock);
    return m != NULL;
}

static void tie(struct clone *c, struct mapping *fresh, struct mapping *m) {
    spin_lock(&c->from->lock);
    if (m->flags & MAPPING_GRANTED) {
        fresh->flags |= MAPPING_GRANTED;  // first: once tied, it may be revoked at any time
        if (!(m->flags & MAPPING_IN_TREE) || mapping_tie_sibling(fresh, m)) {
            fresh->flags &= (uint8_t)~MAPPING_GRANTED;
            fresh->flags |= MAPPING_REVOKED;
        }
    }
    spin_unlock(&c->from->lock);
}

static int clone_mapping(struct clone *c, struct piece *piece) {
    struct mapping *m = piece->mapping, *fresh;
    struct vmo *vmo = piece->vmo;
    unsigned flags = piece->flags & (MAPPING_SHARE | MAPPING_PRIVATE | MAPPING_REVOKED);
    int error = mapping_alloc(c->to, piece->prot, piece->max_prot, flags, &fresh);
    if (error) return error;
    fresh->start = piece->start;
    fresh->end = piece->end;
    struct vmo *copy = NULL;
    if (vmo) error = copy_of(c, piece, &copy);
    if (error) {
        mapping_put(fresh);
        return error;
    }
    if (copy) mapping_attach(fresh, copy, piece->first);
    // What still shows the memory behind the handle dies with it; a snapshot is the process's own.
    if (piece->flags & MAPPING_GRANTED && copy && (copy == vmo || copy->source)) tie(c, fresh, m);
    spin_lock(&c->to->lock);
    // The walk goes upwards: there is nothing above, unless somebody else maps there too.
    struct mapping *edge = mapping_tree_edge(&c->to->mappings);
    struct mapping *there = edge->prev->end <= fresh->start ? NULL : mapping_tree_from(&c->to->mappings, fresh->start);
    if (c->to->closed) error = -EDESTROYED;
    else if (there && there->start < fresh->end) error = -EBUSY;
    else aspace_insert_locked(c->to, fresh, there ? there : edge);
    spin_unlock(&c->to->lock);
    if (error) mapping_end(fresh);
    return error;
}

// Protects what the budgets allow and moves *position on. True at the end.
static bool write_protect_step(struct aspace *a, uint64_t *position, struct tlb_batch *batch) {
    unsigned entries = STEP_ENTRIES, mappings = WALK_MAPPINGS;
    bool done = true;
    aspace_lock_settled(a);  // what is replaced has entries too, until it has ended
    struct mapping *m = mapping_tree_from(&a->mappings, *position);
    for (; m && done && mappings > 0; m = mapping_next(m), mappings--) {
        uint64_t at = MAX(*position, m->start);
        bool whole = at == m->start;
        *position = m->end;
        if (!m->vmo || !m->writable || !is_copied(m->vmo, m->flags)) continue;
        spin_lock(m->vmo->lock);
        done = mapping_write_protect(m, &at, m->end, &entries, batch);
        if (whole && done) m->writable = false;
        spin_unlock(m->vmo->lock);
        *position = at;
    }
    spin_unlock(&a->lock);
    return done && !m;
}

static void write_protect(struct aspace *a) {
    struct tlb_batch batch;
    tlb_batch_init(&batch, a);
    uint64_t position = USER_MIN;
    while (!write_protect_step(a, &position, &batch)) (void)sched_preempt_point();
    tlb_batch_flush(&batch);
}

static int clone_mappings(struct clone *c) {
    uint64_t position = USER_MIN;
    int error = 0;
    struct mapping *before = NULL;
    for (struct piece piece; !error && next_inherited(c->from, &position, before, &piece);) {
        error = clone_mapping(c, &piece);
        if (before) mapping_put(before);
        before = piece.mapping;
        if (piece.vmo) vmo_put_slowly(piece.vmo);
        if (sched_preempt_point() && !error) error = -EINTR;
    }
    if (before) mapping_put(before);
    return error;
}

static void count_clones(struct aspace *a, int change) {
    spin_lock(&a->lock);
    a->clones += (uint32_t)change;
    spin_unlock(&a->lock);
}

void aspace_wait_clones(struct aspace *a) {
    if (a != current_thread()->aspace) return;  // who changes another's stores nothing there
    rw_mutex_lock_shared(&a->cloning);
    rw_mutex_unlock_shared(&a->cloning);
}

int aspace_clone(struct aspace *from, struct aspace *to) {
    struct clone c = {.from = from, .to = to};
    spin_lock(&to->lock);
    bool empty = from != to && !mapping_tree_first(&to->mappings);
    spin_unlock(&to->lock);
    if (!empty) return -EBUSY;
    count_clones(from, 1);
    rw_mutex_lock(&from->cloning);
    int error = clone_mappings(&c);
    if (!error) write_protect(from);
    rw_mutex_unlock(&from->cloning);
    count_clones(from, -1);
    cache_drop(&c);
    if (error) aspace_clear(to, false);
    return error;
}
