// Spin locks. The kernel runs with interrupts off, so a lock holder is never interrupted on its CPU and no lock saves
// the interrupt flag. Not recursive, not held across blocking or preemption points. Taking one is a full memory barrier.
//
// A free lock goes to whoever comes first; those that wait stand in line, and only the first in line tries. A lock that
// is handed on in order is fairer, but under a hypervisor stands still whenever the virtual CPU whose turn it is does not
// run: that costs all others a time slice of the host per hand-over (docs/decisions/0008). So order is kept only for one
// that has waited long: it marks the lock as urgent, and then nobody gets past it.
#pragma once
#include "kernel/core/cpu.h"

struct lock_class;

struct spinlock {
    union {
        uint16_t state;          // 0: free, and for anybody
        struct {
            uint8_t held;
            uint8_t urgent;      // only the first in line may take it
        };
    };
    uint8_t first, next;         // the line: the ticket that is first in it; the next one to be given
#if CONFIG_LOCKDEP
    uint16_t holder;  // CPU id + 1
    uint16_t class_;  // of the order checker, + 1; 0: not known yet
    const char *name;
#endif
};

#if CONFIG_LOCKDEP
#define SPINLOCK_INIT(lock_name) {.state = 0, .name = (lock_name)}
#else
#define SPINLOCK_INIT(lock_name) {.state = 0}
#endif

// Lock-order checker (debug builds): learns the order in which named locks nest and panics on the first inversion.
void lockdep_acquire(struct spinlock *lock);
// For a lock got by trying: it cannot dead-lock, so its order is not checked.
void lockdep_acquire_try(struct spinlock *lock);
void lockdep_release(struct spinlock *lock);
// Locks that this CPU holds (debug builds; else 0): for asserts before blocking.
unsigned lockdep_held(void);
// Stands in line and takes the lock.
void spin_lock_wait(struct spinlock *lock);

static inline bool spin_take(struct spinlock *lock) {
    uint16_t free = 0;
    return __atomic_compare_exchange_n(&lock->state, &free, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

#if defined(__KPIO_HOST__)
static inline void spin_acquire(struct spinlock *lock) {
    if (unlikely(!spin_take(lock))) spin_lock_wait(lock);
}
#else
// The compiler sees no call, so that a function which takes locks and else calls nothing needs neither a frame nor the
// registers that a call keeps. Who must wait goes through spin_lock_contended (spinlock.S): lock in r11.
static inline void spin_acquire(struct spinlock *lock) {
    uint32_t one = 1, free = 0;
    __asm__ volatile("lock cmpxchgw %w2, %1\n\t"
                     "jne 2f\n"
                     "1:\n\t"
                     ".pushsection .text.contended, \"ax\"\n"
                     "2:\tleaq %1, %%r11\n\t"
                     "call spin_lock_contended\n\t"
                     "jmp 1b\n\t"
                     ".popsection"
                     : "+a"(free), "+m"(lock->state) : "r"(one) : "memory", "cc", "r11");
}
#endif

// `name` groups locks into one class of the order checker: one name per kind of lock.
static inline void spin_init(struct spinlock *lock, const char *name) {
    *lock = (struct spinlock)SPINLOCK_INIT(name);
    (void)name;
}

static inline void spin_lock(struct spinlock *lock) {
    if (CONFIG_LOCKDEP) lockdep_acquire(lock);
    spin_acquire(lock);
}

static inline void spin_unlock(struct spinlock *lock) {
    if (CONFIG_LOCKDEP) lockdep_release(lock);
    __atomic_store_n(&lock->held, 0, __ATOMIC_RELEASE);
}

static inline bool spin_trylock(struct spinlock *lock) {
    if (__atomic_load_n(&lock->state, __ATOMIC_RELAXED) != 0 || !spin_take(lock)) return false;
    if (CONFIG_LOCKDEP) lockdep_acquire_try(lock);
    return true;
}

static inline bool spin_is_locked(const struct spinlock *lock) {
    return __atomic_load_n(&lock->held, __ATOMIC_RELAXED) != 0;
}
