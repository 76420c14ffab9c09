// Priority inheritance through futexes: waiters hang on their owner, and urgency goes up the chain of owners.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/futex_table.h"
#include "kernel/sched/wait_walk.h"

#define CHAIN_MAX 64  // owners that wait for owners; a longer chain is taken for a dead-lock

// Guards pi_waiters, pi_node, pi_owner, pi_boost and pi_closed of all threads. Taken inside a bucket's lock.
static struct spinlock inherit_lock = SPINLOCK_INIT("futex inheritance");

static uint8_t highest_waiter(const struct thread *owner) {
    uint8_t rank = RANK_NONE;
    list_for_each(node, &owner->pi_waiters) {
        uint8_t own = sched_rank(container_of(node, struct thread, pi_node));
        if (own > rank) rank = own;
    }
    return rank;
}

// Makes the owners along the chain as urgent as who waits for them; stops where nothing changes.
static void update_chain(struct thread *owner) {
    for (unsigned step = 0; owner != NULL && step < CHAIN_MAX; step++) {
        uint8_t rank = highest_waiter(owner);
        if (rank == owner->pi_boost) return;
        // What it inherits through IPC is part of boost too, and stays until that call ends.
        uint8_t boost = owner->boost == owner->pi_boost || rank > owner->boost ? rank : owner->boost;
        owner->pi_boost = rank;
        sched_set_boost(owner, boost);
        owner = owner->pi_owner;
    }
}

int futex_inherit_begin(struct thread *owner) {
    struct thread *self = current_thread();
    int error = 0;
    spin_lock(&inherit_lock);
    const struct thread *on = owner;
    for (unsigned step = 0; on != NULL && error == 0; step++) {
        if (on == self || step == CHAIN_MAX) error = -EDEADLK;
        on = on->pi_owner;
    }
    if (error == 0 && owner->pi_closed) error = -EOWNERDEAD;
    if (error == 0) {
        self->pi_owner = owner;
        list_push_back(&owner->pi_waiters, &self->pi_node);
        update_chain(owner);
    }
    spin_unlock(&inherit_lock);
    return error;
}

static void detach(struct thread *t) {
    struct thread *owner = t->pi_owner;
    list_remove(&t->pi_node);
    t->pi_owner = NULL;
    update_chain(owner);
}

void futex_inherit_end(struct thread *t) {
    spin_lock(&inherit_lock);
    if (t->pi_owner != NULL) detach(t);
    spin_unlock(&inherit_lock);
}

bool futex_inherit_move(struct thread *t, struct thread *owner) {
    spin_lock(&inherit_lock);
    bool alive = !owner->pi_closed;
    if (alive && t->pi_owner != NULL && t->pi_owner != owner) {
        detach(t);
        t->pi_owner = owner;
        list_push_back(&owner->pi_waiters, &t->pi_node);
        update_chain(owner);
    }
    spin_unlock(&inherit_lock);
    return alive;
}

void futex_priority_changed(struct thread *t) {
    spin_lock(&inherit_lock);
    if (t->pi_owner != NULL) update_chain(t->pi_owner);
    spin_unlock(&inherit_lock);
}

static struct thread *first_waiter(struct thread *owner) {
    spin_lock(&inherit_lock);
    owner->pi_closed = true;
    struct list_node *node = list_first(&owner->pi_waiters);
    spin_unlock(&inherit_lock);
    return node == NULL ? NULL : container_of(node, struct thread, pi_node);
}

// A waiter leaves the list under its bucket's lock, before it is woken; so under that lock pi_owner tells whether it
// still waits for the one that ends.
void futex_thread_exit(struct thread *owner) {
    struct thread *t;
    for (unsigned i = 1; (t = first_waiter(owner)) != NULL; i++) {
        if (i % WAIT_WALK_STEP == 0 && owner == current_thread()) {
            sched_preempt_point();
            continue;
        }
        struct spinlock *lock = __atomic_load_n(&t->wait.lock, __ATOMIC_ACQUIRE);
        if (lock == NULL) {
            cpu_relax();
            continue;
        }
        spin_lock(lock);
        if (t->wait.lock == lock && t->pi_owner == owner) {
            t->wait.unlink(t);
            wait_wake_locked(t, -EOWNERDEAD);
        }
        spin_unlock(lock);
    }
}

void futex_thread_restart(struct thread *t) {
    spin_lock(&inherit_lock);
    t->pi_closed = false;
    spin_unlock(&inherit_lock);
}
