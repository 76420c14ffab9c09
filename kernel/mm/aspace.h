// Address spaces: mappings and the page tables that follow them on demand. The object that handles name is
// kernel/object/aspace_object.h.
//
// Locks, in order: aspace->lock, then vmo->lock, then the derivation lock of what is mapped. Operations on many pages
// work in steps and pass preemption points between them; no lock may be held by their callers.
// Page tables: leaf entries are written under the lock of the VMO mapped there, tables are added and removed under
// aspace->lock; a removed table is freed after a grace period, as VMOs walk tables without aspace->lock.
#pragma once
#include "kernel/mm/mapping.h"
#include "kernel/sched/mutex.h"
#include "lib/list.h"

struct job;
struct handle;

struct aspace {
    struct spinlock lock;
    uint32_t clones;                 // being made of it, or about to be (aspace_clone.c)
    struct mapping_tree mappings;
    struct mapping *recent;          // where the last fault was, or NULL
    paddr_t root;
    uint64_t ceiling;                // the kernel places mappings below it: random
    struct job *job;                 // pays for mappings and page tables
    struct list table_pages;         // all page tables, by page->link
    struct page *dead_tables;        // taken out, not yet freed; by page->owner
    struct mapping *replaced;        // out of the tree, their page tables not yet empty (aspace_replace.c); by `next`
    uint64_t replaced_start, replaced_end;  // all of them lie in between
    uint64_t tables, prune_at;       // page tables now; how many make it look for empty ones
    uint32_t refs;                   // atomic; from the highest bit on the reaper has it
    uint32_t users;                  // processes that run in it
    uint16_t asid;
    bool jit;                        // may have writable and executable memory at once
    bool closed;                     // takes no more mappings
    bool dead;                       // nobody will run in it any more: entries that are left in its page tables mean nothing
    struct rw_mutex cloning;         // a clone is the writer
    struct reap_item reap;
    uint64_t cpus cacheline_aligned; // CPUs that may hold translations; atomic
};

void aspace_init(void);  // caches; once, after vmo_init
// 0, -ENOMEM, -ENFILE.
[[nodiscard]] int aspace_create(struct job *job, bool jit, struct aspace **out);
static inline void aspace_get(struct aspace *a) { __atomic_fetch_add(&a->refs, 1, __ATOMIC_RELAXED); }
// With the last reference it is freed, by the reaper unless it is empty already. Does not block.
void aspace_put(struct aspace *a);
// One more process runs in it, besides its references: -EDESTROYED when it was closed. And one less: the last one closes and
// clears it, whatever references are left. Preemptible.
[[nodiscard]] int aspace_use(struct aspace *a);
void aspace_unuse(struct aspace *a);
// Unmaps everything; with `close` nothing can be mapped any more. The page tables go with the last reference. Cannot fail.
// Preemptible.
void aspace_clear(struct aspace *a, bool close);

#define ASPACE_MAP_NO_CLONE (1u << 16)  // kernel use: see MAPPING_NO_CLONE
struct aspace_map {
    struct vmo *vmo;      // NULL: a reservation. The mapping takes its own reference
    uint64_t first;       // page of the VMO
    uint64_t size;        // bytes, whole pages
    uint64_t address;     // where, or 0
    unsigned flags;       // KPIO_MAP_*, ASPACE_MAP_NO_CLONE
    unsigned max_prot;    // what aspace_protect may ever grant
    struct handle *handle; // what the memory is named by: the mapping is tied to it before it shows up. May be NULL
};
// The address, or -EINVAL, -EEXIST, -ENOSPC, -ENOMEM, -ENFILE, -EPERM (writable and executable without the JIT
// right), -EDESTROYED; then nothing has changed, but that pages committed for POPULATE may stay with the VMO.
[[nodiscard]] int64_t aspace_map(struct aspace *a, const struct aspace_map *request);
// New memory that only the mapping names (request->vmo is NULL, ->handle too; max_prot follows from the JIT right). -EINVAL
// also for KPIO_MAP_PRIVATE and RESERVE.
[[nodiscard]] int64_t aspace_map_anonymous(struct aspace *a, const struct aspace_map *request);
// -EINVAL, or -ENOMEM (after a memory_wait), -ENFILE when a mapping must be split and cannot. Of what belongs to the mapping alone
// the pages go. No lock held, no mutex either; preemptible.
[[nodiscard]] int aspace_unmap(struct aspace *a, uint64_t address, uint64_t size);
// prot: PROT_*. -EINVAL (also where something in the range is not mapped), -EPERM, -ENOMEM, -ENFILE.
[[nodiscard]] int aspace_protect(struct aspace *a, uint64_t address, uint64_t size, unsigned prot);
// Fork: `to`, which must be empty (-EBUSY), gets a snapshot of every mapping, all of one moment: of what a thread stores meanwhile it
// has all up to one store, and none after it. Mappings of one VMO show one copy, as long as fewer than ASPACE_CLONE_CACHE other
// VMOs come between them.
#define ASPACE_CLONE_CACHE 8
[[nodiscard]] int aspace_clone(struct aspace *from, struct aspace *to);

