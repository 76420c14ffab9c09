#include "kernel/mm/aspace.h"

#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/charge.h"
#include "kernel/mm/memory_wait.h"
#include "kernel/mm/pte.h"
#include "kernel/mm/slub.h"
#include "kernel/mm/tlb.h"
#include "kernel/sched/sched.h"

_Static_assert((int)PROT_READ == KPIO_MAP_READ && (int)PROT_WRITE == KPIO_MAP_WRITE && (int)PROT_EXECUTE == KPIO_MAP_EXECUTE, "ABI");

#define ASPACE_REAPED (1u << 31)       // in refs: the reaper has it
#define PRUNE_TABLES 64                // fewer tables than this are never looked through
#define CEILING_SPAN (1ull << 44)      // 16 TiB of random places for the highest mapping

static struct kmem_cache aspace_cache;

void aspace_cache_init(void);
void aspace_cache_init(void) { slub_cache_init(&aspace_cache, "aspace", sizeof(struct aspace), CACHE_LINE); }

// ---- page tables -----------------------------------------------------------------------------------------------------

// Looks through the gaps between all mappings, one at a time.
static coldpath void prune_all(struct aspace *a) {
    uint64_t position = USER_MIN;
    while (position < USER_MAX) {
        spin_lock(&a->lock);
        struct mapping *m = mapping_tree_from(&a->mappings, position);
        uint64_t end = m ? m->start : USER_MAX;
        bool done = end <= position || aspace_prune_locked(a, position, end);
        if (done) position = m ? m->end : USER_MAX;
        if (position == USER_MAX) a->prune_at = MAX((uint64_t)PRUNE_TABLES, 2 * a->tables);
        spin_unlock(&a->lock);
        (void)sched_preempt_point();
    }
}

static inline bool is_prune_due(const struct aspace *a) { return a->tables >= a->prune_at; }

// ---- life ------------------------------------------------------------------------------------------------------------

static uint64_t random_ceiling(void) {
    uint64_t random;
    if (!arch_rdrand(&random)) random = (uint64_t)arch_now() * 0x9e3779b97f4a7c15ull;
    return USER_MAX - align_down(random % CEILING_SPAN, PAGE_SIZE);
}

int aspace_create(struct job *job, bool jit, struct aspace **out) {
    int error = job_charge(job, JOB_KERNEL_BYTES, sizeof(struct aspace));
    if (error) return error;
    struct aspace *a = slub_alloc_zeroed(&aspace_cache);
    if (!a) {
        job_uncharge(job, JOB_KERNEL_BYTES, sizeof(struct aspace));
        return -ENOMEM;
    }
    spin_init(&a->lock, "aspace");
    rw_mutex_init(&a->cloning, "clone");
    mapping_tree_init(&a->mappings, a->ceiling);
    list_init(&a->table_pages);
    a->job = job;
    a->jit = jit;
    a->refs = 1;
    a->prune_at = PRUNE_TABLES;
    a->ceiling = random_ceiling();
    a->root = paging_root_create(a);
    if (a->root.v == 0) {
        job_uncharge(job, JOB_KERNEL_BYTES, sizeof(struct aspace));
        slub_free(&aspace_cache, a);
        return -ENOMEM;
    }
    *out = a;
    return 0;
}

static void aspace_free(struct aspace *a) {
    tlb_evict(a);
    aspace_end_tables(a);
    job_uncharge(a->job, JOB_KERNEL_BYTES, sizeof(struct aspace));
    slub_free(&aspace_cache, a);
}

// Once its tables are empty its VMO must not look into them any more: the place is another's then, with another lock.
__attribute__((noinline)) bool mapping_clear_step(struct mapping *m) {
    if (!m->vmo || !(m->flags & MAPPING_TOUCHED) || m->aspace->dead) return true;
    struct tlb_batch batch;
    tlb_batch_init(&batch, m->aspace);
    spin_lock(m->vmo->lock);
    uint64_t at = mapping_not_emptied(m);
    bool done = mapping_clear(m, &at, m->end, false, STEP_ENTRIES, &batch);
    mapping_set_emptied(m, at);
    tlb_batch_flush(&batch);
    if (done) m->flags &= (uint8_t)~MAPPING_TOUCHED;
    spin_unlock(m->vmo->lock);
    return done;
}

