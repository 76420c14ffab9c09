#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/handle.h"
#include "kernel/object/process.h"
#include "kernel/object/system_page.h"
#include "kernel/object/vmo_object.h"

#define VMO_CREATE_FLAGS (KPIO_VMO_RESIZABLE | KPIO_VMO_LARGE)
_Static_assert((int)KPIO_VMO_RESIZABLE == VMO_RESIZABLE, "ABI");

// The VMO behind a handle with a reference of its own: every call here may pass a preemption point.
static int vmo_lookup(uint64_t value, uint32_t rights, struct vmo **out) {
    struct object *o;
    int error = handle_get((kpio_handle)value, KPIO_KIND_VMO, rights, &o);
    if (error) return error;
    if (!object_tryget(o)) return -EBADF;
    vmo_get(vmo_of(o));
    *out = vmo_of(o);
    object_put(o);
    return 0;
}

// The same for what a file's memory does not take: its size and its pages are the file's affair.
static int vmo_lookup_own(uint64_t value, uint32_t rights, struct vmo **out) {
    struct object *o;
    int error = handle_get((kpio_handle)value, KPIO_KIND_VMO, rights, &o);
    if (error) return error;
    return object_family(o) == o ? vmo_lookup(value, rights, out) : -EPERM;
}

// Memory that a process can write becomes executable only by its JIT right.
static int64_t install(struct vmo *vmo) {
    struct process *p = current_process();
    struct object *o;
    int error = vmo_object_create(p->job, vmo, &o);
    vmo_put(vmo);
    if (error) return error;
    return handle_install_in(&p->handles, o, VMO_RIGHTS_DATA | (p->jit ? KPIO_RIGHT_EXECUTE : 0));
}

int64_t sys_vmo_create(uint64_t size, uint64_t flags, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    if (flags & ~(uint64_t)(VMO_CREATE_FLAGS | KPIO_VMO_CONTIGUOUS)) return -EINVAL;
    struct job *job = current_process()->job;
    struct vmo *vmo;
    int error;
    if (flags & KPIO_VMO_CONTIGUOUS) {
        error = flags == KPIO_VMO_CONTIGUOUS ? vmo_create_contiguous(job, size, 0, &vmo) : -EINVAL;
    } else {
        unsigned kept = flags & KPIO_VMO_RESIZABLE ? VMO_RESIZABLE : 0;
        error = vmo_create(job, size, kept | (flags & KPIO_VMO_LARGE ? VMO_LARGE : 0), &vmo);
    }
    return error ? error : install(vmo);
}

int64_t sys_vmo_clone(uint64_t handle, uint64_t mode, uint64_t offset, uint64_t size, uint64_t a4, uint64_t a5) {
    struct vmo *vmo, *copy;
    int error = vmo_lookup_own(handle, KPIO_RIGHT_READ | KPIO_RIGHT_DUPLICATE, &vmo);
    if (error) return error;
    struct job *job = current_process()->job;
    uint64_t first = offset >> PAGE_SHIFT, pages = size >> PAGE_SHIFT, end;
    if (!checked_add(offset, size, &end)) error = -EOVERFLOW;
    else if (!is_aligned(offset | size, PAGE_SIZE) || (uint32_t)mode > KPIO_CLONE_OVERLAY) error = -EINVAL;
    else if ((uint32_t)mode == KPIO_CLONE_SNAPSHOT) error = vmo_snapshot(vmo, first, pages, job, &copy);
    else error = vmo_overlay(vmo, first, pages, job, &copy);
    vmo_put_slowly(vmo);
    return error ? error : install(copy);
}

int64_t sys_vmo_read(uint64_t handle, uint64_t offset, uint64_t buffer, uint64_t size, uint64_t a4, uint64_t a5) {
    struct vmo *vmo;
    int error = vmo_lookup(handle, KPIO_RIGHT_READ, &vmo);
    if (error) return error;
    int64_t result = vmo_read(vmo, offset, user_ptr(buffer), size);
    vmo_put_slowly(vmo);
    return result;
}

int64_t sys_vmo_write(uint64_t handle, uint64_t offset, uint64_t buffer, uint64_t size, uint64_t a4, uint64_t a5) {
    struct vmo *vmo;
    int error = vmo_lookup(handle, KPIO_RIGHT_WRITE, &vmo);
    if (error) return error;
    int64_t result = vmo_write(vmo, offset, user_ptr(buffer), size);
    vmo_put_slowly(vmo);
    return result;
}

int64_t sys_vmo_resize(uint64_t handle, uint64_t size, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct vmo *vmo;
    int error = vmo_lookup_own(handle, KPIO_RIGHT_WRITE, &vmo);
    if (error) return error;
    error = vmo_resize(vmo, size);
    vmo_put_slowly(vmo);
    return error;
}

int64_t sys_vmo_op(uint64_t handle, uint64_t op, uint64_t offset, uint64_t size, uint64_t a4, uint64_t a5) {
    struct vmo *vmo;
    int error = vmo_lookup_own(handle, KPIO_RIGHT_WRITE, &vmo);
    if (error) return error;
    switch ((uint32_t)op) {
    case KPIO_VMO_OP_COMMIT:
        error = vmo_commit(vmo, offset, size);
        break;
    case KPIO_VMO_OP_DECOMMIT:
        error = vmo_decommit(vmo, offset, size);
        break;
    case KPIO_VMO_OP_ZERO:
        error = vmo_zero(vmo, offset, size);
        break;
    default:
        error = -EINVAL;
    }
    vmo_put_slowly(vmo);
    return error;
}

int64_t sys_vmo_info(uint64_t handle, uint64_t info, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5) {
    struct vmo *vmo;
    int error = vmo_lookup(handle, KPIO_RIGHT_INSPECT, &vmo);
    if (error) return error;
    struct kpio_vmo_info out = {
        .id = vmo->id,
        .size = vmo->pages << PAGE_SHIFT,
        .committed_pages = vmo_count_pages(vmo, 0, vmo->pages),
        .flags = (vmo->flags & VMO_RESIZABLE ? KPIO_VMO_RESIZABLE : 0) | (vmo->flags & VMO_LARGE ? KPIO_VMO_LARGE : 0) |
                 (vmo->kind == VMO_CONTIGUOUS ? KPIO_VMO_CONTIGUOUS : 0) | (vmo->kind == VMO_POOL ? KPIO_VMO_POOL : 0),
        .kind = KPIO_KIND_VMO,
    };
    vmo_put_slowly(vmo);
    return copy_to_user(user_ptr(info), &out, sizeof(out));
}

int64_t sys_system_page(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct process *p = current_process();
    struct object *o;
    int error = vmo_object_create(p->job, system_page_vmo(), &o);
    return error ? error : handle_install_in(&p->handles, o, KPIO_RIGHT_READ | KPIO_RIGHT_MAP | KPIO_RIGHT_INSPECT);
}
