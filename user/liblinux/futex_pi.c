#include "user/liblinux/futex_pi.h"

#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/robust.h"
#include "user/liblinux/time.h"

#define INHERIT 2u
#define TAKEN 1  // of try_word

// Takes a free lock; the bits of those that wait and of an owner that died stay. TAKEN; 0: *word has an owner; or an error.
static int64_t try_word(struct lx_thread *t, uint64_t address, uint32_t waiters, uint32_t *word) {
    if ((address & 3) != 0) return -EINVAL;
    if (lx_load(address, word) < 0) return -EFAULT;
    for (;;) {
        const uint32_t seen = *word;
        if ((seen & LX_FUTEX_TID_MASK) == t->tid) return -EDEADLK;
        if ((seen & LX_FUTEX_TID_MASK) != 0) return 0;
        if (lx_exchange(address, word, seen | waiters | t->tid) < 0) return -EFAULT;
        if (*word == seen) return TAKEN;
    }
}

// Tells the owner that somebody waits. 0: the word is now *word; TAKEN: it changed.
static int64_t announce(uint64_t address, uint32_t *word) {
    const uint32_t seen = *word;
    if (seen & LX_FUTEX_WAITERS) return 0;
    if (lx_exchange(address, word, seen | LX_FUTEX_WAITERS) < 0) return -EFAULT;
    if (*word != seen) return TAKEN;
    *word = seen | LX_FUTEX_WAITERS;
    return 0;
}

// The kernel knows no thread of that number any more. A robust owner has marked the word meanwhile.
static int64_t owner_gone(uint64_t address, uint32_t word) {
    uint32_t now;
    if (lx_load(address, &now) < 0) return -EFAULT;
    return now == word ? -ESRCH : 0;
}

int64_t lx_futex_lock_pi(struct lx_thread *t, uint64_t address, uint64_t timeout, bool real, uint32_t flags) {
    uint64_t ns = 0, deadline = KPIO_TIME_NEVER;
    int64_t result = timeout != 0 ? lx_timespec_in(timeout, &ns) : 0;
    if (result < 0) return result;
    if (timeout != 0) deadline = lx_deadline_at(ns, real);
    // Who was woken does not know whether others wait: it says that they do, and giving back wakes the next.
    for (uint32_t waiters = 0, word;;) {
        result = try_word(t, address, waiters, &word);
        if (result != 0) return result == TAKEN ? 0 : result;
        result = announce(address, &word);
        if (result == TAKEN) continue;
        if (result < 0) return result;
        result = lx_block(t, SYS_futex_wait, address, word, UINT32_MAX, deadline, flags | INHERIT, 0);
        if (result == 0) waiters = LX_FUTEX_WAITERS;
        if (result == -EOWNERDEAD) result = owner_gone(address, word);
        if (result == -EINTR) return -LX_RESTART_ALWAYS;
        if (result < 0 && result != -EAGAIN) return result;
    }
}

int64_t lx_futex_try_pi(struct lx_thread *t, uint64_t address, uint32_t flags) {
    uint32_t word;
    int64_t result = try_word(t, address, 0, &word);
    return result == TAKEN ? 0 : result == 0 ? -EAGAIN : result;
}

int64_t lx_futex_unlock_pi(struct lx_thread *t, uint64_t address, uint32_t flags) {
    uint32_t word, seen;
    if ((address & 3) != 0) return -EINVAL;
    if (lx_load(address, &word) < 0) return -EFAULT;
    do {
        seen = word;
        if ((seen & LX_FUTEX_TID_MASK) != t->tid) return -EPERM;
        if (lx_exchange(address, &word, 0) < 0) return -EFAULT;
    } while (word != seen);
    if (!(seen & LX_FUTEX_WAITERS)) return 0;
    int64_t result = kpio_futex_wake(address, 1, UINT32_MAX, flags | INHERIT);
    return result < 0 ? result : 0;
}
