// Event system calls.
#include "kernel/ipc/event.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/object/process.h"

// The handle when it is an event's with this right and nothing about it is unusual, else NULL: to be checked in full.
static inline struct handle *event_handle(uint64_t value, uint32_t right) {
    struct handle *h = handle_table_lookup(&current_process()->handles, (kpio_handle)value);
    if (likely(h && h->object->kind == KPIO_KIND_EVENT && h->rights & right &&
               !(h->flags & (HANDLE_EXPIRES | HANDLE_AUDITED))))
        return h;
    return NULL;
}

// A handle without RECEIVE is a plain one: duplicating and closing it counts nobody.
static int64_t create(uint32_t rights) {
    struct event *event;
    int error = event_create(current_process()->job, &event);
    return error ? error : handle_install_in(&current_process()->handles, &event->object, event->object.ops->rights & rights);
}

int64_t sys_event_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return create(~KPIO_RIGHT_RECEIVE);
}

int64_t sys_event_create_audience(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return create(KPIO_RIGHTS_ALL);
}

int64_t sys_event_signal(uint64_t event, uint64_t clear, uint64_t set, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *h = event_handle(event, KPIO_RIGHT_WRITE);
    if (unlikely(!h)) {
        int error = handle_get_full((kpio_handle)event, KPIO_KIND_EVENT, KPIO_RIGHT_WRITE, &h);
        if (error) return error;
    }
    if ((clear | set) & ~(uint64_t)KPIO_SIGNAL_USER_MASK) return -EINVAL;
    uint32_t bits = event_signal(event_of(h->object), (uint32_t)clear, (uint32_t)set);
    sched_let_run();
    return bits;
}

int64_t sys_event_wait(uint64_t event, uint64_t mask, uint64_t options, uint64_t deadline, uint64_t e, uint64_t f) {
    struct handle *h = event_handle(event, KPIO_RIGHT_READ);
    if (unlikely(!h)) {
        int error = handle_get_full((kpio_handle)event, KPIO_KIND_EVENT, KPIO_RIGHT_READ, &h);
        if (error) return error;
    }
    if (mask == 0 || mask & ~(uint64_t)KPIO_SIGNAL_USER_MASK) return -EINVAL;
    if (options & ~(uint64_t)(EVENT_WAIT_CLEAR | EVENT_WAIT_ALL)) return -EINVAL;
    return event_wait(h, (uint32_t)mask, (uint32_t)options, deadline);
}
