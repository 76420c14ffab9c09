// Counter system calls.
#include "kernel/ipc/counter.h"

#include "kernel/syscall/args.h"

// A handle that is a counter's with this right: at once when nothing about it is unusual, else checked in full.
static inline int counter_handle(uint64_t value, uint32_t right, struct handle **out) {
    struct handle *h = handle_table_lookup(&current_process()->handles, (kpio_handle)value);
    if (likely(h && h->object->kind == KPIO_KIND_COUNTER && h->rights & right &&
               !(h->flags & (HANDLE_EXPIRES | HANDLE_AUDITED)))) {
        *out = h;
        return 0;
    }
    return handle_get_full((kpio_handle)value, KPIO_KIND_COUNTER, right, out);
}

int64_t sys_counter_create(uint64_t value, uint64_t flags, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct counter *counter;
    if (value > KPIO_COUNTER_VALUE_MAX || (uint32_t)flags & ~(uint32_t)KPIO_COUNTER_SEMAPHORE) return -EINVAL;
    int error = counter_create(current_process()->job, value, (uint32_t)flags & KPIO_COUNTER_SEMAPHORE, &counter);
    return error ? error : handle_install(&counter->object);
}

// The handle that a wait went through, if it is still there.
static struct counter *still_there(uint64_t handle, const struct object *o) {
    struct handle *h = handle_lookup((kpio_handle)handle);
    return h != NULL && h->object == o ? counter_of(h->object) : NULL;
}

// The value was taken and cannot be delivered. The handle may have ended during the wait or the copy.
static coldcall int64_t not_delivered(uint64_t handle, const struct object *taken_from, uint64_t value, int error) {
    struct counter *counter = still_there(handle, taken_from);
    if (counter != NULL) counter_put_back(counter, value);
    return error;
}

int64_t sys_counter_read(uint64_t counter, uint64_t value, uint64_t options, uint64_t deadline, uint64_t e, uint64_t f) {
    struct handle *h;
    uint64_t taken;
    int error = counter_handle(counter, KPIO_RIGHT_READ, &h);
    if (unlikely(error)) return error;
    if (unlikely((uint32_t)options & ~(uint32_t)KPIO_COUNTER_NOWAIT)) return -EINVAL;
    const struct object *o = h->object;
    int64_t result = counter_read(h, &taken, (uint32_t)options & KPIO_COUNTER_NOWAIT, deadline);
    if (unlikely(result < 0)) return result;
    error = put_user_u64(user_ptr(value), taken);
    if (unlikely(error)) return not_delivered(counter, o, taken, error);
    sched_let_run();
    return 0;
}

int64_t sys_counter_add(uint64_t counter, uint64_t value, uint64_t options, uint64_t deadline, uint64_t e, uint64_t f) {
    struct handle *h;
    int error = counter_handle(counter, KPIO_RIGHT_WRITE, &h);
    if (unlikely(error)) return error;
    if (unlikely((uint32_t)options & ~(uint32_t)KPIO_COUNTER_NOWAIT || value > KPIO_COUNTER_VALUE_MAX)) return -EINVAL;
    const struct object *o = h->object;
    int64_t result = counter_add(h, value, (uint32_t)options & KPIO_COUNTER_NOWAIT, deadline);
    if (unlikely(result < 0 && result != -EAGAIN)) {
        struct counter *left = still_there(counter, o);
        if (left != NULL) counter_wait_failed(left);
    }
    sched_let_run();
    return result;
}
