#include "kernel/ipc/futex_table.h"

#include "kernel/core/assert.h"

static struct futex_bucket buckets[FUTEX_BUCKETS];

#define thread_of_node(n) container_of(n, struct thread, wait.node)

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

// The waiter to wake next: the first, or among those that inherit the first of the most urgent.
static struct thread *find_waiter(struct futex_bucket *b, struct futex_key key, uint32_t mask, bool inherit) {
    struct thread *best = NULL;
    list_for_each(node, &b->waiters) {
        struct thread *t = thread_of_node(node);
        if (!same_key(t, key) || (futex_mask_of(t) & mask) == 0) continue;
        if (!inherit) return t;
        if (best == NULL || sched_rank(t) > sched_rank(best)) best = t;
    }
    return best;
}

uint32_t futex_wake_locked(struct futex_bucket *b, struct futex_key key, uint32_t count, uint32_t mask, bool inherit,
                           struct thread **first) {
    uint32_t woken = 0;
    __atomic_store_n(&b->wakes, b->wakes + 1, __ATOMIC_RELEASE);
    for (; woken < count; woken++) {
        struct thread *t = find_waiter(b, key, mask, inherit);
        if (t == NULL) break;
        if (woken == 0) *first = t;
        unlink_waiter(t);
        wait_wake_locked(t, 0);
    }
    return woken;
}

uint32_t futex_move_locked(struct futex_bucket *b, struct futex_key from, struct futex_bucket *target, struct futex_key to,
                           uint32_t count) {
    uint32_t moved = 0;
    list_for_each_safe(node, &b->waiters) {
        if (moved == count) break;
        struct thread *t = thread_of_node(node);
        if (!same_key(t, from)) continue;
        t->wait.data[0] = (uint64_t)to.space;
        t->wait.data[1] = to.offset;
        moved++;
        if (target == b) continue;
        list_remove(node);
        list_push_back(&target->waiters, node);
        // Who cancels t reads this again once it has the lock.
        __atomic_store_n(&t->wait.lock, &target->lock, __ATOMIC_RELEASE);
    }
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
