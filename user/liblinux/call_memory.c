// mmap and its like. Anonymous memory is mapped at once in the size asked for: what is not touched costs nothing.
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/fd.h"
#include "user/liblinux/limits.h"
#include "user/liblinux/lock.h"
#include "user/liblinux/memory.h"
#include "user/liblinux/node.h"

#define PAGE 4096ull
#define TASK_SIZE ((1ull << 47) - PAGE)
enum {
    MAP_TYPE = 0x0f, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_SHARED_VALIDATE = 3, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
    MAP_GROWSDOWN = 0x100, MAP_POPULATE = 0x8000, MAP_HUGETLB = 0x40000, MAP_FIXED_NOREPLACE = 0x100000,
    MAP_VALIDATED = 0x7f9f3,  // what MAP_SHARED_VALIDATE knows: the flags that were there before it
};

static uint32_t map_access(uint64_t prot) {
    return (prot & LX_PROT_READ ? KPIO_MAP_READ : 0) | (prot & LX_PROT_WRITE ? KPIO_MAP_READ | KPIO_MAP_WRITE : 0) |
           (prot & LX_PROT_EXEC ? KPIO_MAP_READ | KPIO_MAP_EXECUTE : 0);
}

enum { PROT_SEM = 8 };  // of memory for atomic operations: all is

struct request {
    uint64_t address, size, offset;
    uint32_t flags;                 // KPIO_MAP_*
    struct lx_fd fd;                // kind NONE: anonymous
    struct lx_node_memory memory;   // of kind NODE
};

static int64_t map_at(struct lx_space *space, const struct request *r, uint32_t how, uint64_t address) {
    if (r->fd.kind == LX_KIND_NONE) return lx_map_anonymous(space, r->size, r->flags | how, address);
    if (r->fd.kind == LX_KIND_NODE) return lx_node_map(space, &r->memory, r->size, r->flags | how, address);
    return lx_map_file(space, &r->fd, r->offset, r->size, r->flags | how, address);
}

// A hint is taken where it is free.
static int64_t map(struct lx_space *space, const struct request *r, uint64_t linux_flags) {
    if (linux_flags & MAP_FIXED_NOREPLACE) return map_at(space, r, KPIO_MAP_FIXED_NOREPLACE, r->address);
    if (linux_flags & MAP_FIXED) return map_at(space, r, KPIO_MAP_FIXED, r->address);
    uint64_t hint = align_down(r->address, PAGE);
    int64_t at = hint != 0 ? map_at(space, r, KPIO_MAP_FIXED_NOREPLACE, hint) : -EEXIST;
    return at == -EEXIST || at == -EINVAL ? map_at(space, r, 0, 0) : at;
}

// What the descriptor allows: 0, or -EACCES, -ENODEV.
static int64_t check_file(struct request *r, bool shared, bool write) {
    if (r->fd.kind == LX_KIND_DEVICE && r->fd.device == LX_DEVICE_ZERO) r->fd.kind = LX_KIND_NONE;
    else if (r->fd.kind != LX_KIND_FILE && r->fd.kind != LX_KIND_NODE) return r->fd.kind == LX_KIND_PATH ? -EBADF : -ENODEV;
    else if (!(r->fd.flags & LX_FD_READ) || (shared && write && !(r->fd.flags & LX_FD_WRITE))) return -EACCES;
    return 0;
}

