// Copies between two address spaces, so that data which one process has for another go through nobody's hands in between. Each
// page of the other space is looked up in its mappings and copied under their locks: what is unmapped, protected or revoked is
// not touched from that moment on.
#include "kernel/arch/x86_64/arch.h"
#include "kernel/arch/x86_64/paging.h"
#include "kernel/mm/aspace_internal.h"
#include "kernel/mm/usercopy.h"

#define RUN_PAGES 16u  // with the locks held

struct run {
    struct user_ptr user;
    size_t bytes;      // left to be copied
    bool to_space;
    bool absent;
};

static void copy_run_locked(struct mapping *m, uint64_t address, uint64_t end, struct run *r) {
    for (size_t n; address < end; address += n) {
        struct vmo_frame frame = vmo_frame_locked(m->vmo, m->first + ((address - m->start) >> PAGE_SHIFT), r->to_space);
        r->absent = frame.error != 0;
        if (r->absent) return;
        n = MIN(PAGE_SIZE - (address & PAGE_MASK), end - address);
        uint8_t *page = (uint8_t *)phys_to_virt(frame.address) + (address & PAGE_MASK);
        size_t left = r->to_space ? copy_from_user_resident(page, r->user, n) : copy_to_user_resident(r->user, page, n);
        r->user = user_add(r->user, n - left);
        r->bytes -= n - left;
        if (left != 0) return;
    }
}

// Bytes copied, in one mapping.
static size_t copy_run(struct aspace *a, uint64_t address, struct run *r) {
    const unsigned prot = r->to_space ? PROT_WRITE : PROT_READ;
    size_t before = r->bytes;
    spin_lock(&a->lock);
    struct mapping *m = aspace_find(a, address);
    r->absent = !m || !m->vmo || m->flags & (MAPPING_REVOKED | MAPPING_DYING) || prot & ~m->prot || m->vmo->kind == VMO_PHYSICAL;
    if (!r->absent) {
        struct spinlock *lock = m->vmo->lock;
        uint64_t end = MIN(m->end, align_down(address, PAGE_SIZE) + RUN_PAGES * PAGE_SIZE);
        spin_lock(lock);
        copy_run_locked(m, address, MIN(end, address + r->bytes), r);
        spin_unlock(lock);
    }
    spin_unlock(&a->lock);
    return before - r->bytes;
}

size_t aspace_copy(struct aspace *a, uint64_t address, struct user_ptr user, size_t bytes, bool to_space, bool *absent) {
    struct run r = {.user = user, .bytes = bytes, .to_space = to_space};
    while (r.bytes > 0) {
        size_t n = copy_run(a, address, &r);
        if (n == 0) break;
        address += n;
        if (r.bytes > 0) arch_irq_window();
    }
    if (r.absent) *absent = true;
    return r.bytes;
}
