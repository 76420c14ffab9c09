// Handle system calls.
#include "kernel/object/handle.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/audit.h"
#include "kernel/object/process.h"

int64_t sys_nop(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) { return 0; }

int64_t sys_handle_close(uint64_t h, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return handle_close(&current_process()->handles, (kpio_handle)h);
}

int64_t sys_handle_dup(uint64_t h, uint64_t rights, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return handle_dup((kpio_handle)h, (uint32_t)rights);
}

int64_t sys_handle_dup_badged(uint64_t h, uint64_t rights, uint64_t badge, uint64_t d, uint64_t e, uint64_t f) {
    return handle_dup_badged((kpio_handle)h, (uint32_t)rights, badge);
}

int64_t sys_handle_revoke(uint64_t h, uint64_t self, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    if (self > 1) return -EINVAL;
    return handle_revoke((kpio_handle)h, self);
}

int64_t sys_handle_expire(uint64_t h, uint64_t deadline, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return handle_expire((kpio_handle)h, deadline);
}

int64_t sys_handle_info(uint64_t h, uint64_t info, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *handle;
    int error = handle_get_full((kpio_handle)h, KPIO_KIND_NONE, 0, &handle);
    if (error) return error;
    struct kpio_handle_info described;
    handle_describe(handle, &described);
    return copy_to_user(user_ptr(info), &described, sizeof(described));
}

int64_t sys_handle_audit(uint64_t system, uint64_t h, uint64_t on, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    struct handle *handle;
    int error = handle_get((kpio_handle)system, KPIO_KIND_SYSTEM, KPIO_RIGHT_AUDIT, &o);
    if (!error) error = handle_get_full((kpio_handle)h, KPIO_KIND_NONE, 0, &handle);
    if (error) return error;
    if (on > 1) return -EINVAL;
    spin_lock(handle->object->tree);
    if (on) handle->flags |= HANDLE_AUDITED;
    else handle->flags &= (uint8_t)~HANDLE_AUDITED;
    spin_unlock(handle->object->tree);
    return 0;
}

int64_t sys_handle_give(uint64_t process, uint64_t h, uint64_t rights, uint64_t mode, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)process, KPIO_KIND_PROCESS, KPIO_RIGHT_MANAGE, &o);
    if (error) return error;
    struct process *target = process_of(o);
    if (target->state >= KPIO_PROCESS_DYING) return -EDESTROYED;
    return handle_give(&target->handles, (kpio_handle)h, (uint32_t)rights, (unsigned)mode);
}

int64_t sys_handle_flags(uint64_t h, uint64_t clear, uint64_t set, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *handle;
    int error = handle_get_full((kpio_handle)h, KPIO_KIND_NONE, 0, &handle);
    if (error) return error;
    if ((clear | set) & ~KPIO_OBJECT_FLAGS) return -EINVAL;
    uint64_t *status = &handle->object->status, before = __atomic_load_n(status, __ATOMIC_RELAXED);
    if ((clear | set) == 0) return (int64_t)before;
    if (!(handle->rights & (KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_MANAGE))) return -EACCES;
    while (!__atomic_compare_exchange_n(status, &before, (before & ~clear) | set, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {}
    return (int64_t)before;
}
