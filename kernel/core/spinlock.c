#include "kernel/core/spinlock.h"

#include "kernel/core/assert.h"

_Static_assert(CONFIG_MAX_CPUS < 256, "each CPU stands in a line at most once: tickets are bytes");

// Looks that the first in line takes at the lock before it lets nobody past any more: some milliseconds.
#define PATIENCE 32768u
// A holder runs on another CPU with interrupts off and will let go; nothing waits for long. Past this count something is
// broken, and saying so beats a silent hang.
#define STUCK_SPINS 2000000000u

static void pause(const struct spinlock *lock, uint32_t spins) {
    cpu_relax();
    if (CONFIG_DEBUG && spins == STUCK_SPINS) panic("spin lock %p: stuck", (const void *)lock);
}

static bool try_as_first(struct spinlock *lock) {
    return __atomic_load_n(&lock->held, __ATOMIC_RELAXED) == 0 && __atomic_exchange_n(&lock->held, 1, __ATOMIC_ACQUIRE) == 0;
}

void spin_lock_wait(struct spinlock *lock) {
    uint8_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; __atomic_load_n(&lock->first, __ATOMIC_ACQUIRE) != ticket; i++) pause(lock, i);
    for (uint32_t i = 0; !try_as_first(lock); i++) {
        if (i == PATIENCE) __atomic_store_n(&lock->urgent, 1, __ATOMIC_RELAXED);
        pause(lock, i);
    }
    __atomic_store_n(&lock->urgent, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->first, (uint8_t)(ticket + 1), __ATOMIC_RELEASE);
}