// ABI mmap: the first page of an empty file of a tmpfs may be touched
LX_CALL(mmap) {
    struct lx_space *space = lx_space(t);
    struct request r = {.address = a0, .offset = a5, .flags = map_access(a2), .fd = {.kind = LX_KIND_NONE}};
    uint64_t type = a3 & MAP_TYPE;
    bool shared = type == MAP_SHARED || type == MAP_SHARED_VALIDATE;
    if (!(a3 & MAP_ANONYMOUS)) {
        int64_t error = lx_fd_get(lx_process(t), a4, &r.fd);
        if (error != 0) return error;
    }
    if (a1 == 0 || a5 % PAGE != 0 || (!shared && type != MAP_PRIVATE) || a3 & MAP_HUGETLB) return -EINVAL;
    if (type == MAP_SHARED_VALIDATE && a3 & MAP_ANONYMOUS) return -EINVAL;
    if (type == MAP_SHARED_VALIDATE && a3 & ~(uint64_t)MAP_VALIDATED) return -EOPNOTSUPP;
    if (a3 & MAP_GROWSDOWN && (shared || !(a3 & MAP_ANONYMOUS))) return -EINVAL;
    if (a3 & (MAP_FIXED | MAP_FIXED_NOREPLACE) && a0 % PAGE != 0) return -EINVAL;
    if (!checked_align_up(a1, PAGE, &r.size) || r.size > TASK_SIZE) return -ENOMEM;
    if (a3 & (MAP_FIXED | MAP_FIXED_NOREPLACE) && a0 > TASK_SIZE - r.size) return -ENOMEM;
    if (!(a3 & MAP_ANONYMOUS)) {
        if (r.offset > (uint64_t)INT64_MAX - r.size) return -EOVERFLOW;
        int64_t error = check_file(&r, shared, a2 & LX_PROT_WRITE);
        if (error != 0) return error;
    }
    if (a3 & MAP_POPULATE && a2 != 0) r.flags |= KPIO_MAP_POPULATE;
    if (shared) r.flags |= KPIO_MAP_LOCAL_SHARE;
    if (!shared && r.fd.kind != LX_KIND_NONE) r.flags |= KPIO_MAP_PRIVATE;
    if (!lx_limit_memory(t, r.size, !shared && a2 & LX_PROT_WRITE)) return -ENOMEM;
    if (r.fd.kind == LX_KIND_NODE) {
        int64_t error = lx_node_memory(t, &r.fd, r.offset, r.size, a2 & LX_PROT_WRITE, shared, &r.memory);
        if (error != 0) return error;
    }
    int64_t at = map(space, &r, a3);
    if (r.fd.kind == LX_KIND_NODE) (void)kpio_handle_close((uint64_t)r.memory.vmo);
    if (at == -EPERM && r.fd.kind == LX_KIND_NODE) return -EACCES;
    if (at == -EPERM && a2 & LX_PROT_EXEC) return -EACCES;
    return at == -ENOSPC || at == -ENFILE ? -ENOMEM : at;
}

LX_CALL(munmap) {
    uint64_t size;
    if (a0 % PAGE != 0 || a1 == 0 || !checked_align_up(a1, PAGE, &size)) return -EINVAL;
    int64_t result = kpio_aspace_unmap(lx_space(t)->aspace, a0, size);
    return result == -ENFILE ? -ENOMEM : result;
}

LX_CALL(mprotect) {
    uint64_t size;
    const uint64_t known = LX_PROT_READ | LX_PROT_WRITE | LX_PROT_EXEC | PROT_SEM;
    if (a0 % PAGE != 0 || a2 & ~known) return -EINVAL;
    if (!checked_align_up(a1, PAGE, &size)) return -ENOMEM;
    if (size == 0) return 0;
    int64_t result = kpio_aspace_protect(lx_space(t)->aspace, a0, size, map_access(a2));
    return result == -EINVAL || result == -ENFILE ? -ENOMEM : result == -EPERM ? -EACCES : result;
}

// ---- brk ---------------------------------------------------------------------------------------------------------------

// One mapping for all the heap may ever be: moving the break is arithmetic. What lies above the break is not taken away, but
// what was below it and is given back is zero when it comes again.
#define BRK_BYTES (64ull << 30)

static int64_t brk_make(struct lx_space *space) {
    int64_t at = lx_map_anonymous(space, BRK_BYTES, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    space->brk_start = space->brk = (uint64_t)at;
    space->brk_end = space->brk_start + BRK_BYTES;
    return 0;
}

static void brk_lower(struct lx_space *space, uint64_t to) {
    uint64_t start = align_up(to, PAGE), end = align_up(space->brk, PAGE);
    if (start < end && lx_map_anonymous(space, end - start, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, start) < 0) return;
    space->brk = to;
}

LX_CALL(brk) {
    struct lx_space *space = lx_space(t);
    lx_lock(&space->lock);
    if (space->brk_end == 0) (void)brk_make(space);
    if (a0 >= space->brk_start && a0 <= space->brk_end && space->brk_end != 0) {
        if (a0 < space->brk) brk_lower(space, a0);
        else if (lx_limit_memory(t, a0 - space->brk, true)) space->brk = a0;
    }
    uint64_t now = space->brk;
    lx_unlock(&space->lock);
    return (int64_t)now;
}
