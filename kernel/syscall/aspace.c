#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/hal/hal.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/aspace_object.h"
#include "kernel/object/process.h"
#include "kernel/object/vmo_object.h"

#define MAP_FLAGS                                                                                                    \
    (KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_EXECUTE | KPIO_MAP_FIXED | KPIO_MAP_FIXED_NOREPLACE |                 \
     KPIO_MAP_POPULATE | KPIO_MAP_PRIVATE | KPIO_MAP_RESERVE | KPIO_MAP_LOCAL_SHARE | KPIO_MAP_ANONYMOUS)

#define ORDINARY_FLAGS (MAP_FLAGS & ~(KPIO_MAP_PRIVATE | KPIO_MAP_ANONYMOUS))

// A reference is taken where the object may go away meanwhile: one's own address space cannot.
static inline int aspace_lookup(uint64_t value, uint32_t rights, struct aspace **out) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)value, KPIO_KIND_ASPACE, rights, &h);
    if (error) return error;
    struct aspace *a = aspace_of(h->object);
    *out = a;
    if (likely(a == current_thread()->aspace)) return 0;
    if (!object_tryget(h->object)) return -EBADF;
    aspace_get(a);
    object_put(h->object);
    return 0;
}

static inline void aspace_release(struct aspace *a) {
    if (unlikely(a != current_thread()->aspace)) aspace_put(a);
}

// What a mapping through a handle with these rights may ever allow. A private copy may be written without WRITE.
static inline unsigned allowed_prot(uint32_t rights, uint64_t flags) {
    unsigned prot = rights & PROT_ALL;
    if (flags & KPIO_MAP_PRIVATE && rights & KPIO_RIGHT_READ) prot |= KPIO_MAP_WRITE;
    return prot;
}

static inline uint32_t needed_rights(uint64_t flags) {
    uint32_t rights = KPIO_RIGHT_MAP | (flags & PROT_ALL);
    if (unlikely(flags & KPIO_MAP_PRIVATE)) rights = (rights & ~KPIO_RIGHT_WRITE) | KPIO_RIGHT_READ;
    return rights;
}
_Static_assert(KPIO_RIGHT_READ == KPIO_MAP_READ && KPIO_RIGHT_WRITE == KPIO_MAP_WRITE &&
                   KPIO_RIGHT_EXECUTE == KPIO_MAP_EXECUTE, "one word says what a mapping asks and what a handle allows");

static int memory_lookup(uint64_t value, uint64_t offset, uint64_t size, uint64_t flags, struct handle **h, struct vmo **vmo) {
    struct handle *named = handle_table_lookup(&current_process()->handles, (kpio_handle)value);
    bool device = named && (named->object->kind == KPIO_KIND_MMIO || named->object->kind == KPIO_KIND_DMA);
    enum kpio_kind kind = unlikely(device) ? (enum kpio_kind)named->object->kind : KPIO_KIND_VMO;
    int error = handle_get_full((kpio_handle)value, kind, needed_rights(flags), h);
    if (unlikely(error)) return error;
    if (unlikely(device)) return hal_vmo((*h)->object, offset, size, vmo);
    *vmo = vmo_of((*h)->object);
    return 0;
}

static coldpath int64_t map_slowly(uint64_t space, uint64_t memory, uint64_t offset, uint64_t size, uint64_t flags,
                                   uint64_t address) {
    struct aspace *a;
    int error = aspace_lookup(space, KPIO_RIGHT_MAP, &a);
    if (error) return error;
    struct aspace_map request = {
        .first = offset >> PAGE_SHIFT,
        .size = size,
        .address = address,
        .flags = (unsigned)flags,
    };
    if (flags & KPIO_MAP_ANONYMOUS) {
        bool valid = !(flags & ~(uint64_t)MAP_FLAGS) && !offset && (kpio_handle)memory == KPIO_HANDLE_NONE;
        int64_t at = valid ? aspace_map_anonymous(a, &request) : -EINVAL;
        aspace_release(a);
        return at;
    }
    struct handle *h = NULL;
    if ((kpio_handle)memory != KPIO_HANDLE_NONE) error = memory_lookup(memory, offset, size, flags, &h, &request.vmo);
    if (!error && (flags & ~(uint64_t)MAP_FLAGS || !is_aligned(offset, PAGE_SIZE))) error = -EINVAL;
    if (!error && h) {
        request.max_prot = allowed_prot(h->rights, flags);
        request.handle = h;
    }
    int64_t at = error ? error : aspace_map(a, &request);
    aspace_release(a);
    return at;
}

// Where there is no memory they are made again, as calls that wait for memory are.
static coldpath int64_t map_again(uint64_t space, uint64_t memory, const struct aspace_map *r) {
    return syscall_again(map_slowly, (const uint64_t[6]){space, memory, r->first << PAGE_SHIFT, r->size, r->flags, r->address});
}

static coldpath int64_t map_otherwise(uint64_t space, uint64_t memory, uint64_t offset, uint64_t size, uint64_t flags,
                                      uint64_t address) {
    int64_t result = map_slowly(space, memory, offset, size, flags, address);
    if (likely(result != -ENOMEM)) return result;
    return syscall_again(map_slowly, (const uint64_t[6]){space, memory, offset, size, flags, address});
}

