// Fork: the other address space gets a snapshot of every mapping. Its page tables stay empty and are filled by faults;
// here only the right to write goes from the entries of what is shared now.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/sched/sched.h"

// VMOs that were snapshot already: mappings of one VMO, such as the parts of a program, stay mappings of one VMO.
struct clone {
    struct aspace *from, *to;
    struct {
        struct vmo *vmo, *copy;  // a reference on each
    } cache[ASPACE_CLONE_CACHE];
    unsigned next;
};

// What the mapping in the clone shows: with a reference for the caller.
static int copy_of(struct clone *c, struct vmo *vmo, bool share, struct vmo **out) {
    if (share || (vmo->kind != VMO_ANONYMOUS && vmo->kind != VMO_OVERLAY)) {
        vmo_get(vmo);
        *out = vmo;
        return 0;
    }
    for (unsigned i = 0; i < ASPACE_CLONE_CACHE; i++) {
        if (c->cache[i].vmo != vmo) continue;
        *out = c->cache[i].copy;
        vmo_get(*out);
        return 0;
    }
    int error = vmo_snapshot(vmo, 0, vmo->pages, c->to->job, out);
    if (error) return error;
    unsigned slot = c->next++ % ASPACE_CLONE_CACHE;
    if (c->cache[slot].vmo) {
        vmo_put_slowly(c->cache[slot].vmo);
        vmo_put_slowly(c->cache[slot].copy);
    }
    vmo_get(vmo);
    vmo_get(*out);
    c->cache[slot].vmo = vmo;
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

// A mapping as it was under the lock: from where the walk had come to, as other threads may have put it across that place.
struct piece {
    struct mapping *mapping;  // with a reference
    struct vmo *vmo;          // with a reference, or NULL
    uint64_t start, end, first;
    unsigned prot, max_prot, flags;
};

// The first one from *position on that is inherited; *position moves behind it. False: there is none.
static bool next_inherited(struct aspace *a, uint64_t *position, struct piece *piece) {
    aspace_lock_settled(a);
    struct mapping *m = mapping_tree_from(&a->mappings, *position);
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

static int clone_mapping(struct clone *c, const struct piece *piece) {
    struct mapping *m = piece->mapping, *fresh;
    struct vmo *vmo = piece->vmo;
    unsigned flags = piece->flags & (MAPPING_SHARE | MAPPING_PRIVATE | MAPPING_REVOKED);
    int error = mapping_alloc(c->to, piece->prot, piece->max_prot, flags, &fresh);
    if (error) return error;
    fresh->start = piece->start;
    fresh->end = piece->end;
    struct vmo *copy = NULL;
    if (vmo) error = copy_of(c, vmo, piece->flags & MAPPING_SHARE, &copy);
    if (error) {
        mapping_put(fresh);
        return error;
    }
    if (copy) mapping_attach(fresh, copy, piece->first);
    // What still shows the memory behind the handle dies with it; a snapshot is the process's own.
    spin_lock(&c->from->lock);
    if (m->flags & MAPPING_GRANTED && copy && (copy == vmo || copy->source)) {
        fresh->flags |= MAPPING_GRANTED;  // first: once tied, it may be revoked at any time
        if (!(m->flags & MAPPING_IN_TREE) || mapping_tie_sibling(fresh, m)) {
            fresh->flags &= (uint8_t)~MAPPING_GRANTED;
            fresh->flags |= MAPPING_REVOKED;
        }
    }
    spin_unlock(&c->from->lock);
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

int aspace_clone(struct aspace *from, struct aspace *to) {
    struct clone c = {.from = from, .to = to};
    spin_lock(&to->lock);
    bool empty = from != to && !mapping_tree_first(&to->mappings);
    spin_unlock(&to->lock);
    if (!empty) return -EBUSY;
    uint64_t position = USER_MIN;
    int error = 0;
    for (struct piece piece; !error && next_inherited(from, &position, &piece);) {
        error = clone_mapping(&c, &piece);
        mapping_put(piece.mapping);
        if (piece.vmo) vmo_put_slowly(piece.vmo);
        if (sched_preempt_point() && !error) error = -EINTR;
    }
    cache_drop(&c);
    if (error) aspace_clear(to, false);
    return error;
}
