// Locks that sleep. The owner word is the fast way in and out; the queue's lock guards everything else. A waiter sets
// MUTEX_CONTENDED under that lock, and then only the slow way out, which takes it too, changes the owner.
#include "kernel/sched/mutex.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"

#define MUTEX_CONTENDED 1ul

static inline struct thread *tagged(struct thread *t, uintptr_t bits) { return (struct thread *)((uintptr_t)t | bits); }
static inline struct thread *owner_of(const struct mutex *m) {
    return (struct thread *)((uintptr_t)__atomic_load_n(&m->owner, __ATOMIC_RELAXED) & ~MUTEX_CONTENDED);
}

void mutex_init(struct mutex *m, const char *name) {
    m->owner = NULL;
    wait_queue_init(&m->queue, name);
}

bool mutex_is_held(const struct mutex *m) { return owner_of(m) == current_thread(); }

bool mutex_trylock(struct mutex *m) {
    struct thread *nobody = NULL;
    return __atomic_compare_exchange_n(&m->owner, &nobody, current_thread(), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

// Makes the owner take the slow way out. Returns false when the mutex was free and is ours now. queue.lock is held.
static bool contend(struct mutex *m) {
    while (!mutex_trylock(m)) {
        struct thread *owner = __atomic_load_n(&m->owner, __ATOMIC_RELAXED);
        if (owner != NULL && __atomic_compare_exchange_n(&m->owner, &owner, tagged(owner, MUTEX_CONTENDED), false,
                                                         __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

static coldpath void lock_slowly(struct mutex *m) {
    spin_lock(&m->queue.lock);
    if (!contend(m)) {
        spin_unlock(&m->queue.lock);
        return;
    }
    wait_queue_join_always_unlock(&m->queue);
    wait_block_always();
    assert(mutex_is_held(m));
}

void mutex_lock(struct mutex *m) {
    assert(!mutex_is_held(m));
    if (unlikely(!mutex_trylock(m))) lock_slowly(m);
}

// Waits in the queue, whose lock is held and released. 0: who woke it has given it the lock; -EINTR: killed; -EAGAIN: an interrupt
// that came before the wait was known to be none for those: ask again.
static int wait_killable_unlock(struct wait_queue *q) {
    wait_queue_join_unlock(q, NULL, NULL);
    int64_t result = wait_block_killable(TIME_NEVER);
    return result == 0 ? 0 : result == -EINTR ? -EAGAIN : -EINTR;
}

static coldpath int lock_slowly_killable(struct mutex *m) {
    int error = -EAGAIN;
    while (error == -EAGAIN) {
        spin_lock(&m->queue.lock);
        if (!contend(m)) {
            spin_unlock(&m->queue.lock);
            return 0;
        }
        error = wait_killable_unlock(&m->queue);
    }
    return error;
}

int mutex_lock_killable(struct mutex *m) {
    assert(!mutex_is_held(m));
    return likely(mutex_trylock(m)) ? 0 : lock_slowly_killable(m);
}

// Hands the mutex to the longest waiter, if there is one: who waited may have been killed.
static coldpath void unlock_slowly(struct mutex *m) {
    spin_lock(&m->queue.lock);
    struct list_node *first = list_pop_front(&m->queue.waiters);
    if (first == NULL) {
        __atomic_store_n(&m->owner, NULL, __ATOMIC_RELEASE);
        spin_unlock(&m->queue.lock);
        return;
    }
    struct thread *next = container_of(first, struct thread, wait.node);
    bool more = !list_is_empty(&m->queue.waiters);
    __atomic_store_n(&m->owner, tagged(next, more ? MUTEX_CONTENDED : 0), __ATOMIC_RELEASE);
    wait_wake_locked(next, 0);
    spin_unlock(&m->queue.lock);
}

void mutex_unlock(struct mutex *m) {
    assert(mutex_is_held(m));
    struct thread *self = current_thread();
    if (unlikely(!__atomic_compare_exchange_n(&m->owner, &self, NULL, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)))
        unlock_slowly(m);
}

// ---- readers and writers ------------------------------------------------------------------------------------------------

void rw_mutex_init(struct rw_mutex *m, const char *name) {
    m->readers = 0;
    m->writing = false;
    wait_queue_init(&m->queue, name);
}

// Waits its turn; whoever wakes it has counted it in.
static void join(struct rw_mutex *m, bool write) {
    current_thread()->wait.data[0] = write;
    wait_queue_join_always_unlock(&m->queue);
    wait_block_always();
}

void rw_mutex_lock_shared(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    if (unlikely(m->writing || !list_is_empty(&m->queue.waiters))) {
        join(m, false);
        return;
    }
    m->readers++;
    spin_unlock(&m->queue.lock);
}

void rw_mutex_lock(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    if (unlikely(m->writing || m->readers > 0)) {
        join(m, true);
        return;
    }
    m->writing = true;
    spin_unlock(&m->queue.lock);
}

static void let_in_unlock(struct rw_mutex *m);

// The same, killable. Who leaves the queue may have been what others stood behind.
static int join_killable(struct rw_mutex *m, bool write) {
    for (;;) {
        current_thread()->wait.data[0] = write;
        int error = wait_killable_unlock(&m->queue);
        if (error == 0) return 0;
        spin_lock(&m->queue.lock);
        bool free = !m->writing && (write ? m->readers == 0 : true) && list_is_empty(&m->queue.waiters);
        if (error == -EAGAIN && !free) continue;
        if (error == -EAGAIN && write) m->writing = true;
        else if (error == -EAGAIN) m->readers++;
        let_in_unlock(m);
        return error == -EAGAIN ? 0 : error;
    }
}

int rw_mutex_lock_shared_killable(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    if (unlikely(m->writing || !list_is_empty(&m->queue.waiters))) return join_killable(m, false);
    m->readers++;
    spin_unlock(&m->queue.lock);
    return 0;
}

int rw_mutex_lock_killable(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    if (unlikely(m->writing || m->readers > 0)) return join_killable(m, true);
    m->writing = true;
    spin_unlock(&m->queue.lock);
    return 0;
}

// Lets in who is first: a writer alone, or readers up to the next writer.
static void let_in_unlock(struct rw_mutex *m) {
    while (!list_is_empty(&m->queue.waiters) && !m->writing) {
        struct thread *t = container_of(list_first(&m->queue.waiters), struct thread, wait.node);
        bool write = t->wait.data[0];
        if (write && m->readers > 0) break;
        list_remove(&t->wait.node);
        if (write) m->writing = true;
        else m->readers++;
        wait_wake_locked(t, 0);
    }
    spin_unlock(&m->queue.lock);
}

void rw_mutex_unlock_shared(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    assert(m->readers > 0);
    m->readers--;
    let_in_unlock(m);
}

void rw_mutex_unlock(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    assert(m->writing);
    m->writing = false;
    let_in_unlock(m);
}

void rw_mutex_downgrade(struct rw_mutex *m) {
    spin_lock(&m->queue.lock);
    assert(m->writing);
    m->writing = false;
    m->readers++;
    let_in_unlock(m);
}

// ---- completions --------------------------------------------------------------------------------------------------------

void completion_init(struct completion *c, const char *name) {
    c->done = false;
    wait_queue_init(&c->queue, name);
}

void completion_signal(struct completion *c) {
    spin_lock(&c->queue.lock);
    c->done = true;
    (void)wait_queue_wake_locked(&c->queue, UINT32_MAX, 0);
    spin_unlock(&c->queue.lock);
}

void completion_wait(struct completion *c) {
    spin_lock(&c->queue.lock);
    if (c->done) {
        spin_unlock(&c->queue.lock);
        return;
    }
    wait_queue_join_always_unlock(&c->queue);
    wait_block_always();
    // It often lies on this stack: the signaller, on another CPU, must be out of it first.
    spin_lock(&c->queue.lock);
    spin_unlock(&c->queue.lock);
}