// Resizes what is mapped in [address, address + size), which must be one mapping, and moves it where that is needed or asked
// for (flags: KPIO_MOVE_*; target: with FIXED, what is there goes). The pages are not copied. New pages of private memory are
// zero, of others what the VMO has there. The new address, or -EINVAL, -EFAULT (not mapped, revoked, or not one mapping), -ENOSPC
// (no room, or it would have to move and must not), -ENOMEM, -ENFILE, -EINTR, -EDESTROYED; then it is where it was.
[[nodiscard]] int64_t aspace_move(struct aspace *a, uint64_t address, uint64_t size, uint64_t new_size, unsigned flags,
                                  uint64_t target);
// advice: KPIO_ADVISE_*. -EINVAL; -ENOMEM, also where something is not mapped (DONTNEED and SYNC: the rest is done); what
// aspace_fault says (POPULATE_*) or the file system (SYNC). What lies before the place that failed is done. May block.
[[nodiscard]] int aspace_advise(struct aspace *a, uint64_t address, uint64_t size, unsigned advice);
// One byte for each of `count` pages: 1 when a fault there needs neither a new page nor a pager. -EINVAL, -ENOMEM (something
// is not mapped), -EFAULT, -EINTR.
[[nodiscard]] int aspace_residency(struct aspace *a, uint64_t address, struct user_ptr bytes, uint64_t count);

struct aspace_range {
    uint64_t start, size, flags, vmo_id, offset, committed;
};
// The mapping at or after address: -ENOENT when there is none. `counted`: with its committed pages, which is work for each.
[[nodiscard]] int aspace_query(struct aspace *a, uint64_t address, bool counted, struct aspace_range *out);
// Pages that its page tables show now; a preemptible walk. And the page tables of all address spaces.
uint64_t aspace_pages(struct aspace *a);
uint64_t aspace_table_count(void);
// Whether [address, address + size) is one mapping, with all the access it was made with, of vmo from its first page on.
bool aspace_shows(struct aspace *a, uint64_t address, uint64_t size, const struct vmo *vmo);
// What a futex in shared memory is known by: the VMO (with a reference for the caller) and the offset. -EFAULT.
[[nodiscard]] int aspace_resolve(struct aspace *a, uint64_t address, struct vmo **vmo, uint64_t *offset);

// Makes the page of address accessible as prot asks (PROT_READ, WRITE or EXECUTE): 0, -EFAULT, -ENOMEM, -EIO, -EINTR, or
// -ECANCELED for a revoked mapping. May block when the page comes from a pager.
[[nodiscard]] int aspace_fault(struct aspace *a, uint64_t address, unsigned prot);
// Between memory of an address space, which need not be the caller's, and the caller's memory from an offset in `user` on, as both are
// mapped now and without waiting for either: bytes that were NOT copied. to_space: into it. *absent becomes true when it was memory of
// `a` that could not be had at once. No lock held; interrupts may be let in.
struct user_parts;
[[nodiscard]] size_t aspace_copy(struct aspace *a, uint64_t address, struct user_parts *user, uint64_t offset, size_t bytes, bool to_space,
                                 bool *absent);
// Of faults of the kernel on this CPU.
struct kernel_faults {
    int error;      // why the last one could not be resolved; for usercopy, right after it
    bool no_wait;   // those that would have to wait for a pager are -EAGAIN at once
    bool refuse;    // all fail at once. No interrupt is let in meanwhile
} cacheline_aligned;
extern struct kernel_faults kernel_faults[CONFIG_MAX_CPUS];

// ---- mappings and handles: provided by object/aspace_object.c -----------------------------------------------------------
// m belongs to the handle from now on: 0 or -EBADF when that is being revoked.
[[nodiscard]] int mapping_tie(struct mapping *m, struct handle *handle);
// m, split from or cloned from `of`, belongs to the same handle: 0 or -EBADF when that is being revoked. Called only when
// `of` is MAPPING_GRANTED; aspace->lock may be held.
[[nodiscard]] int mapping_tie_sibling(struct mapping *m, struct mapping *of);
// m goes. No lock held.
void mapping_untie(struct mapping *m);

// For object/aspace_object.c: a revocation is under way. pin keeps m's memory; revoked empties the mapping, leaves the
// marker and drops the pin. No lock held for the latter; preemptible.
void mapping_pin(struct mapping *m);
void mapping_revoked(struct mapping *m);
