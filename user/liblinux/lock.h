// Locks inside liblinux. No call that may block for long, and no access to the program's memory, while one is held.
#pragma once
#include "abi/gen/stubs.h"
#include "user/liblinux/context.h"

static inline void lx_lock(struct lx_lock *lock) {
    uint32_t word = 0;
    if (__atomic_compare_exchange_n(&lock->word, &word, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
        (void)kpio_futex_wait((uint64_t)&lock->word, 2, UINT32_MAX, KPIO_TIME_NEVER, 0);
}
static inline void lx_unlock(struct lx_lock *lock) {
    if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2) (void)kpio_futex_wake((uint64_t)&lock->word, 1, UINT32_MAX, 0);
}
