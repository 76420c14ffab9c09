// Spin locks. The kernel runs with interrupts off, so a lock holder is never interrupted on its CPU and no lock saves
// the interrupt flag. Not recursive, not held across blocking or preemption points. A ticket lock: fair. Taking one is a
// full memory barrier.
#pragma once
#include "kernel/core/cpu.h"

struct lock_class;

struct spinlock {
    union {
        uint32_t word;
        struct {
            uint16_t owner, next;  // the ticket being served; the next one to be given
        };
    };
#if CONFIG_LOCKDEP
    uint32_t holder;  // CPU id + 1
    const char *name;
#endif
};

#if CONFIG_LOCKDEP
#define SPINLOCK_INIT(lock_name) {.word = 0, .holder = 0, .name = (lock_name)}
#else
#define SPINLOCK_INIT(lock_name) {.word = 0}
#endif

// Lock-order checker (debug builds): learns the order in which named locks nest and panics on the first inversion.
void lockdep_acquire(struct spinlock *lock);
// For a lock got by trying: it cannot dead-lock, so its order is not checked.
void lockdep_acquire_try(struct spinlock *lock);
void lockdep_release(struct spinlock *lock);
// Locks that this CPU holds (debug builds; else 0): for asserts before blocking.
unsigned lockdep_held(void);
// Waits until the ticket is served.
void spin_lock_wait(struct spinlock *lock, uint16_t ticket);

#if defined(__KPIO_HOST__)
static inline void spin_acquire(struct spinlock *lock) {
    uint16_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_SEQ_CST);
    if (unlikely(__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)) spin_lock_wait(lock, ticket);
}
#else
// The compiler sees no call, so that a function which takes locks and else calls nothing needs neither a frame nor the
// registers that a call keeps. Who must wait goes through spin_lock_contended (spinlock.S): lock in r11, ticket in ax.
static inline void spin_acquire(struct spinlock *lock) {
    uint16_t ticket = 1;
    __asm__ volatile("lock xaddw %0, %1\n\t"
                     "cmpw %0, %2\n\t"
                     "jne 2f\n"
                     "1:\n\t"
                     ".pushsection .text.contended, \"ax\"\n"
                     "2:\tleaq %2, %%r11\n\t"
                     "call spin_lock_contended\n\t"
                     "jmp 1b\n\t"
                     ".popsection"
                     : "+a"(ticket), "+m"(lock->next), "+m"(lock->owner) : : "memory", "cc", "r11");
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
    // Only the holder writes owner, so no lock prefix; x86 lets no earlier access pass this store.
    __asm__ volatile("incw %0" : "+m"(lock->owner) : : "memory", "cc");
}

static inline bool spin_trylock(struct spinlock *lock) {
    uint32_t seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
    if ((uint16_t)seen != (uint16_t)(seen >> 16)) return false;
    if (!__atomic_compare_exchange_n(&lock->word, &seen, seen + 0x10000, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return false;
    if (CONFIG_LOCKDEP) lockdep_acquire_try(lock);
    return true;
}

static inline bool spin_is_locked(const struct spinlock *lock) {
    uint32_t seen = __atomic_load_n(&lock->word, __ATOMIC_RELAXED);
    return (uint16_t)seen != (uint16_t)(seen >> 16);
}
