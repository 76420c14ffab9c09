// Futex system calls.
#include "kernel/ipc/futex.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/sched/sched.h"

static bool fits_u32(uint64_t a, uint64_t b, uint64_t c) { return ((a | b | c) >> 32) == 0; }

int64_t sys_futex_wait(uint64_t address, uint64_t value, uint64_t mask, uint64_t deadline, uint64_t flags, uint64_t f) {
    if (!fits_u32(value, mask, flags)) return -EINVAL;
    return futex_wait(address, (uint32_t)value, (uint32_t)mask, deadline, (uint32_t)flags);
}

int64_t sys_futex_wake(uint64_t address, uint64_t count, uint64_t mask, uint64_t flags, uint64_t e, uint64_t f) {
    if (!fits_u32(count, mask, flags)) return -EINVAL;
    int64_t woken = futex_wake(address, (uint32_t)count, (uint32_t)mask, (uint32_t)flags);
    sched_let_run();
    return woken;
}

int64_t sys_futex_hand_over(uint64_t address, uint64_t value, uint64_t bits, uint64_t flags, uint64_t e, uint64_t f) {
    if (!fits_u32(value, bits, flags)) return -EINVAL;
    int64_t given = futex_hand_over(address, (uint32_t)value, (uint32_t)bits, (uint32_t)flags);
    sched_let_run();
    return given;
}

int64_t sys_futex_requeue(uint64_t address, uint64_t wake, uint64_t target, uint64_t move, uint64_t value, uint64_t flags) {
    if (!fits_u32(wake, move, value) || flags >> 32) return -EINVAL;
    return futex_requeue(address, (uint32_t)wake, target, (uint32_t)move, (uint32_t)value, (uint32_t)flags);
}
