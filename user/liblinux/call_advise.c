// What is said about memory that is mapped: mremap, madvise, msync, mincore, mlock.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/unserved.h"

#define PAGE 4096ull

// Whole pages from a page boundary: 0, -EINVAL, or -ENOMEM (beyond the address space).
static int64_t whole_pages(uint64_t address, uint64_t size, uint64_t *out) {
    if (address % PAGE != 0) return -EINVAL;
    return checked_align_up(size, PAGE, out) && range_fits(address, *out, 1ull << 47) ? 0 : -ENOMEM;
}

enum { MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2 };
// ABI mremap: neither MREMAP_DONTUNMAP nor an old size of 0
LX_CALL(mremap) {
    uint64_t old_size, new_size;
    if (a0 % PAGE != 0 || a3 & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED)) return -EINVAL;
    if (a3 & MREMAP_FIXED && (!(a3 & MREMAP_MAYMOVE) || a4 % PAGE != 0)) return -EINVAL;
    if (!checked_align_up(a1, PAGE, &old_size) || !checked_align_up(a2, PAGE, &new_size) || old_size == 0 || new_size == 0) return -EINVAL;
    if (new_size > old_size && !lx_limit_memory(t, new_size - old_size, true)) return -ENOMEM;
    uint32_t flags = (a3 & MREMAP_MAYMOVE ? KPIO_MOVE_MAYMOVE : 0) | (a3 & MREMAP_FIXED ? KPIO_MOVE_FIXED : 0);
    int64_t at = kpio_aspace_move(lx_space(t)->aspace, a0, old_size, new_size, flags, a3 & MREMAP_FIXED ? a4 : 0);
    return at == -ENOSPC || at == -ENFILE ? -ENOMEM : at;
}

struct range {
    uint64_t start, size, flags;
};

// The mapping at or after an address that begins before `end`.
static bool next_range(struct lx_thread *t, uint64_t at, uint64_t end, struct range *r) {
    return at < end && kpio_aspace_query(lx_space(t)->aspace, at, (uint64_t *)r, sizeof *r / 8) >= 0 && r->start < end;
}

// Whether all of the range is mapped: 0 or -ENOMEM.
static int64_t check_mapped(struct lx_thread *t, uint64_t address, uint64_t size) {
    struct range r;
    uint64_t at = address;
    while (next_range(t, at, address + size, &r) && r.start <= at) at = r.start + r.size;
    return at >= address + size ? 0 : -ENOMEM;
}

// Whether all that is mapped there has these flags (KPIO_MAP_*), and none of the others.
static bool all_have(struct lx_thread *t, uint64_t address, uint64_t size, uint64_t with, uint64_t without) {
    struct range r;
    for (uint64_t at = address; next_range(t, at, address + size, &r); at = r.start + r.size)
        if ((r.flags & with) != with || r.flags & without) return false;
    return true;
}

static int64_t populate(struct lx_thread *t, uint64_t address, uint64_t size, uint32_t advice) {
    int64_t error = kpio_aspace_advise(lx_space(t)->aspace, address, size, advice);
    if (error != -EFAULT) return error;
    if (check_mapped(t, address, size) != 0) return -ENOMEM;
    const uint64_t need = advice == KPIO_ADVISE_POPULATE_WRITE ? KPIO_MAP_WRITE : KPIO_MAP_READ;
    return all_have(t, address, size, need, 0) ? -EFAULT : -EINVAL;
}

// What is given back is lost at once: of memory that is private and of no file.
static int64_t advise_free(struct lx_thread *t, uint64_t address, uint64_t size) {
    if (!all_have(t, address, size, KPIO_MAP_ANONYMOUS, KPIO_MAP_LOCAL_SHARE)) return -EINVAL;
    return kpio_aspace_advise(lx_space(t)->aspace, address, size, KPIO_ADVISE_DONTNEED);
}

