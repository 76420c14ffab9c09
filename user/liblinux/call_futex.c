// futex: the kernel's futexes with Linux's arguments.
#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/futex_pi.h"
#include "user/liblinux/time.h"
#include "user/liblinux/unserved.h"

enum {
    FUTEX_WAIT,
    FUTEX_WAKE,
    FUTEX_FD,
    FUTEX_REQUEUE,
    FUTEX_CMP_REQUEUE,
    FUTEX_WAKE_OP,
    FUTEX_LOCK_PI,
    FUTEX_UNLOCK_PI,
    FUTEX_TRYLOCK_PI,
    FUTEX_WAIT_BITSET,
    FUTEX_WAKE_BITSET,
    FUTEX_WAIT_REQUEUE_PI,
    FUTEX_CMP_REQUEUE_PI,
    FUTEX_LOCK_PI2
};
#define FUTEX_PRIVATE 128u
#define FUTEX_REALTIME 256u
#define ALL UINT32_MAX
#define SHARED 1u  // of the kernel's flags

// ---- waiting ------------------------------------------------------------------------------------------------------------

static int64_t wait(struct lx_thread *t, uint64_t address, uint32_t value, uint32_t mask, uint64_t deadline, uint32_t flags,
                    int64_t interrupted) {
    int64_t result = lx_block(t, SYS_futex_wait, address, value, mask, deadline, flags, 0);
    return result == -EINTR ? interrupted : result;
}

// A relative time-out, which goes on when the call is made again.
static int64_t wait_for(struct lx_thread *t, uint64_t address, uint32_t value, uint64_t timeout, uint32_t flags) {
    uint64_t deadline;
    if (timeout == 0) return wait(t, address, value, ALL, KPIO_TIME_NEVER, flags, -LX_RESTART);
    int64_t error = lx_deadline_after(t, timeout, &deadline);
    return error < 0 ? error : wait(t, address, value, ALL, deadline, flags, -LX_RESTART_BLOCK);
}

static int64_t wait_until(struct lx_thread *t, uint64_t address, uint32_t value, uint32_t mask, uint64_t timeout, bool real,
                          uint32_t flags) {
    uint64_t ns = 0;
    if (mask == 0) return -EINVAL;
    int64_t error = timeout != 0 ? lx_timespec_in(timeout, &ns) : 0;
    if (error < 0) return error;
    return wait(t, address, value, mask, timeout != 0 ? lx_deadline_at(ns, real) : KPIO_TIME_NEVER, flags,
                timeout != 0 ? -LX_RESTART_NOHAND : -LX_RESTART);
}

// ---- waking -------------------------------------------------------------------------------------------------------------

static uint32_t at_least_one(uint64_t count) { return (int32_t)count < 1 ? 1 : (uint32_t)count; }

// FUTEX_REQUEUE does not compare: whatever the word is.
static int64_t requeue(uint64_t from, uint64_t wake, uint64_t move, uint64_t to, uint32_t flags) {
    for (;;) {
        uint32_t value;
        if (lx_load(from, &value) < 0) return -EFAULT;
        int64_t result = kpio_futex_requeue(from, (uint32_t)wake, to, (uint32_t)move, value, flags);
        if (result != -EAGAIN && result != -EINTR) return result;
    }
}

static int64_t requeue_if(uint64_t from, uint64_t wake, uint64_t move, uint64_t to, uint32_t value, uint32_t flags) {
    int64_t result;
    do result = kpio_futex_requeue(from, (uint32_t)wake, to, (uint32_t)move, value, flags);
    while (result == -EINTR);
    return result;
}

enum {
    OP_SET,
    OP_ADD,
    OP_OR,
    OP_ANDN,
    OP_XOR,
    OP_SHIFT = 8,
    COMPARE_EQ = 0,
    COMPARE_NE,
    COMPARE_LT,
    COMPARE_LE,
    COMPARE_GT,
    COMPARE_GE
};

static int32_t sign_extend_12(uint32_t bits) { return (int32_t)(bits << 20) >> 20; }

static int64_t compute(uint32_t operation, uint32_t old, uint32_t operand, uint32_t *fresh) {
    switch (operation & 7) {
    case OP_SET: *fresh = operand; return 0;
    case OP_ADD: *fresh = old + operand; return 0;
    case OP_OR: *fresh = old | operand; return 0;
    case OP_ANDN: *fresh = old & ~operand; return 0;
    case OP_XOR: *fresh = old ^ operand; return 0;
    default: return -ENOSYS;
    }
}

static int64_t compare(uint32_t how, int32_t old, int32_t operand) {
    switch (how) {
    case COMPARE_EQ: return old == operand;
    case COMPARE_NE: return old != operand;
    case COMPARE_LT: return old < operand;
    case COMPARE_LE: return old <= operand;
    case COMPARE_GT: return old > operand;
    case COMPARE_GE: return old >= operand;
    default: return -ENOSYS;
    }
}

