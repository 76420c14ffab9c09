#include "kernel/ipc/futex_table.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/sched/wait_walk.h"
#include "kernel/mm/vmo.h"

static struct futex_bucket buckets[FUTEX_BUCKETS];

#define RANK_TRIES 4  // ranks may change while the most urgent waiter is looked for

void futex_table_init(void) {
    for (unsigned i = 0; i < FUTEX_BUCKETS; i++) {
        spin_init(&buckets[i].lock, "futex");
        list_init(&buckets[i].waiters);
    }
}

struct futex_bucket *futex_bucket_of(struct futex_key key) {
    uint64_t hash = ((uint64_t)key.space >> 4 ^ key.offset >> 2) * 0x9e3779b97f4a7c15ull;
    return &buckets[hash >> 56 & (FUTEX_BUCKETS - 1)];
}

static bool same_key(const struct thread *t, struct futex_key key) {
    return t->wait.data[0] == (uint64_t)key.space && t->wait.data[1] == key.offset;
}

static void unlink_waiter(struct thread *t) {
    list_remove(&t->wait.node);
    if (t->pi_owner != NULL) futex_inherit_end(t);
}

void futex_queue_unlock(struct futex_bucket *b, struct futex_key key, uint32_t mask, uint32_t flags) {
    struct thread *t = current_thread();
    t->wait.data[0] = (uint64_t)key.space;
    t->wait.data[1] = key.offset;
    t->wait.data[2] = mask | (uint64_t)flags << 32;
    list_push_back(&b->waiters, &t->wait.node);
    wait_prepare(&b->lock, unlink_waiter, NULL, NULL);
    spin_unlock(&b->lock);
}

// Lets others at the bucket, or at both, after each piece of a walk.
static void rest_if_long(struct wait_walk *walk, struct futex_bucket *b, struct futex_bucket *other) {
    if (!wait_walk_is_long(walk)) return;
    wait_walk_park(walk);
    futex_unlock_two(b, other);
    (void)sched_preempt_point();
    futex_lock_two(b, other);
    wait_walk_resume(walk);
}

static bool is_meant(const struct thread *t, struct futex_key key, uint32_t mask) {
    return same_key(t, key) && (futex_mask_of(t) & mask) != 0;
}

static void end_wait(struct thread *t, int64_t result) {
    unlink_waiter(t);
    wait_wake_locked(t, result);
}

void futex_wake_one_locked(struct thread *t) { end_wait(t, 0); }
void futex_give_locked(struct thread *t) { end_wait(t, 1); }

static void note_wake(struct futex_bucket *b) { __atomic_store_n(&b->wakes, b->wakes + 1, __ATOMIC_RELEASE); }

uint32_t futex_wake_locked(struct futex_bucket *b, struct futex_bucket *other, struct futex_key key, uint32_t count,
                           uint32_t mask) {
    struct wait_walk walk;
    uint32_t woken = 0;
    note_wake(b);
    wait_walk_begin(&walk, &b->waiters);
    for (struct thread *t; woken < count && (t = wait_walk_next(&walk)) != NULL; rest_if_long(&walk, b, other)) {
        if (!is_meant(t, key, mask)) continue;
        futex_wake_one_locked(t);
        woken++;
    }
    wait_walk_end(&walk);
    return woken;
}

// The first waiter of at least this rank. *highest becomes the highest rank of those that were passed.
static struct thread *find_rank(struct futex_bucket *b, struct futex_key key, uint32_t mask, uint8_t least,
                                uint8_t *highest) {
    struct wait_walk walk;
    struct thread *t;
    wait_walk_begin(&walk, &b->waiters);
    for (; (t = wait_walk_next(&walk)) != NULL; rest_if_long(&walk, b, b)) {
        if (!is_meant(t, key, mask)) continue;
        uint8_t rank = sched_rank(t);
        if (rank >= least) break;
        if (rank > *highest) *highest = rank;
    }
    wait_walk_end(&walk);
    return t;
}

struct thread *futex_most_urgent_locked(struct futex_bucket *b, struct futex_key key, uint32_t mask) {
    struct thread *t = NULL;
    note_wake(b);
    for (unsigned tries = 0; t == NULL && tries < RANK_TRIES; tries++) {
        uint8_t highest = RANK_NONE, passed = RANK_NONE;
        t = find_rank(b, key, mask, UINT8_MAX, &highest);
        if (t == NULL && highest == RANK_NONE) break;  // nobody waits
        if (t == NULL) t = find_rank(b, key, mask, tries + 1 < RANK_TRIES ? highest : RANK_NONE, &passed);
    }
    return t;
}

void futex_hand_on_locked(struct futex_bucket *b, struct futex_key key, struct thread *owner) {
    struct wait_walk walk;
    wait_walk_begin(&walk, &b->waiters);
    for (struct thread *t; (t = wait_walk_next(&walk)) != NULL; rest_if_long(&walk, b, b)) {
        if (!same_key(t, key) || t->pi_owner == NULL || futex_inherit_move(t, owner)) continue;
        end_wait(t, -EOWNERDEAD);
    }
    wait_walk_end(&walk);
}

// t waits for the word `to` from now on; in shared memory with a reference to that one's VMO.
static void move(struct thread *t, struct futex_bucket *b, struct futex_bucket *target, struct futex_key to) {
    void *old = (void *)t->wait.data[0];
    t->wait.data[0] = (uint64_t)to.space;
    t->wait.data[1] = to.offset;
    // Neither is the last one: the running thread holds both. And before the lock is free, as t may wake then.
    if (futex_flags_of(t) & FUTEX_SHARED) {
        vmo_get((struct vmo *)to.space);
        vmo_put(old);
    }
    if (target == b) return;
    list_remove(&t->wait.node);
    list_push_back(&target->waiters, &t->wait.node);
    // Who cancels t reads this again once it has the lock.
    __atomic_store_n(&t->wait.lock, &target->lock, __ATOMIC_RELEASE);
}

uint32_t futex_move_locked(struct futex_bucket *b, struct futex_key from, struct futex_bucket *target, struct futex_key to,
                           uint32_t count) {
    struct wait_walk walk;
    uint32_t moved = 0;
    wait_walk_begin(&walk, &b->waiters);
    for (struct thread *t; moved < count && (t = wait_walk_next(&walk)) != NULL; rest_if_long(&walk, b, target)) {
        if (!same_key(t, from)) continue;
        move(t, b, target, to);
        moved++;
    }
    wait_walk_end(&walk);
    return moved;
}

void futex_lock_two(struct futex_bucket *a, struct futex_bucket *b) {
    struct futex_bucket *low = a < b ? a : b, *high = a < b ? b : a;
    spin_lock(&low->lock);
    if (high != low) spin_lock(&high->lock);
}

void futex_unlock_two(struct futex_bucket *a, struct futex_bucket *b) {
    if (a != b) spin_unlock(&b->lock);
    spin_unlock(&a->lock);
}
