// Who asks, and waits for the answer.
#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/fs/fuse/internal.h"

// The lock is held: a thread of the driver's that may have the caller's CPU, and is to be given it. NULL: there is none.
static struct thread *claim_driver_locked(struct fuse_connection *c) {
    struct list_node *first = list_first(&c->idle.waiters);
    struct thread *t = first != NULL ? list_entry(first, struct thread, wait.node) : NULL;
    if (t == NULL || current_thread()->aspace == NULL || !sched_can_switch(t)) return NULL;
    list_remove(first);
    wait_claim_locked(t, 0);
    return t;
}

// ---- callers ------------------------------------------------------------------------------------------------------------

static void unlink_caller(struct thread *t) {
    struct fuse_request *r = t->wait.object;
    list_remove(&t->wait.node);
    if (r != NULL) r->waiter = NULL;
}

// The lock is held and released. 0: woken, look again. `next`, if there is one, gets the CPU.
static int wait_unlock(struct fuse_connection *c, struct list *row, struct fuse_request *r, nanos_t deadline, struct thread *next) {
    struct thread *t = current_thread();
    list_push_back(row, &t->wait.node);
    if (r != NULL) r->waiter = t;
    wait_prepare(&c->idle.lock, unlink_caller, NULL, r);
    spin_unlock(&c->idle.lock);
    int64_t result = next != NULL ? wait_block_lend_killable(deadline, next) : wait_block_killable(deadline);
    return result == -EINTR ? 0 : (int)result;
}

// Whether it can be asked now: 0 with the lock held.
static inline __attribute__((always_inline)) int begin_call(struct fuse_connection *c, const struct fuse_request *r, nanos_t deadline) {
    for (;;) {
        spin_lock(&c->idle.lock);
        uint64_t self = fuse_current_process();
        bool waits = c->state == FUSE_STARTING || fuse_waits_for_next_locked(c);
        int error = c->state == FUSE_ENDED || (c->state == FUSE_GONE && !waits) ? -ENOTCONN : 0;
        if (error == 0 && self != 0 && self == c->driver) error = -EDEADLK;
        if (error == 0 && !waits && !c->stateless && r->epoch != FUSE_ANY_EPOCH && r->epoch != c->epoch) error = -ESTALE;
        if (error == 0 && c->counts.queued + c->counts.sent >= FUSE_REQUESTS_MAX) error = -EBUSY;
        if (error == 0 && !waits) return 0;
        if (error == 0) error = wait_unlock(c, &c->starting, NULL, deadline, NULL);
        else spin_unlock(&c->idle.lock);
        if (error != 0) return error;
    }
}

// The driver has it and is to be told, once, that nobody cares any more.
static void interrupt_locked(struct fuse_connection *c, struct fuse_request *r) {
    if (list_node_is_linked(&r->interrupt_node)) return;
    list_push_back(&c->interrupts, &r->interrupt_node);
    c->counts.interrupts++;
    fuse_wake_driver_locked(c);
}

static void orphan_locked(struct fuse_connection *c, struct fuse_request *r) {
    r->state = FUSE_ORPHANED;
    interrupt_locked(c, r);
}

// The caller goes. What the driver has stays in the table without the caller's pages; the request is a copy of nothing then.
static int leave_unlock(struct fuse_connection *c, struct fuse_request *r, int error) {
    fuse_await_copy_locked(c, r);
    if (r->state == FUSE_DONE) error = r->error;
    bool silent = error == -ETIMEDOUT && r->state == FUSE_SENT && c->heard <= r->sent;
    if (error == -ETIMEDOUT && r->state != FUSE_DONE) c->counts.timeouts++;
    bool untaken = error == -ETIMEDOUT && r->state == FUSE_QUEUED && c->heard + c->timeout <= arch_now();
    if (r->state == FUSE_QUEUED) {
        list_remove(&r->node);
        c->counts.queued--;
        r->state = FUSE_DONE;
    } else if (r->state == FUSE_SENT) {
        r->pages = NULL;
        r->space = NULL;
        orphan_locked(c, r);
    }
    spin_unlock(&c->idle.lock);
    if (silent || untaken) fuse_connection_lose(c, "its driver does not answer");
    else fuse_announce(c);
    return error;
}