static void aspace_reap(struct reap_item *item) {
    struct aspace *a = container_of(item, struct aspace, reap);
    aspace_clear(a, true);
    aspace_put(a);
}

// The last reference goes to the reaper, for revocations can still find the mappings, and then hold on to the address space.
static bool drop_reference(struct aspace *a) {
    uint32_t refs = __atomic_load_n(&a->refs, __ATOMIC_RELAXED), left;
    do {
        bool reap = refs == 1 && mapping_tree_first(&a->mappings);
        left = reap ? ASPACE_REAPED | 1 : refs - 1;
    } while (!__atomic_compare_exchange_n(&a->refs, &refs, left, true, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if (refs == 1 && left != 0) {
        a->reap = (struct reap_item){.end = aspace_reap};
        reaper_add(&a->reap);
    }
    return left == 0 || left == ASPACE_REAPED;
}

void aspace_put(struct aspace *a) {
    if (drop_reference(a)) aspace_free(a);
}

// ---- unmapping -------------------------------------------------------------------------------------------------------

#define TABLE_SPAN (1ull << 30)  // of a table whose entries are large pages or tables

// One step of unmapping m, which lies inside the range: true when it is out of the tree. Faults stop as soon as it is
// marked, its pages go in steps, then it goes itself. Whoever finds a marked mapping helps to end it.
static inline bool unmap_step_locked(struct aspace *a, struct mapping *m) {
    m->flags |= MAPPING_DYING;
    if (unlikely(m->flags & MAPPING_TOUCHED)) {
        if (!mapping_clear_step(m)) return false;
        if (m->end - m->start >= LARGE_PAGE_SIZE && !a->closed) {  // of a closed one all tables go together
            struct mapping *next = mapping_next(m);
            // Only what it had a part of: other tables in the gap are found when there are many.
            uint64_t below = MAX(m->prev->end, align_down(m->start, TABLE_SPAN));
            uint64_t above = MIN(next ? next->start : USER_MAX, align_up(m->end, TABLE_SPAN));
            aspace_remove_locked(a, m);
            (void)aspace_prune_locked(a, below, above);
            return true;
        }
    }
    aspace_remove_locked(a, m);
    return true;
}

bool aspace_unmap_step_locked(struct aspace *a, struct mapping *m) { return unmap_step_locked(a, m); }

#define UNMAPPED_AT_ONCE 16u

// Takes mappings out from *start on, as many as a hold of the lock allows, and moves *start behind them. How many, for the
// caller to end; or an error. *start == end: that were all.
static int unmap_some(struct aspace *a, uint64_t *start, uint64_t end, struct mapping **gone) {
    int count = 0, error = 0;
    uint64_t pages = 0;  // that may have entries
    spin_lock(&a->lock);
    struct mapping *m = mapping_tree_from(&a->mappings, *start), *next;
    for (; m && m->start < end && count < (int)UNMAPPED_AT_ONCE && pages < STEP_ENTRIES; m = next) {
        if (unlikely(m->start < *start || m->end > end)) {  // another thread mapped across the edge meanwhile
            error = aspace_cut_locked(a, *start);
            if (!error) error = aspace_cut_locked(a, end);
            break;
        }
        if (unlikely(m->flags & MAPPING_DYING && a->replaced)) break;  // its place may not be empty yet
        next = mapping_next(m);
        uint64_t m_end = m->end;
        if (m->flags & MAPPING_TOUCHED && !a->dead) pages += (m_end - m->start) >> PAGE_SHIFT;
        if (!unmap_step_locked(a, m)) break;
        gone[count++] = m;
        *start = m_end;
    }
    if (!m || m->start >= end) *start = end;
    spin_unlock(&a->lock);
    return count == 0 && error ? error : count;
}

// Unmaps what lies in the range, whose ends are boundaries or in the middle of nothing. Goes upwards once: what other
// threads map where it has been is theirs.
static int unmap_whole(struct aspace *a, uint64_t start, uint64_t end) {
    struct mapping *gone[UNMAPPED_AT_ONCE];
    while (start < end) {
        int count = unmap_some(a, &start, end, gone);
        for (int i = 0; i < count; i++) {
            mapping_end(gone[i]);
            if (i % 4 == 3) (void)sched_preempt_point();  // each may free some pages
        }
        if (count < 0) return count;
        if (unlikely(__atomic_load_n(&a->replaced, __ATOMIC_RELAXED))) aspace_end_replaced(a);
        (void)sched_preempt_point();
    }
    return 0;
}

bool aspace_range_valid(uint64_t address, uint64_t size) {
    return size != 0 && is_aligned(address | size, PAGE_SIZE) && address >= USER_MIN && range_fits(address, size, USER_MAX);
}

static int cut(struct aspace *a, uint64_t start, uint64_t end) {
    spin_lock(&a->lock);
    int error = aspace_cut_locked(a, start);
    if (!error) error = aspace_cut_locked(a, end);
    spin_unlock(&a->lock);
    return error;
}

static __attribute__((noinline)) int unmap_range(struct aspace *a, uint64_t start, uint64_t end) {
    struct memory_wait wait = {0};
    int error;
    while ((error = cut(a, start, end)) == -ENOMEM && memory_wait(&wait)) continue;
    if (!error) error = unmap_whole(a, start, end);
    if (unlikely(is_prune_due(a))) prune_all(a);
    aspace_settle(a);
    return error;
}

// The common case: exactly what was mapped last or touched last.
static inline bool unmap_recent(struct aspace *a, uint64_t start, uint64_t end) {
    spin_lock(&a->lock);
    struct mapping *m = a->recent;
    bool gone = likely(m && m->start == start && m->end == end && a->tables < a->prune_at) && unmap_step_locked(a, m);
    spin_unlock(&a->lock);
    if (gone) {
        mapping_end(m);
        if (unlikely(is_prune_due(a))) prune_all(a);
        aspace_settle(a);
    }
    return gone;
}

int aspace_unmap(struct aspace *a, uint64_t address, uint64_t size) {
    if (!aspace_range_valid(address, size)) return -EINVAL;
    if (likely(unmap_recent(a, address, address + size))) return 0;
    return unmap_range(a, address, address + size);
}

void aspace_clear(struct aspace *a, bool close) {
    if (close) {
        spin_lock(&a->lock);
        a->closed = true;
        spin_unlock(&a->lock);
    }
    int error = unmap_whole(a, USER_MIN, USER_MAX);  // nothing can stick out: no cut, no failure
    verify(!error);
}

int aspace_use(struct aspace *a) {
    spin_lock(&a->lock);
    int error = a->closed ? -EDESTROYED : 0;
    if (!error) a->users++;
    spin_unlock(&a->lock);
    return error;
}

void aspace_unuse(struct aspace *a) {
    spin_lock(&a->lock);
    verify(a->users > 0);
    bool last = --a->users == 0;
    if (last) a->closed = true;  // at once: nobody begins to use it while it is cleared
    spin_unlock(&a->lock);
    if (!last) return;
    tlb_evict(a);
    spin_lock(&a->lock);
    a->dead = true;  // no CPU knows an entry of it, or will use one again
    spin_unlock(&a->lock);
    aspace_clear(a, true);
}

// ---- mapping ---------------------------------------------------------------------------------------------------------

static int check_request(const struct aspace *a, const struct aspace_map *r) {
    unsigned prot = r->flags & PROT_ALL;
    bool fixed = r->flags & (KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE);
    if (r->size == 0 || !is_aligned(r->size, PAGE_SIZE) || r->size > USER_MAX - USER_MIN) return -EINVAL;
    if (fixed && !aspace_range_valid(r->address, r->size)) return -EINVAL;
    if (!(r->flags & KPIO_MAP_RESERVE) != (r->vmo != NULL)) return -EINVAL;
    if (!r->vmo && (prot || r->flags & (KPIO_MAP_POPULATE | KPIO_MAP_PRIVATE))) return -EINVAL;
    if (prot & ~r->max_prot) return -EPERM;
    if (prot & PROT_WRITE && prot & PROT_EXECUTE && !a->jit) return -EPERM;
    if (!r->vmo) return 0;
    if (!range_fits(r->first, r->size >> PAGE_SHIFT, PAGE_TREE_PAGES_MAX)) return -EINVAL;
    bool fixed_kind = r->vmo->kind == VMO_PHYSICAL || r->vmo->kind == VMO_CONTIGUOUS;
    return fixed_kind && !range_fits(r->first, r->size >> PAGE_SHIFT, r->vmo->pages) ? -EINVAL : 0;
}

#define UNUSUAL                                                                                                       \
    (KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE | KPIO_MAP_POPULATE | KPIO_MAP_PRIVATE | KPIO_MAP_RESERVE | KPIO_MAP_EXECUTE)
// Whether check_request has nothing against a request without anything unusual, told in fewer steps.
static inline bool is_ordinary(const struct aspace_map *r) {
    if (unlikely(r->flags & (UNUSUAL | (PROT_ALL & ~r->max_prot)) || r->size & PAGE_MASK)) return false;
    uint64_t pages = r->size >> PAGE_SHIFT;
    if (unlikely(pages - 1 >= (USER_MAX - USER_MIN) >> PAGE_SHIFT || r->first > PAGE_TREE_PAGES_MAX - pages)) return false;
    return likely(r->vmo && r->vmo->kind < VMO_PHYSICAL);
}
_Static_assert(VMO_ANONYMOUS < VMO_PHYSICAL && VMO_PAGED < VMO_PHYSICAL && VMO_OVERLAY < VMO_PHYSICAL, "kinds without a fixed size");

static coldpath struct mapping_place choose_given_place(struct aspace *a, const struct aspace_map *r) {
    struct mapping *m = mapping_tree_from(&a->mappings, r->address);
    bool taken = m && m->start < r->address + r->size;
    return (struct mapping_place){taken ? 0 : r->address, m ? m : mapping_tree_edge(&a->mappings)};
}

// Where the mapping goes: the place asked for, if it is free, or the highest with room. Address 0: nowhere.
static inline struct mapping_place choose_place(struct aspace *a, const struct aspace_map *r) {
    bool large = r->size >= LARGE_PAGE_SIZE && r->vmo && r->vmo->flags & VMO_LARGE;
    uint64_t align = unlikely(large) ? LARGE_PAGE_SIZE : PAGE_SIZE;
    struct mapping_place place;
    if (unlikely(r->flags & (KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE))) return choose_given_place(a, r);
    if (unlikely(r->address) && aspace_range_valid(r->address, r->size)) {  // a hint
        place = choose_given_place(a, r);
        if (place.address) return place;
    }
    place = mapping_tree_find_gap(&a->mappings, r->size, align, USER_MIN, a->ceiling);
    return likely(place.address) ? place : mapping_tree_find_gap(&a->mappings, r->size, align, USER_MIN, USER_MAX);
}

static int64_t no_place(const struct aspace_map *r) {
    if (!(r->flags & (KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE))) return -ENOSPC;
    return r->flags & KPIO_MAP_FIXED_NOREPLACE ? -EEXIST : -EAGAIN;
}

// The address, or an error. -EAGAIN: something must be unmapped first.
static inline int64_t insert(struct aspace *a, const struct aspace_map *r, struct mapping *m) {
    spin_lock(&a->lock);
    if (unlikely(a->closed)) {
        spin_unlock(&a->lock);
        return -EDESTROYED;
    }
    struct mapping_place place = choose_place(a, r);
    if (unlikely(!place.address)) {
        spin_unlock(&a->lock);
        return no_place(r);
    }
    m->start = place.address;
    m->end = place.address + r->size;
    aspace_insert_locked(a, m, place.above);
    a->recent = m;
    spin_unlock(&a->lock);
    aspace_settle(a);
    return (int64_t)place.address;
}

static coldpath int64_t insert_replacing(struct aspace *a, const struct aspace_map *r, struct mapping *m) {
    int64_t address = aspace_replace(a, r->address, r->address + r->size, m);
    if (unlikely(is_prune_due(a))) prune_all(a);
    return address;
}

// Makes the pages be there before anything changes, and after it fills the page tables as far as memory allows.
static int populate_before(const struct aspace_map *r, struct vmo *vmo, uint64_t first) {
    if (!(r->flags & KPIO_MAP_POPULATE) || (vmo->kind != VMO_ANONYMOUS && vmo->kind != VMO_POOL)) return 0;
    return vmo_commit(vmo, first << PAGE_SHIFT, r->size);
}

static coldpath void populate_after(struct aspace *a, const struct aspace_map *r, uint64_t address) {
    unsigned prot = r->flags & PROT_WRITE ? PROT_WRITE : r->flags & PROT_ALL;
    if (prot) (void)aspace_populate(a, address, address + r->size, prot & -prot);
}

// Private or populated: m shows an overlay, or the pages are made first.
static coldpath int show_specially(const struct aspace_map *r, struct mapping *m) {
    struct vmo *vmo = r->vmo;
    uint64_t first = r->first;
    int error = 0;
    vmo_get(vmo);
    if (r->flags & KPIO_MAP_PRIVATE) {
        error = vmo_overlay(r->vmo, first, r->size >> PAGE_SHIFT, m->aspace->job, &vmo);
        vmo_put_slowly(r->vmo);
        if (error) return error;
        vmo->flags |= VMO_UNNAMED;
        first = 0;
    }
    error = populate_before(r, vmo, first);
    if (error) vmo_put_slowly(vmo);
    else mapping_attach(m, vmo, first);
    return error;
}

static inline int show(const struct aspace_map *r, struct mapping *m) {
    if (unlikely(r->flags & (KPIO_MAP_PRIVATE | KPIO_MAP_POPULATE))) return show_specially(r, m);
    vmo_get(r->vmo);
    mapping_attach(m, r->vmo, r->first);
    return 0;
}

static coldpath int64_t map_failed(struct mapping *m, int64_t error) {
    mapping_end(m);
    return error;
}

static coldpath unsigned unusual_flags(unsigned flags) {
    return (flags & KPIO_MAP_LOCAL_SHARE ? MAPPING_SHARE : 0) | (flags & KPIO_MAP_PRIVATE ? MAPPING_PRIVATE : 0) |
           (flags & ASPACE_MAP_NO_CLONE ? MAPPING_NO_CLONE : 0);
}

// The handle in r->handle is good until the first preemption point: the mapping is tied to it first of all. From then on it
// may be revoked at any time, hence the flag before.
int64_t aspace_map(struct aspace *a, const struct aspace_map *r) {
    struct mapping *m;
    int64_t error = is_ordinary(r) ? 0 : check_request(a, r);
    if (unlikely(error)) return error;
    unsigned flags = r->flags, mapping_flags = r->handle ? MAPPING_GRANTED : 0;
    if (unlikely(flags & (KPIO_MAP_LOCAL_SHARE | KPIO_MAP_PRIVATE | ASPACE_MAP_NO_CLONE))) mapping_flags |= unusual_flags(flags);
    error = mapping_alloc(a, flags, r->max_prot, mapping_flags, &m);
    if (unlikely(error)) return error;
    if (likely(r->handle)) {
        error = mapping_tie(m, r->handle);
        if (unlikely(error)) {
            mapping_put(m);
            return error;
        }
    }
    if (likely(r->vmo)) {
        error = show(r, m);
        if (unlikely(error)) return map_failed(m, error);
    }
    int64_t address = insert(a, r, m);
    if (unlikely(address == -EAGAIN)) address = insert_replacing(a, r, m);
    if (unlikely(address < 0)) return map_failed(m, address);
    if (unlikely(flags & KPIO_MAP_POPULATE)) populate_after(a, r, (uint64_t)address);
    return address;
}

// ---- counting --------------------------------------------------------------------------------------------------------

uint64_t aspace_pages(struct aspace *a) {
    uint64_t count = 0, at = USER_MIN;
    for (bool done = false; !done; (void)sched_preempt_point()) {
        unsigned tables = STEP_TABLES;
        spin_lock(&a->lock);
        for (unsigned n = 0; n < STEP_ENTRIES && !a->dead; n++) {
            uint64_t size;
            if (!pte_next_few(a->root, &at, USER_MAX, &size, &tables)) break;
            count += size >> PAGE_SHIFT;
            at = align_down(at, size) + size;
        }
        done = a->dead || at >= USER_MAX;
        spin_unlock(&a->lock);
    }
    return count;
}
