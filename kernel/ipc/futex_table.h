// The table of futex waiters. Pure but for its locks and waking: tested on the host. Internal to kernel/ipc.
#pragma once
#include "kernel/ipc/futex.h"
#include "kernel/sched/sched.h"

#define FUTEX_BUCKETS 256

// The identity of a word. `space` is a struct aspace or, if shared, a struct vmo.
struct futex_key {
    const void *space;
    uint64_t offset;
};

struct futex_bucket {
    struct spinlock lock;
    uint32_t wakes;       // wake-ups so far, changed under lock, read without
    struct list waiters;  // by wait.node; wait.data: see below
} cacheline_aligned;

// wait.data of a futex waiter: the key's two words, then mask | flags << 32.
static inline struct futex_key futex_key_of(const struct thread *t) {
    return (struct futex_key){(const void *)t->wait.data[0], t->wait.data[1]};
}
static inline uint32_t futex_mask_of(const struct thread *t) { return (uint32_t)t->wait.data[2]; }
static inline uint32_t futex_flags_of(const struct thread *t) { return (uint32_t)(t->wait.data[2] >> 32); }

void futex_table_init(void);
struct futex_bucket *futex_bucket_of(struct futex_key key);
static inline uint32_t futex_bucket_wakes(struct futex_bucket *b) { return __atomic_load_n(&b->wakes, __ATOMIC_ACQUIRE); }
// Queues the running thread in b, whose lock is held and released; sleep with wait_block.
void futex_queue_unlock(struct futex_bucket *b, struct futex_key key, uint32_t mask, uint32_t flags);
// The following look at all waiters of a bucket. Its lock, and that of `other` or `target` (the same bucket counts once),
// is held at entry and exit and let go in between for preemption points; who begins to wait meanwhile is not met.
// Wakes up to count waiters of the key.
uint32_t futex_wake_locked(struct futex_bucket *b, struct futex_bucket *other, struct futex_key key, uint32_t count,
                           uint32_t mask);
// The most urgent waiter of the key, of equals the one that waited longest, or NULL. It waits as long as the lock is held.
struct thread *futex_most_urgent_locked(struct futex_bucket *b, struct futex_key key, uint32_t mask);
// Wakes a waiter of a bucket whose lock is held. It may have ended when this returns.
void futex_wake_one_locked(struct thread *t);
void futex_give_locked(struct thread *t);  // the same; it was handed what it waits for
// Those that wait for the key now wait for owner, to which the caller has a reference. -EOWNERDEAD ends their wait when it
// has ended.
void futex_hand_on_locked(struct futex_bucket *b, struct futex_key key, struct thread *owner);
// Moves up to count waiters of `from` to `to`. The caller holds references to both, if they are VMOs.
uint32_t futex_move_locked(struct futex_bucket *b, struct futex_key from, struct futex_bucket *target, struct futex_key to,
                           uint32_t count);
void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b);
void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b);

// ---- inheritance (futex_inherit.c) -------------------------------------------------------------------------------------
// Bucket lock held. Makes the running thread wait for `owner`: 0, -EDEADLK, -EOWNERDEAD.
[[nodiscard]] int futex_inherit_begin(struct thread *owner);
// t does not wait for its owner any more. Bucket lock held.
void futex_inherit_end(struct thread *t);
// t now waits for `owner`; false, and nothing changed, when that has ended. Bucket lock held.
[[nodiscard]] bool futex_inherit_move(struct thread *t, struct thread *owner);
