// Page faults. The way of one: find the mapping (usually the one of the last fault), ask its VMO what the page table is
// to show, write the entry. Both locks are held from the question to the entry, so that what the VMO said stays true.
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/core/assert.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/memory_wait.h"
#include "kernel/mm/pte.h"
#include "kernel/mm/tlb.h"
#include "kernel/sched/sched.h"

enum {  // error code of a page fault
    FAULT_PRESENT = 1 << 0,
    FAULT_WRITE = 1 << 1,
    FAULT_RESERVED = 1 << 3,
    FAULT_FETCH = 1 << 4,
};
#define RUN_PAGES 32u          // mapped without a preemption point
#define RFLAGS_AC (1ul << 18)  // set while a usercopy helper touches user memory (SMAP)

struct kernel_faults kernel_faults[CONFIG_MAX_CPUS];

struct mapping *aspace_find_elsewhere(struct aspace *a, uint64_t address) {
    struct mapping *m = mapping_tree_from(&a->mappings, address);
    if (!m || m->start > address) return NULL;
    if (!(m->flags & MAPPING_DYING)) a->recent = m;  // unmap_recent does not ask whether its place is empty
    return m;
}

// A private copy of a page is not executable, as the process could have written anything into it.
static inline bool may_execute(const struct mapping *m, struct vmo_frame frame) {
    if (likely(!(m->prot & PROT_EXECUTE))) return false;
    return !(m->flags & MAPPING_PRIVATE) || frame.from_source || m->aspace->jit;
}

// m->entry has what is the same for all pages of the mapping.
static inline pte_t entry_for(const struct mapping *m, struct vmo_frame frame, bool execute) {
    pte_t entry = frame.address.v | m->entry;
    if (unlikely(!frame.writable)) entry &= ~(pte_t)(PTE_WRITE | PTE_DIRTY);
    if (unlikely(frame.from_source)) entry |= PTE_SOURCE;
    return unlikely(execute) ? entry & ~PTE_NX : entry;
}

// `pte` showed something before: tells who may have it in a translation buffer.
static coldpath void entry_changed(struct aspace *a, pte_t old, pte_t fresh, uint64_t address) {
    if (old == fresh) return;
    if ((old & PTE_ADDRESS) == (fresh & PTE_ADDRESS) && !(old & ~fresh & PTE_WRITE) && !(~old & fresh & PTE_NX)) {
        if (this_cpu()->aspace == a) tlb_forget_local(address);  // more rights: other CPUs fault and find them
        return;
    }
    struct tlb_batch batch;
    tlb_batch_init(&batch, a);
    tlb_batch_add(&batch, address);
    tlb_batch_flush(&batch);
}

static inline void set_entry(struct aspace *a, pte_t *pte, pte_t fresh, uint64_t address) {
    pte_t old = *pte;
    __atomic_store_n(pte, fresh, __ATOMIC_RELAXED);
    if (unlikely(old & PTE_PRESENT)) entry_changed(a, old, fresh, address);
}

// Maps the 2 MiB around address in one entry, where the VMO has such a page and nothing is in the way: 0, -ENOENT, or -EBUSY, to
// be tried again after vmo_prepare_large.
static coldpath int map_large_locked(struct mapping *m, uint64_t address, bool write) {
    uint64_t start = align_down(address, LARGE_PAGE_SIZE);
    if (start < m->start || m->end - start < LARGE_PAGE_SIZE) return -ENOENT;
    uint64_t index = m->first + ((start - m->start) >> PAGE_SHIFT);
    if (!is_aligned(index << PAGE_SHIFT, LARGE_PAGE_SIZE) && m->vmo->kind != VMO_PHYSICAL) return -ENOENT;
    struct vmo_frame frame = vmo_large_frame_locked(m->vmo, index, write);
    if (frame.error) return frame.error;
    struct aspace *a = m->aspace;
    m->writable |= frame.writable;
    pte_t *pte = paging_entry(a, a->root, start, LARGE_PAGE_SIZE, true);
    if (!pte || (*pte & PTE_PRESENT && !(*pte & PTE_LARGE))) return -ENOENT;
    set_entry(a, pte, entry_for(m, frame, may_execute(m, frame)) | PTE_LARGE, start);
    return 0;
}

