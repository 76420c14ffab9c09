// Timer system calls.
#include "kernel/ipc/timer.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/process.h"

int64_t sys_timer_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct timer *timer;
    int error = timer_create(current_process()->job, &timer);
    return error ? error : handle_install(&timer->object);
}

int64_t sys_timer_set(uint64_t timer, uint64_t deadline, uint64_t period, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)timer, KPIO_KIND_TIMER, KPIO_RIGHT_WRITE, &o);
    if (error) return error;
    if (period > INT64_MAX) return -EINVAL;
    timer_set(timer_of(o), deadline, period);
    return 0;
}

int64_t sys_timer_read(uint64_t timer, uint64_t options, uint64_t deadline, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *h;
    int error = handle_get_full((kpio_handle)timer, KPIO_KIND_TIMER, KPIO_RIGHT_READ, &h);
    if (error) return error;
    if (options > 1) return -EINVAL;
    return timer_read(h, options & 1, deadline);
}

int64_t sys_timer_info(uint64_t timer, uint64_t info, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)timer, KPIO_KIND_TIMER, KPIO_RIGHT_INSPECT, &o);
    if (error) return error;
    struct kpio_timer_info described;
    timer_describe(timer_of(o), &described);
    return copy_to_user(user_ptr(info), &described, sizeof(described));
}
