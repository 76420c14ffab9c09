// Memory without a handle: a VMO that nothing but its mappings leads to.
#include "abi/gen/errors.h"
#include "abi/types.h"
#include "kernel/mm/aspace_internal.h"

int64_t aspace_map_anonymous(struct aspace *a, const struct aspace_map *r) {
    if (r->vmo || r->handle || r->flags & (KPIO_MAP_PRIVATE | KPIO_MAP_RESERVE)) return -EINVAL;
    if (r->size > USER_MAX || r->size & PAGE_MASK) return -EINVAL;
    struct vmo *vmo;
    int error = vmo_create(a->job, r->size, VMO_UNNAMED, &vmo);
    if (unlikely(error)) return error;
    struct aspace_map request = *r;
    request.vmo = vmo;
    request.first = 0;
    request.max_prot = PROT_READ | PROT_WRITE | (a->jit ? PROT_EXECUTE : 0);
    int64_t address = aspace_map(a, &request);
    vmo_put_slowly(vmo);
    return address;
}