// What stands where a 4 KiB entry has no room: a 2 MiB leaf, to be taken away, or no memory.
static coldpath int no_entry(struct mapping *m, uint64_t address) {
    uint64_t at = address, size;
    if (!pte_next(m->aspace->root, &at, address + 1, &size) || size != LARGE_PAGE_SIZE) return -ENOMEM;
    struct tlb_batch batch;
    tlb_batch_init(&batch, m->aspace);
    (void)mapping_clear(m, &(uint64_t){address}, address + 1, false, 1, &batch);
    tlb_batch_flush(&batch);
    return 0;
}

static coldpath int entry_make(struct mapping *m, uint64_t address, pte_t entry) {
    for (;;) {
        pte_t *pte = paging_entry(m->aspace, m->aspace->root, address, PAGE_SIZE, true);
        if (pte) {
            set_entry(m->aspace, pte, entry, address);
            return 0;
        }
        int error = no_entry(m, address);
        if (error) return error;
    }
}

static inline int map_page_locked(struct aspace *a, struct mapping *m, uint64_t address, uint64_t index, unsigned prot) {
    bool write = prot & PROT_WRITE;
    m->flags |= MAPPING_TOUCHED;
    if (unlikely(m->vmo->flags & VMO_LARGE)) {
        int error = map_large_locked(m, address, write);
        if (error != -ENOENT) return error;
    }
    struct vmo_frame frame = vmo_frame_locked(m->vmo, index, write);
    if (unlikely(frame.error)) return frame.error;
    bool execute = may_execute(m, frame);
    if (unlikely(prot & PROT_EXECUTE && !execute)) return -EFAULT;
    pte_t *pte = pte_leaf(a->root, address);
    pte_t entry = entry_for(m, frame, execute);
    m->writable |= frame.writable;
    if (unlikely(!pte)) return entry_make(m, address, entry);
    set_entry(a, pte, entry, address);
    return 0;
}

int aspace_show_page_locked(struct mapping *m, uint64_t address, uint64_t index, unsigned prot) {
    return map_page_locked(m->aspace, m, address, index, prot);
}

static coldpath int refuse(struct aspace *a, const struct mapping *m) {
    int error = m && m->flags & MAPPING_REVOKED ? -ECANCELED : m && m->flags & MAPPING_DYING && a->replaced ? -EAGAIN : -EFAULT;
    spin_unlock(&a->lock);
    return error;
}

static coldpath int wait_for_clone(struct aspace *a) {
    spin_unlock(&a->lock);
    return -EAGAIN;
}

// One try; -EAGAIN when a pager must be asked first, what was there before must end, or a clone is being made: unless between_clones;
// -EBUSY when 2 MiB must be zeroed first.
static inline __attribute__((always_inline)) int fault_once(struct aspace *a, uint64_t address, unsigned prot, bool between_clones) {
    spin_lock(&a->lock);
    if (unlikely(a->clones != 0) && !between_clones) return wait_for_clone(a);
    struct mapping *m = aspace_find(a, address);
    // Without a VMO it is a reservation, which allows nothing, or revoked.
    if (unlikely(!m || m->flags & (MAPPING_REVOKED | MAPPING_DYING) || prot & ~m->prot)) return refuse(a, m);
    struct spinlock *lock = m->vmo->lock;
    spin_lock(lock);
    int error = map_page_locked(a, m, address, m->first + ((address - m->start) >> PAGE_SHIFT), prot);
    spin_unlock(lock);
    spin_unlock(&a->lock);
    return error;
}

// What a try said that it waits for, without locks: the pager, if there is one, or zeroing.
static int wait_page(struct aspace *a, uint64_t address, unsigned prot, int reason) {
    struct vmo *vmo;
    uint64_t offset;
    int error = aspace_resolve(a, address, &vmo, &offset);
    if (error) return error;
    error = (reason == -EBUSY ? vmo_prepare_large : vmo_wait_page)(vmo, offset >> PAGE_SHIFT, prot & PROT_WRITE);
    vmo_put(vmo);
    return error;
}

static inline bool is_to_wait(int error) { return error == -EAGAIN || error == -EBUSY; }

static coldpath int fault_slowly(struct aspace *a, uint64_t address, unsigned prot, int reason) {
    do {
        int error = 0;
        if (__atomic_load_n(&a->replaced, __ATOMIC_RELAXED)) aspace_end_replaced(a);
        else error = wait_page(a, address, prot, reason);
        if (error) return error;
        rw_mutex_lock_shared(&a->cloning);
        reason = fault_once(a, address, prot, true);
        rw_mutex_unlock_shared(&a->cloning);
    } while (is_to_wait(reason));
    return reason;
}

