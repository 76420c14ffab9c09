#include "kernel/core/spinlock.h"

#include "kernel/core/assert.h"

// A holder runs on another CPU with interrupts off and will let go; nothing waits for long. Past this count something is
// broken, and saying so beats a silent hang.
#define STUCK_SPINS 2000000000u

void spin_lock_wait(struct spinlock *lock, uint16_t ticket) {
    for (uint32_t i = 0; __atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket; i++) {
        cpu_relax();
        if (CONFIG_DEBUG && i == STUCK_SPINS) panic("spin lock %p: stuck", (void *)lock);
    }
}