// The ordinary case without a reference: memory shown in one's own address space.
int64_t sys_aspace_map(uint64_t space, uint64_t memory, uint64_t offset, uint64_t size, uint64_t flags, uint64_t address) {
    struct handle *where = handle_get_ordinary((kpio_handle)space, KPIO_KIND_ASPACE, KPIO_RIGHT_MAP);
    struct handle *what = handle_get_ordinary((kpio_handle)memory, KPIO_KIND_VMO, KPIO_RIGHT_MAP | (flags & PROT_ALL));
    if (unlikely(!where || !what || flags & ~(uint64_t)ORDINARY_FLAGS || offset & PAGE_MASK))
        return map_otherwise(space, memory, offset, size, flags, address);
    struct aspace *a = aspace_of(where->object);
    if (unlikely(a != current_thread()->aspace)) return map_otherwise(space, memory, offset, size, flags, address);
    struct aspace_map request = {
        .vmo = vmo_of(what->object),
        .first = offset >> PAGE_SHIFT,
        .size = size,
        .address = address,
        .flags = (unsigned)flags,
        .max_prot = what->rights & PROT_ALL,
        .handle = what,
    };
    int64_t result = aspace_map(a, &request);
    return likely(result != -ENOMEM) ? result : map_again(space, memory, &request);
}

static coldpath int64_t unmap_slowly(uint64_t space, uint64_t address, uint64_t size) {
    struct aspace *a;
    int error = aspace_lookup(space, KPIO_RIGHT_MAP, &a);
    if (error) return error;
    error = aspace_unmap(a, address, size);
    aspace_release(a);
    return error;
}

int64_t sys_aspace_unmap(uint64_t space, uint64_t address, uint64_t size, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct handle *where = handle_get_ordinary((kpio_handle)space, KPIO_KIND_ASPACE, KPIO_RIGHT_MAP);
    if (unlikely(!where || aspace_of(where->object) != current_thread()->aspace)) return unmap_slowly(space, address, size);
    return aspace_unmap(current_thread()->aspace, address, size);
}

int64_t sys_aspace_protect(uint64_t space, uint64_t address, uint64_t size, uint64_t flags, uint64_t a4, uint64_t a5) {
    struct aspace *a;
    int error = aspace_lookup(space, KPIO_RIGHT_MAP, &a);
    if (error) return error;
    error = flags & ~(uint64_t)PROT_ALL ? -EINVAL : aspace_protect(a, address, size, (unsigned)flags);
    aspace_release(a);
    return error;
}

int64_t sys_aspace_query(uint64_t space, uint64_t address, uint64_t info, uint64_t count, uint64_t a4, uint64_t a5) {
    struct aspace *a;
    struct aspace_range range;
    int error = aspace_lookup(space, KPIO_RIGHT_INSPECT, &a);
    if (error) return error;
    error = aspace_query(a, address, count >= sizeof(range) / 8, &range);
    aspace_release(a);
    if (error) return error;
    size_t words = count < sizeof(range) / 8 ? count : sizeof(range) / 8;
    error = copy_to_user(user_ptr(info), &range, words * 8);
    return error ? error : (int64_t)(sizeof(range) / 8);
}

int64_t sys_aspace_clone(uint64_t space, uint64_t target, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct aspace *from, *to;
    int error = aspace_lookup(space, KPIO_RIGHT_MAP | KPIO_RIGHT_READ, &from);
    if (error) return error;
    error = aspace_lookup(target, KPIO_RIGHT_MAP, &to);
    if (!error) {
        error = aspace_clone(from, to);
        aspace_release(to);
    }
    aspace_release(from);
    return error;
}

int64_t sys_aspace_create(uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct process *p = current_process();
    struct aspace *a;
    int error = aspace_create(p->job, p->jit, &a);
    if (error) return error;
    struct object *o;
    error = aspace_object_create(p->job, a, &o);
    aspace_put(a);
    return error ? error : handle_install(o);
}

int64_t sys_aspace_advise(uint64_t space, uint64_t address, uint64_t size, uint64_t advice, uint64_t a4, uint64_t a5) {
    struct aspace *a;
    int error = aspace_lookup(space, KPIO_RIGHT_MAP, &a);
    if (error) return error;
    error = aspace_advise(a, address, size, (uint32_t)advice);
    aspace_release(a);
    return error;
}

int64_t sys_aspace_residency(uint64_t space, uint64_t address, uint64_t bytes, uint64_t count, uint64_t a4, uint64_t a5) {
    struct aspace *a;
    int error = aspace_lookup(space, KPIO_RIGHT_INSPECT, &a);
    if (error) return error;
    error = aspace_residency(a, address, user_ptr(bytes), count);
    aspace_release(a);
    return error;
}

int64_t sys_aspace_move(uint64_t space, uint64_t address, uint64_t size, uint64_t new_size, uint64_t flags, uint64_t target) {
    struct aspace *a;
    int error = aspace_lookup(space, KPIO_RIGHT_MAP, &a);
    if (error) return error;
    int64_t at = flags >> 32 ? -EINVAL : aspace_move(a, address, size, new_size, (unsigned)flags, target);
    aspace_release(a);
    return at;
}