int aspace_fault(struct aspace *a, uint64_t address, unsigned prot) {
    address = align_down(address, PAGE_SIZE);
    int error = fault_once(a, address, prot, false);
    return likely(!is_to_wait(error)) ? error : fault_slowly(a, address, prot, error);
}

// Behind the page that shows address, which may be a large one.
static uint64_t behind(const struct aspace *a, uint64_t address) {
    uint64_t size;
    (void)pte_next(a->root, &address, address + 1, &size);
    return align_down(address, size) + size;
}

// As long as pages are there at once, in one mapping, and as many as one hold of the locks allows: the first address that is left.
static uint64_t fault_run(struct aspace *a, uint64_t address, uint64_t end, unsigned prot) {
    spin_lock(&a->lock);
    struct mapping *m = aspace_find(a, address);
    if (m && m->vmo && !a->clones && !(m->flags & (MAPPING_REVOKED | MAPPING_DYING)) && !(prot & ~m->prot)) {
        struct spinlock *lock = m->vmo->lock;
        uint64_t stop = MIN(end, m->end);
        stop = MIN(stop, address + RUN_PAGES * PAGE_SIZE);
        bool large = m->vmo->flags & VMO_LARGE;
        spin_lock(lock);
        while (address < stop && !map_page_locked(a, m, address, m->first + ((address - m->start) >> PAGE_SHIFT), prot))
            address = unlikely(large) ? behind(a, address) : address + PAGE_SIZE;
        spin_unlock(lock);
    }
    spin_unlock(&a->lock);
    return address;
}

int aspace_populate(struct aspace *a, uint64_t start, uint64_t end, unsigned prot) {
    for (uint64_t at = start, next; at < end; at = next) {
        next = fault_run(a, at, end, prot);
        int error = next == at ? aspace_fault(a, at, prot) : 0;
        if (error) return error;
        if (next == at) next += PAGE_SIZE;
        if (sched_preempt_point() && next < end) return -EINTR;
    }
    return 0;
}

// User code finds no memory: it waits for what is on its way back.
static coldpath int fault_for_memory(struct aspace *a, uint64_t address, unsigned prot) {
    struct memory_wait wait = {0};
    int error = -ENOMEM;
    while (error == -ENOMEM && memory_wait(&wait)) error = aspace_fault(a, address, prot);
    sched_note_pause();
    return error;
}

// What one try did not do: the pager, or the reason for the thread.
static coldpath bool unresolved(struct trap_frame *frame, struct aspace *a, uint64_t address, unsigned prot, int error) {
    bool may_wait = frame->cs & 3 || !kernel_faults[cpu_id()].no_wait;
    if (is_to_wait(error) && may_wait) {
        error = fault_slowly(a, align_down(address, PAGE_SIZE), prot, error);
        if (frame->cs & 3) sched_note_pause();
    }
    if (error == -ENOMEM && frame->cs & 3) error = fault_for_memory(a, address, prot);
    if (error == 0) return true;
    if (!(frame->cs & 3)) kernel_faults[cpu_id()].error = error;
    else if (error == -ENOMEM) frame->vector = KPIO_EXC_NO_MEMORY;
    else if (error == -ECANCELED) frame->vector = KPIO_EXC_REVOKED;
    return false;
}

// Faults that are nobody's right: beyond user space, malformed tables, and in the kernel all but a usercopy helper's
// accesses (SMAP is lifted only for those).
static inline bool is_forbidden(const struct trap_frame *frame, uint64_t address, uint64_t error) {
    if (unlikely(address >= USER_MAX || error & FAULT_RESERVED)) return true;
    return !(frame->cs & 3) && (error & FAULT_FETCH || !(frame->rflags & RFLAGS_AC));
}

bool aspace_handle_fault(struct trap_frame *frame, uint64_t address, uint64_t error) {
    struct aspace *a = current_thread()->aspace;
    bool refused = !(frame->cs & 3) && kernel_faults[cpu_id()].refuse;
    if (unlikely(!a || refused || is_forbidden(frame, address, error))) return unresolved(frame, a, address, 0, -EFAULT);
    unsigned prot = error & FAULT_WRITE ? PROT_WRITE : error & FAULT_FETCH ? PROT_EXECUTE : PROT_READ;
    int result = fault_once(a, align_down(address, PAGE_SIZE), prot, false);
    return likely(result == 0) ? true : unresolved(frame, a, address, prot, result);
}
