// What a process says about its memory, and what it asks: pages given back, pages wanted now, writes that must be durable,
// which pages are there.
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/usercopy.h"
#include "kernel/sched/sched.h"

// A part of the range that one mapping shows, with a reference on what it shows.
struct part {
    uint64_t start, end;
    struct vmo *vmo;  // NULL: a reservation, or revoked
    uint64_t first;   // page of it at start
    bool own;         // see mapping_is_own
};

// The first part in [at, end): false when nothing more is mapped there.
static bool find_part(struct aspace *a, uint64_t at, uint64_t end, struct part *out) {
    aspace_lock_settled(a);
    struct mapping *m = mapping_tree_from(&a->mappings, at);
    while (m && m->flags & MAPPING_DYING) m = mapping_next(m);
    bool found = m && m->start < end;
    if (found) {
        uint64_t start = MAX(at, m->start);
        *out = (struct part){start, MIN(end, m->end), m->vmo, m->first + ((start - m->start) >> PAGE_SHIFT), false};
        if (m->vmo) vmo_get(m->vmo);
        if (m->vmo) out->own = mapping_is_own(m, m->vmo);
    }
    spin_unlock(&a->lock);
    return found;
}

// What is the mapping's own goes; of what others see as well only the page tables' entries.
static int discard(struct aspace *a, const struct part *p) {
    if (!p->own) {
        aspace_forget(a, p->start, p->end);
        return 0;
    }
    int error = vmo_decommit(p->vmo, p->first << PAGE_SHIFT, p->end - p->start);
    return error == -EINVAL ? 0 : error;  // another thread has unmapped it meanwhile
}

static int sync(struct aspace *a, const struct part *p) {
    return vmo_sync(p->vmo, p->first, (p->end - p->start) >> PAGE_SHIFT);
}

// Holes are told of at the end: everything else is done.
static int for_each_part(struct aspace *a, uint64_t start, uint64_t end, int (*act)(struct aspace *, const struct part *)) {
    bool hole = false;
    for (uint64_t at = start; at < end;) {
        struct part p;
        if (!find_part(a, at, end, &p)) return -ENOMEM;
        hole = hole || p.start > at;
        at = p.end;
        int error = p.vmo ? act(a, &p) : 0;
        if (p.vmo) vmo_put_slowly(p.vmo);
        if (error) return error == -ENFILE ? -ENOMEM : error;
        if (sched_preempt_point() && at < end) return -EINTR;
    }
    return hole ? -ENOMEM : 0;
}

int aspace_advise(struct aspace *a, uint64_t address, uint64_t size, unsigned advice) {
    if (!aspace_range_valid(address, size)) return -EINVAL;
    uint64_t end = address + size;
    switch (advice) {
    case KPIO_ADVISE_DONTNEED: {
        int error = for_each_part(a, address, end, discard);
        aspace_settle(a);
        return error;
    }
    case KPIO_ADVISE_POPULATE_READ:
        return aspace_populate(a, address, end, PROT_READ);
    case KPIO_ADVISE_POPULATE_WRITE:
        return aspace_populate(a, address, end, PROT_WRITE);
    case KPIO_ADVISE_SYNC:
        return for_each_part(a, address, end, sync);
    default:
        return -EINVAL;
    }
}

// ---- residency -------------------------------------------------------------------------------------------------------

#define CHUNK 128u  // pages looked at with the lock held

// One byte a page from address on: false where something is not mapped.
static bool look_locked(struct aspace *a, uint64_t address, uint8_t *bytes, unsigned count) {
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    for (unsigned i = 0; i < count; m = mapping_next(m)) {
        uint64_t at = address + i * PAGE_SIZE;
        if (!m || m->start > at || m->flags & MAPPING_DYING) return false;
        unsigned here = (unsigned)MIN(count - i, (m->end - at) >> PAGE_SHIFT);
        uint64_t index = m->first + ((at - m->start) >> PAGE_SHIFT);
        if (m->vmo) spin_lock(m->vmo->lock);
        for (unsigned k = 0; k < here; k++) bytes[i + k] = m->vmo && vmo_is_resident_locked(m->vmo, index + k);
        if (m->vmo) spin_unlock(m->vmo->lock);
        i += here;
    }
    return true;
}

int aspace_residency(struct aspace *a, uint64_t address, struct user_ptr bytes, uint64_t count) {
    uint8_t chunk[CHUNK];
    if (count > USER_MAX >> PAGE_SHIFT || !aspace_range_valid(address, count << PAGE_SHIFT)) return -EINVAL;
    for (uint64_t done = 0; done < count;) {
        unsigned n = (unsigned)MIN(count - done, (uint64_t)CHUNK);
        aspace_lock_settled(a);
        bool mapped = look_locked(a, address + (done << PAGE_SHIFT), chunk, n);
        spin_unlock(&a->lock);
        if (!mapped) return -ENOMEM;
        int error = copy_to_user(user_add(bytes, done), chunk, n);
        if (error) return error;
        done += n;
        if (sched_preempt_point() && done < count) return -EINTR;
    }
    return 0;
}
