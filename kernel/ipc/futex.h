// Futexes: sleep while a word in user memory has a value, wake who sleeps there. The kernel keeps nothing per word: only
// who waits, in a table hashed by the word's identity (address space and address, or VMO and offset if shared).
//
// A waiter reads the word without a lock (the read may fault), so each bucket counts the wake-ups: if a wake-up came
// between reading and queueing, the word is read again.
//
//     waiter                              waker
//     seen = bucket.wakes                 word = new value
//     word == value?                      lock; wakes++; wake those queued; unlock
//     lock; wakes == seen? queue : again
//
// Inheritance: the word's low 30 bits are the owner's thread id. Waiters hang on their owner (thread.pi_waiters), who
// runs at least as urgently as they do; and so does whom the owner waits for.
// Locks, in order: buckets by address, then the lock of inheritance, both leaves but for waking.
#pragma once
#include "kernel/core/types.h"

struct thread;

enum { FUTEX_SHARED = 1 << 0, FUTEX_INHERIT = 1 << 1 };

void futex_init(void);
// 0 when woken; -EAGAIN the value differs; -EFAULT; -ETIMEDOUT, -EINTR; with FUTEX_INHERIT 1 (the word was handed over to the
// caller), -EDEADLK (the owner waits for the caller, or is it), -ENOENT (nobody has the owner's id) and -EOWNERDEAD (the owner has
// ended meanwhile: the caller tries to take the word over).
[[nodiscard]] int64_t futex_wait(uint64_t address, uint32_t value, uint32_t mask, nanos_t deadline, uint32_t flags);
// Wakes up to count waiters whose mask meets this one, the longest waiting first; with FUTEX_INHERIT the most urgent
// first, and the first one woken counts as the owner for those that go on waiting.
[[nodiscard]] int64_t futex_wake(uint64_t address, uint32_t count, uint32_t mask, uint32_t flags);
// If the word has the value: hands it over to the most urgent waiter with FUTEX_INHERIT, whose id is then in it, with bit 31 and
// `bits`; the others wait for that one. 1; or 0, when nobody waits, and the word is `bits`. -EAGAIN, -EINVAL, -EFAULT.
[[nodiscard]] int64_t futex_hand_over(uint64_t address, uint32_t value, uint32_t bits, uint32_t flags);
// If the word has the value: wakes up to `wake`, moves up to `move` others to `target`. Returns how many in all.
[[nodiscard]] int64_t futex_requeue(uint64_t address, uint32_t wake, uint64_t target, uint32_t move, uint32_t value,
                                    uint32_t flags);
// The thread's priority was changed: so may be what it lends to the owner that it waits for.
void futex_priority_changed(struct thread *t);
// The running thread ends: those that wait for it get -EOWNERDEAD.
void futex_thread_exit(struct thread *t);
// It goes on as a new one after all: it may be waited for again.
void futex_thread_restart(struct thread *t);
