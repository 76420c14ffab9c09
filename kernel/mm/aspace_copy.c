// Copies between two address spaces, so that data which one process has for another go through nobody's hands in between. Each
// page of the other space is looked up in its mappings and copied under their locks: what is unmapped, protected or revoked is
// not touched from that moment on.
#include "kernel/arch/x86_64/arch.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/pte.h"
#include "kernel/mm/usercopy.h"

#define RUN_SIZE (16 * PAGE_SIZE)  // with the locks held

struct run {
    struct user_parts *user;
    uint64_t offset;   // in them
    size_t bytes;      // left to be copied
    bool to_space;
    bool absent;
};

// In memory with 2 MiB pages.
static coldpath uint8_t *large_page_at(struct mapping *m, uint64_t index, bool write) {
    struct vmo_frame frame = vmo_frame_locked(m->vmo, index, write);
    return frame.error == 0 ? phys_to_virt(frame.address) : NULL;
}

// The page at address: mostly the page table shows it, and while the VMO's lock is held that stays so. Else it is made to, as the
// process will want to see what it asked for. NULL: it cannot be had at once.
static inline uint8_t *page_at(struct mapping *m, uint64_t address, pte_t **pte, bool write) {
    const pte_t wanted = PTE_PRESENT | (write ? PTE_WRITE : 0);
    if (unlikely(*pte == NULL || (**pte & wanted) != wanted)) {
        uint64_t index = m->first + ((address - m->start) >> PAGE_SHIFT);
        if (aspace_show_page_locked(m, align_down(address, PAGE_SIZE), index, write ? PROT_WRITE : PROT_READ) != 0) return NULL;
        *pte = pte_leaf(m->aspace->root, address);
        if (*pte == NULL) return large_page_at(m, index, write);
    }
    return phys_to_virt(paddr(**pte & PTE_ADDRESS));
}

// Whether all n bytes in the page were copied.
static inline bool copy_page(struct run *r, uint8_t *page, size_t n) {
    struct user_ptr at;
    for (size_t part, left; n > 0; n -= part, page += part) {
        part = user_parts_find(r->user, r->offset, n, &at);
        if (part == 0) return false;
        left = r->to_space ? copy_from_user_resident(page, at, part) : copy_to_user_resident(at, page, part);
        r->offset += part - left;
        r->bytes -= part - left;
        if (left != 0) return false;
    }
    return true;
}

// In one page table.
static void copy_run_locked(struct mapping *m, uint64_t address, uint64_t end, struct run *r) {
    pte_t *pte = pte_leaf(m->aspace->root, address);
    for (size_t n; address < end; address += n) {
        uint8_t *page = page_at(m, address, &pte, r->to_space);
        r->absent = page == NULL;
        if (r->absent) return;
        n = MIN(PAGE_SIZE - (address & PAGE_MASK), end - address);
        if (!copy_page(r, page + (address & PAGE_MASK), n)) return;
        if (pte != NULL) pte++;
    }
}

// Bytes copied, in one mapping.
static size_t copy_run(struct aspace *a, uint64_t address, struct run *r) {
    const unsigned prot = r->to_space ? PROT_WRITE : PROT_READ;
    size_t before = r->bytes;
    spin_lock(&a->lock);
    struct mapping *m = aspace_find(a, address);
    r->absent = a->clones != 0 || !m || !m->vmo || m->flags & (MAPPING_REVOKED | MAPPING_DYING) || prot & ~m->prot ||
                m->vmo->kind == VMO_PHYSICAL;
    if (!r->absent) {
        struct spinlock *lock = m->vmo->lock;
        uint64_t end = MIN(m->end, align_down(address, RUN_SIZE) + RUN_SIZE);
        spin_lock(lock);
        copy_run_locked(m, address, MIN(end, address + r->bytes), r);
        spin_unlock(lock);
    }
    spin_unlock(&a->lock);
    return before - r->bytes;
}

size_t aspace_copy(struct aspace *a, uint64_t address, struct user_parts *user, uint64_t offset, size_t bytes, bool to_space,
                   bool *absent) {
    struct run r = {.user = user, .offset = offset, .bytes = bytes, .to_space = to_space};
    while (r.bytes > 0) {
        size_t n = copy_run(a, address, &r);
        if (n == 0) break;
        address += n;
        if (r.bytes > 0) arch_irq_window();
    }
    if (r.absent) *absent = true;
    return r.bytes;
}