enum {
    MADV_WILLNEED = 3, MADV_DONTNEED = 4, MADV_FREE = 8, MADV_DOFORK = 11, MADV_HUGEPAGE = 14, MADV_NOHUGEPAGE = 15, MADV_DONTDUMP = 16,
    MADV_DODUMP = 17, MADV_KEEPONFORK = 19, MADV_COLD = 20, MADV_PAGEOUT = 21, MADV_POPULATE_READ = 22, MADV_POPULATE_WRITE = 23,
};
// ABI madvise: hints that change nothing are taken; not REMOVE, DONTFORK, WIPEONFORK
LX_CALL(madvise) {
    uint64_t size;
    int64_t error = whole_pages(a0, a1, &size);
    if (error < 0) return -EINVAL;
    switch ((int32_t)a2) {
    case 0: case 1: case 2: case MADV_WILLNEED: case MADV_DOFORK: case 12: case 13: case MADV_HUGEPAGE: case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP: case MADV_DODUMP: case MADV_KEEPONFORK: case MADV_COLD: case MADV_PAGEOUT: return check_mapped(t, a0, size);
    case MADV_DONTNEED: return size == 0 ? 0 : kpio_aspace_advise(lx_space(t)->aspace, a0, size, KPIO_ADVISE_DONTNEED);
    case MADV_FREE: return size == 0 ? 0 : advise_free(t, a0, size);
    case MADV_POPULATE_READ: return size == 0 ? 0 : populate(t, a0, size, KPIO_ADVISE_POPULATE_READ);
    case MADV_POPULATE_WRITE: return size == 0 ? 0 : populate(t, a0, size, KPIO_ADVISE_POPULATE_WRITE);
    default: return lx_unserved_use(t, -EINVAL);
    }
}

enum { MS_ASYNC = 1, MS_INVALIDATE = 2, MS_SYNC = 4 };
LX_CALL(msync) {
    uint64_t size;
    int64_t error = whole_pages(a0, a1, &size);
    if (a2 & ~(uint64_t)(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || (a2 & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC)) return -EINVAL;
    if (error < 0 || size == 0) return error;
    // Without SYNC only the range is looked at: the kernel writes back by itself.
    if (a2 & MS_SYNC) return kpio_aspace_advise(lx_space(t)->aspace, a0, size, KPIO_ADVISE_SYNC);
    return check_mapped(t, a0, size);
}

LX_CALL(mincore) {
    uint64_t size;
    int64_t error = whole_pages(a0, a1, &size);
    return error < 0 || size == 0 ? error : kpio_aspace_residency(lx_space(t)->aspace, a0, (uint8_t *)a2, size / PAGE);
}

// Nothing is ever paged out: to lock memory is to have it there.
static int64_t lock_range(struct lx_thread *t, uint64_t address, uint64_t length, bool now) {
    uint64_t size;
    const uint64_t lead = address % PAGE;
    address -= lead;
    if (length != 0 && !checked_add(length, lead, &length)) return -ENOMEM;
    int64_t error = whole_pages(address, length, &size);
    if (error < 0 || size == 0) return error;
    if (!now) return check_mapped(t, address, size);
    error = kpio_aspace_advise(lx_space(t)->aspace, address, size, KPIO_ADVISE_POPULATE_READ);
    return error == -EFAULT ? -ENOMEM : error;
}

enum { MLOCK_ONFAULT = 1, MCL_ONFAULT = 4 };
LX_CALL(mlock) { return lock_range(t, a0, a1, true); }
LX_CALL(mlock2) { return a2 & ~(uint64_t)MLOCK_ONFAULT ? -EINVAL : lock_range(t, a0, a1, !(a2 & MLOCK_ONFAULT)); }
LX_CALL(munlock) { return lock_range(t, a0, a1, false); }
// ABI mlockall: what is there stays there; what is mapped later is touched when it is used
LX_CALL(mlockall) { return a0 == 0 || a0 == MCL_ONFAULT || a0 & ~7ull ? -EINVAL : 0; }
LX_CALL(munlockall) { return 0; }