// Changes the second word, wakes at the first, and at the second if what it was compares.
static int64_t wake_op(uint64_t first, uint64_t wake, uint64_t wake_second, uint64_t second, uint32_t code, uint32_t flags) {
    const uint32_t operation = code >> 28, how = code >> 24 & 15;
    int32_t operand = sign_extend_12(code >> 12 & 0xfff), other = sign_extend_12(code & 0xfff);
    uint32_t old, seen, fresh;
    if (operation & OP_SHIFT) operand = (int32_t)(1u << (operand & 31));
    if ((first & 3) != 0 || (second & 3) != 0) return -EINVAL;
    if (lx_load(second, &old) < 0) return -EFAULT;
    do {
        seen = old;
        int64_t error = compute(operation, old, (uint32_t)operand, &fresh);
        if (error < 0) return error;
        if (lx_exchange(second, &old, fresh) < 0) return -EFAULT;
    } while (old != seen);
    int64_t both = compare(how, (int32_t)old, other);
    if (both < 0) return both;
    int64_t woken = kpio_futex_wake(first, at_least_one(wake), ALL, flags);
    if (woken < 0 || !both) return woken;
    int64_t more = kpio_futex_wake(second, at_least_one(wake_second), ALL, flags);
    return more < 0 ? more : woken + more;
}

// ---- waiting for a word, then for a lock ----------------------------------------------------------------------------------

static int64_t wait_then_lock(struct lx_thread *t, uint64_t address, uint32_t value, uint64_t timeout, bool real, uint64_t lock,
                              uint32_t flags) {
    uint64_t ns = 0;
    if (address == lock || (lock & 3) != 0) return -EINVAL;
    int64_t result = timeout != 0 ? lx_timespec_in(timeout, &ns) : 0;
    if (result < 0) return result;
    const uint64_t deadline = timeout != 0 ? lx_deadline_at(ns, real) : KPIO_TIME_NEVER;
    result = wait(t, address, value, ALL, deadline, flags, -LX_RESTART_ALWAYS);
    if (result != 0) return result;
    result = lx_futex_lock_pi_until(t, lock, deadline, flags);
    return result == -LX_RESTART_ALWAYS ? -EAGAIN : result;  // made again it would wait for a word that has changed
}

static int64_t wake_to_lock(uint64_t address, uint64_t wake, uint64_t move, uint64_t lock, uint32_t value, uint32_t flags) {
    uint32_t word;
    if (wake != 1 || (int32_t)move < 0 || address == lock || ((address | lock) & 3) != 0) return -EINVAL;
    if (lx_load(lock, &word) < 0) return -EFAULT;
    return requeue_if(address, 1 + (uint64_t)(uint32_t)move, 0, lock, value, flags);
}

// ---- the call -----------------------------------------------------------------------------------------------------------

// ABI futex: CMP_REQUEUE_PI wakes those that it moves: they wait for the lock by themselves
LX_CALL(futex) {
    const uint32_t operation = (uint32_t)a1, flags = operation & FUTEX_PRIVATE ? 0 : SHARED;
    const bool real = operation & FUTEX_REALTIME;
    const uint32_t command = operation & ~(FUTEX_PRIVATE | FUTEX_REALTIME);
    if (real && command != FUTEX_WAIT_BITSET && command != FUTEX_LOCK_PI2 && command != FUTEX_WAIT_REQUEUE_PI) return -ENOSYS;
    switch (command) {
    case FUTEX_WAIT: return wait_for(t, a0, (uint32_t)a2, a3, flags);
    case FUTEX_WAIT_BITSET: return wait_until(t, a0, (uint32_t)a2, (uint32_t)a5, a3, real, flags);
    case FUTEX_WAKE: return kpio_futex_wake(a0, at_least_one(a2), ALL, flags);
    case FUTEX_WAKE_BITSET: return kpio_futex_wake(a0, at_least_one(a2), (uint32_t)a5, flags);
    case FUTEX_REQUEUE: return (int32_t)a2 < 0 || (int32_t)a3 < 0 ? -EINVAL : requeue(a0, a2, a3, a4, flags);
    case FUTEX_CMP_REQUEUE: return (int32_t)a2 < 0 || (int32_t)a3 < 0 ? -EINVAL : requeue_if(a0, a2, a3, a4, (uint32_t)a5, flags);
    case FUTEX_WAKE_OP: return wake_op(a0, a2, a3, a4, (uint32_t)a5, flags);
    case FUTEX_LOCK_PI: return lx_futex_lock_pi(t, a0, a3, true, flags);
    case FUTEX_LOCK_PI2: return lx_futex_lock_pi(t, a0, a3, real, flags);
    case FUTEX_TRYLOCK_PI: return lx_futex_try_pi(t, a0, flags);
    case FUTEX_UNLOCK_PI: return lx_futex_unlock_pi(t, a0, flags);
    case FUTEX_WAIT_REQUEUE_PI: return wait_then_lock(t, a0, (uint32_t)a2, a3, real, a4, flags);
    case FUTEX_CMP_REQUEUE_PI: return wake_to_lock(a0, a2, a3, a4, (uint32_t)a5, flags);
    default: return lx_unserved_use(t, -ENOSYS);
    }
}
