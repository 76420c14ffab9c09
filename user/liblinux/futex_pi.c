#include "user/liblinux/futex_pi.h"

#include "abi/gen/stubs.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/robust.h"
#include "user/liblinux/time.h"

#define INHERIT 2u
#define TAKEN 1  // of try_word

// Takes a free lock; the bits of those that wait and of an owner that died stay. TAKEN; 0: *word has an owner; or an error.
static int64_t try_word(struct lx_thread *t, uint64_t address, uint32_t *word) {
    if ((address & 3) != 0) return -EINVAL;
    if (lx_load(address, word) < 0) return -EFAULT;
    for (;;) {
        const uint32_t seen = *word;
        if ((seen & LX_FUTEX_TID_MASK) == t->tid) return -EDEADLK;
        if ((seen & LX_FUTEX_TID_MASK) != 0) return 0;
        if (lx_exchange(address, word, seen | t->tid) < 0) return -EFAULT;
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

// The owner ended while the thread waited, and no list of robust locks said so: who is first takes the lock. TAKEN, 0 or an error.
static int64_t take_over(const struct lx_thread *t, uint64_t address, uint32_t word) {
    const uint32_t seen = word;
    if (lx_exchange(address, &word, t->tid | LX_FUTEX_WAITERS | LX_FUTEX_OWNER_DIED) < 0) return -EFAULT;
    return word == seen ? TAKEN : 0;
}

// The kernel knows no thread of that number. A robust owner has marked the word meanwhile.
static int64_t owner_gone(uint64_t address, uint32_t word) {
    uint32_t now;
    if (lx_load(address, &now) < 0) return -EFAULT;
    return now == word ? -ESRCH : 0;
}

static int64_t wait(struct lx_thread *t, uint64_t address, uint32_t word, uint64_t deadline, uint32_t flags) {
    int64_t result = lx_block(t, SYS_futex_wait, address, word, UINT32_MAX, deadline, flags | INHERIT, 0);
    switch (result) {
    case -EOWNERDEAD: return take_over(t, address, word);
    case -ENOENT: return owner_gone(address, word);
    case -EINTR: return -LX_RESTART_ALWAYS;
    case -EAGAIN: return 0;
    default: return result;  // 1: it was handed over
    }
}

int64_t lx_futex_lock_pi_until(struct lx_thread *t, uint64_t address, uint64_t deadline, uint32_t flags) {
    for (uint32_t word;;) {
        int64_t result = try_word(t, address, &word);
        if (result == 0) result = announce(address, &word);
        else return result == TAKEN ? 0 : result;
        if (result == 0) result = wait(t, address, word, deadline, flags);
        else if (result == TAKEN) continue;
        if (result != 0) return result == TAKEN ? 0 : result;
    }
}

int64_t lx_futex_lock_pi(struct lx_thread *t, uint64_t address, uint64_t timeout, bool real, uint32_t flags) {
    uint64_t ns = 0;
    int64_t result = timeout != 0 ? lx_timespec_in(timeout, &ns) : 0;
    return result < 0 ? result : lx_futex_lock_pi_until(t, address, timeout != 0 ? lx_deadline_at(ns, real) : KPIO_TIME_NEVER, flags);
}

int64_t lx_futex_try_pi(struct lx_thread *t, uint64_t address, uint32_t flags) {
    uint32_t word;
    int64_t result = try_word(t, address, &word);
    return result == TAKEN ? 0 : result == 0 ? -EAGAIN : result;
}

int64_t lx_futex_unlock_pi(struct lx_thread *t, uint64_t address, uint32_t flags) {
    uint32_t word;
    if ((address & 3) != 0) return -EINVAL;
    if (lx_load(address, &word) < 0) return -EFAULT;
    for (;;) {
        const uint32_t seen = word;
        if ((seen & LX_FUTEX_TID_MASK) != t->tid) return -EPERM;
        int64_t result = 0;
        if (!(seen & LX_FUTEX_WAITERS)) result = lx_exchange(address, &word, 0);
        else if ((result = kpio_futex_hand_over(address, seen, 0, flags | INHERIT)) >= 0) return 0;
        else if (result == -EAGAIN || result == -EINTR) result = lx_load(address, &word);
        if (result < 0) return result;
        if (!(seen & LX_FUTEX_WAITERS) && word == seen) return 0;
    }
}