// A driver that does not even answer INIT is waited for once.
static void give_up_silent(struct fuse_connection *c) {
    spin_lock(&c->idle.lock);
    bool silent = c->state == FUSE_STARTING && c->heard + c->timeout <= arch_now();
    spin_unlock(&c->idle.lock);
    if (silent) fuse_connection_lose(c, "its driver does not begin");
}

int fuse_call(struct fuse_connection *c, struct fuse_request *r) {
    nanos_t deadline = arch_now() + c->timeout;
    int error = begin_call(c, r, deadline);
    if (error == -ETIMEDOUT) give_up_silent(c);
    if (error != 0) return error == -ECANCELED ? -EINTR : error;
    fuse_enqueue_locked(c, r);
    bool watched = c->changed != NULL && c->watched(c);
    struct thread *next = watched ? NULL : claim_driver_locked(c);
    if (next == NULL) fuse_wake_driver_locked(c);
    if (watched) {
        spin_unlock(&c->idle.lock);
        c->changed(c);
        spin_lock(&c->idle.lock);
    }
    while (r->state != FUSE_DONE && error == 0) {
        error = wait_unlock(c, &c->callers, r, deadline, next);
        next = NULL;
        spin_lock(&c->idle.lock);
    }
    if (r->state != FUSE_DONE) return leave_unlock(c, r, error == -ECANCELED ? -EINTR : error);
    error = r->error;
    spin_unlock(&c->idle.lock);
    return error;
}

// ---- callers with patience ------------------------------------------------------------------------------------------------

// The lock is held, let go, and held again. -EINTR: interrupted, unless only a kill is to end it.
static int wait_via_locked(struct fuse_connection *c, struct fuse_request *r, kpio_handle via, nanos_t deadline, bool killable) {
    struct thread *t = current_thread();
    struct handle *h = fuse_current_handle(via);
    if (h == NULL) return -ECANCELED;
    list_push_back(&c->callers, &t->wait.node);
    r->waiter = t;
    wait_prepare(&c->idle.lock, unlink_caller, h, r);
    spin_unlock(&c->idle.lock);
    int error = (int)(killable ? wait_block_killable(deadline) : wait_block_slowly(deadline));
    spin_lock(&c->idle.lock);
    return killable && error == -EINTR ? 0 : error;
}

// The lock is held. 0: the driver was told, and answers yet.
static int interrupted_locked(struct fuse_connection *c, struct fuse_request *r) {
    fuse_await_copy_locked(c, r);
    if (r->state != FUSE_SENT) return -EINTR;
    interrupt_locked(c, r);
    return 0;
}

__attribute__((cold)) int fuse_call_patiently(struct fuse_connection *c, struct fuse_request *r, kpio_handle via, nanos_t deadline) {
    int error = begin_call(c, r, arch_now() + c->timeout);
    if (error == -ETIMEDOUT) give_up_silent(c);
    if (error != 0) return error;
    fuse_enqueue_locked(c, r);
    fuse_wake_driver_locked(c);
    spin_unlock(&c->idle.lock);
    fuse_announce(c);
    spin_lock(&c->idle.lock);
    for (bool told = false; r->state != FUSE_DONE && error == 0;) {
        error = wait_via_locked(c, r, via, deadline, told);
        if (error != -EINTR) continue;
        error = interrupted_locked(c, r);
        told = true;
    }
    if (r->state != FUSE_DONE) {
        int left = leave_unlock(c, r, -EINTR);  // which a driver cannot be blamed for
        return left == -EINTR ? error : left;
    }
    error = r->error;
    spin_unlock(&c->idle.lock);
    return error;
}

void fuse_cancel_calls(struct fuse_connection *c, const struct handle *via) {
    spin_lock(&c->idle.lock);
    list_for_each_entry_safe(t, &c->callers, struct thread, wait.node) {
        if (t->wait.via != via) continue;
        unlink_caller(t);
        wait_wake_locked(t, -ECANCELED);
    }
    spin_unlock(&c->idle.lock);
}
