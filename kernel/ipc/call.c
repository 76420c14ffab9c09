// Calls, sends, receives and replies: everything but the hand-tuned way, which is call.h.
#include "kernel/ipc/call.h"

#include "kernel/ipc/ipc_exit.h"
#include "kernel/object/process.h"

#define thread_of_node(n) container_of(n, struct thread, wait.node)

void sender_unlink(struct thread *t) {
    if (t->server) {
        // In this order, and claim_caller reads in the other: the server looks without the lock.
        __atomic_store_n(&t->server->caller_gone, true, __ATOMIC_RELAXED);
        __atomic_store_n(&t->server->caller, NULL, __ATOMIC_RELEASE);
        __atomic_store_n(&t->server->caller_endpoint, NULL, __ATOMIC_RELEASE);
        t->server = NULL;
    } else if (t->saved) {
        t->saved->caller = NULL;
        list_remove(&t->saved->node);
        t->saved = NULL;
    } else {
        list_remove(&t->wait.node);
    }
}

// The rare way off the stack of idle receivers: it is searched.
void receiver_unlink(struct thread *t) {
    struct endpoint *e = t->wait.object;
    struct thread **link = &e->idle;
    while (*link != t) link = &(*link)->next_idle;
    *link = t->next_idle;
}

// ---- calling --------------------------------------------------------------------------------------------------------

// A real-time caller goes before those of lower rank, all others to the end.
static void enqueue_caller(struct endpoint *e, struct thread *t) {
    uint8_t rank = sched_rank(t);
    if (rank >= RANK_REALTIME) {
        for (struct list_node *n = list_first(&e->callers); n; n = list_next(&e->callers, n)) {
            if (sched_rank(thread_of_node(n)) >= rank) continue;
            list_insert_before(n, &t->wait.node);
            return;
        }
    }
    list_push_back(&e->callers, &t->wait.node);
}

// Busy receivers run at least as urgently as the real-time thread that waits for them.
static void inherit(struct endpoint *e, struct thread *waiter) {
    if (sched_rank(waiter) < RANK_REALTIME) return;
    for (struct list_node *n = list_first(&e->bound); n; n = list_next(&e->bound, n))
        sched_inherit(container_of(n, struct thread, bound_node), waiter);
}

// e->lock is held and released. Waits in the queue for a receiver, and for the reply if it is a call.
static int64_t wait_in_queue(struct endpoint *e, struct handle *via, uint64_t message, nanos_t deadline, bool send) {
    struct thread *self = current_thread();
    self->message = message;
    self->badge = via->badge;
    self->server = NULL;
    self->ipc_sequence++;
    self->sending = send;
    enqueue_caller(e, self);
    inherit(e, self);
    wait_prepare(&e->lock, sender_unlink, via, e);
    spin_unlock(&e->lock);
    object_signal(&e->object);
    if (deadlock_found(e)) return -EDEADLK;
    return wait_block(deadline);
}

// e->lock is held and released: an idle receiver takes a message that carries handles, or a send.
static int64_t hand_over(struct endpoint *e, struct thread *r, struct handle *via, uint64_t message, nanos_t deadline,
                         bool send) {
    struct thread *self = current_thread();
    unsigned handles = KPIO_MESSAGE_HANDLES(message);
    e->idle = r->next_idle;
    wait_claim_locked(r, (int64_t)message);
    uint64_t badge = via->badge;
    spin_unlock(&e->lock);
    message_handles_pass(self, r, handles);
    message_copy(r, self, message);
    r->block->badge = badge;
    if (send) {
        sched_wake(r);
        return 0;
    }
    spin_lock(&e->lock);
    if (unlikely(!via->value)) {  // closed meanwhile: nobody would end this wait any more, and the endpoint may be gone too
        r->caller_gone = true;
        spin_unlock(&e->lock);
        sched_wake(r);
        return -ECANCELED;
    }
    begin_service(e, self, r, via, message);
    spin_unlock(&e->lock);
    if (sched_can_switch(r)) return wait_block_lend(deadline, r);
    sched_wake(r);
    return wait_block(deadline);
}

static int64_t call_slowly(struct handle *via, uint64_t message, nanos_t deadline, bool send) {
    struct endpoint *e = endpoint_of(via->object);
    if (!message_is_valid(message)) return -EINVAL;
    int error = message_handles_check(KPIO_MESSAGE_HANDLES(message));
    if (error) return error;
    spin_lock(&e->lock);
    if (e->closed) {
        spin_unlock(&e->lock);
        return -EPIPE;
    }
    if (!via->value) {  // closed or moved since the lookup: handle_gone may have looked already
        spin_unlock(&e->lock);
        return -EBADF;
    }
    if (!e->idle) return wait_in_queue(e, via, message, deadline, send);
    return hand_over(e, e->idle, via, message, deadline, send);
}

int64_t ipc_call_slowly(struct handle *via, uint64_t message, nanos_t deadline) {
    return call_slowly(via, message, deadline, false);
}

int64_t ipc_call_unlock_slowly(struct handle *via, uint64_t message, nanos_t deadline) {
    spin_unlock(&endpoint_of(via->object)->lock);
    return call_slowly(via, message, deadline, false);
}

int64_t ipc_send(struct handle *via, uint64_t message, nanos_t deadline) {
    return call_slowly(via, message, deadline, true);
}

// ---- receiving ------------------------------------------------------------------------------------------------------

static void bind_locked(struct endpoint *e, struct thread *t) {
    t->bound = e;
    list_push_back(&e->bound, &t->bound_node);
    e->bound_count++;
}

// Takes t off the endpoint that counts it. t->bind_lock is held. The endpoint may end meanwhile and let go of t itself.
static void unbind_locked(struct thread *t) {
    struct endpoint *e = __atomic_load_n(&t->bound, __ATOMIC_RELAXED);
    if (!e) return;
    spin_lock(&e->lock);
    if (t->bound == e) {
        list_remove(&t->bound_node);
        e->bound_count--;
        __atomic_store_n(&t->bound, NULL, __ATOMIC_RELEASE);
    }
    spin_unlock(&e->lock);
}

void endpoint_bind(struct endpoint *e, struct thread *t) {
    spin_lock(&t->bind_lock);
    if (t->bound != e) {
        unbind_locked(t);
        spin_lock(&e->lock);
        if (!t->unbindable && !e->closed) bind_locked(e, t);
        spin_unlock(&e->lock);
    }
    spin_unlock(&t->bind_lock);
}

void ipc_thread_gone(struct thread *t) {
    spin_lock(&t->bind_lock);
    t->unbindable = true;
    unbind_locked(t);
    spin_unlock(&t->bind_lock);
}

// e->lock is held and released: the running thread takes the message of the first queued caller.
static int64_t take_queued(struct endpoint *e, struct thread *self) {
    struct thread *c = thread_of_node(list_pop_front(&e->callers));
    uint64_t message = c->message;
    unsigned handles = KPIO_MESSAGE_HANDLES(message);
    bool send = c->sending;
    uint64_t badge = c->badge;
    if (!handles && !send) {
        c->server = self;
        self->caller = c;
        self->caller_endpoint = e;
        message_copy(self, c, message);
        // Under the lock: once it is free the caller may be cancelled, and one that lends nothing may wake anywhere.
        if (sched_can_adopt(c)) sched_adopt(c->entity);
        spin_unlock(&e->lock);
        self->block->badge = badge;
        return (int64_t)message;
    }
    // Claimed: nobody ends the caller's wait while its handles move.
    struct handle *via = c->wait.via;
    wait_claim_locked(c, 0);
    spin_unlock(&e->lock);
    message_handles_pass(c, self, handles);
    message_copy(self, c, message);
    self->block->badge = badge;
    if (send) {
        sched_wake(c);
        return (int64_t)message;
    }
    spin_lock(&e->lock);
    c->server = self;
    self->caller = c;
    self->caller_endpoint = e;
    bool via_gone = !via->value;
    __atomic_store_n(&c->wait.lock, &e->lock, __ATOMIC_SEQ_CST);
    spin_unlock(&e->lock);
    // What came while it was claimed found no wait to end.
    if (via_gone) wait_cancel(c, -ECANCELED);
    else if (__atomic_load_n(&c->pending, __ATOMIC_SEQ_CST) & (PENDING_KILL | PENDING_INTERRUPT)) wait_cancel(c, -EINTR);
    return (int64_t)message;
}

// The running thread goes on: its caller's time slice goes back before the caller is woken.
static void wake_caller(struct thread *self, struct thread *caller) {
    if (self->entity != &self->own_entity) sched_adopt(&self->own_entity);
    sched_restore_priority(self);
    sched_wake(caller);
}

// Receives; `next`, if there is one, is a caller that was replied to and still has to be woken.
coldpath static int64_t receive_slowly(struct handle *via, nanos_t deadline, struct thread *next) {
    struct thread *self = current_thread();
    struct endpoint *e = endpoint_of(via->object);
    if (next) wake_caller(self, next);
    // The next caller lends its entity to a thread that runs on its own: not on that of a caller that gave up.
    if (self->entity != &self->own_entity) sched_adopt(&self->own_entity);
    if (self->bound != e) endpoint_bind(e, self);
    spin_lock(&e->lock);
    if (!via->value) {
        spin_unlock(&e->lock);
        return -EBADF;
    }
    if (!list_is_empty(&e->callers)) return take_queued(e, self);
    if (deadline == 0) {
        spin_unlock(&e->lock);
        return -ETIMEDOUT;
    }
    become_idle(e, self, via);
    spin_unlock(&e->lock);
    return wait_block(deadline);
}

int64_t ipc_receive(struct handle *via, nanos_t deadline) {
    struct thread *self = current_thread();
    if (self->caller) return -EBUSY;
    self->caller_gone = false;
    return receive_slowly(via, deadline, NULL);
}

// ---- replying -------------------------------------------------------------------------------------------------------

// Ends the wait of the caller that the running thread owes a reply, with this message. Returns the caller, which is then
// the running thread's to wake, or NULL with *error.
static struct thread *claim_caller(struct thread *self, uint64_t message, int *error) {
    struct endpoint *e = __atomic_load_n(&self->caller_endpoint, __ATOMIC_ACQUIRE);
    const bool owes = e && __atomic_load_n(&self->caller, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&self->caller_gone, __ATOMIC_RELAXED)) {
        self->caller_gone = false;
        *error = -ECANCELED;
        return NULL;
    }
    *error = -EINVAL;
    if (!owes || !message_is_valid(message)) return NULL;
    *error = message_handles_check(KPIO_MESSAGE_HANDLES(message));
    if (*error) return NULL;
    spin_lock(&e->lock);
    struct thread *c = self->caller;
    if (c) {
        self->caller = NULL;
        c->server = NULL;
        wait_claim_locked(c, (int64_t)message);
    } else {
        self->caller_gone = false;
        *error = -ECANCELED;
    }
    self->caller_endpoint = NULL;
    spin_unlock(&e->lock);
    return c;
}

static struct thread *reply_slowly(struct thread *self, uint64_t message, int *error) {
    struct thread *c = claim_caller(self, message, error);
    if (!c) return NULL;
    message_handles_pass(self, c, KPIO_MESSAGE_HANDLES(message));
    message_copy(c, self, message);
    return c;
}

int64_t ipc_reply_receive_slowly(struct handle *via, uint64_t message, nanos_t deadline) {
    int error;
    struct thread *c = reply_slowly(current_thread(), message, &error);
    if (!c) return error;
    return receive_slowly(via, deadline, c);
}

int64_t ipc_reply_receive_unlock_slowly(struct handle *via, uint64_t message, nanos_t deadline) {
    spin_unlock(&endpoint_of(via->object)->lock);
    return ipc_reply_receive_slowly(via, message, deadline);
}

int64_t ipc_reply(uint64_t message) {
    struct thread *self = current_thread();
    int error;
    struct thread *c = reply_slowly(self, message, &error);
    if (!c) return error;
    wake_caller(self, c);
    return 0;
}

// ---- saved replies ----------------------------------------------------------------------------------------------------

int64_t reply_send(struct reply *r, uint64_t message) {
    struct thread *self = current_thread();
    if (!message_is_valid(message)) return -EINVAL;
    int error = message_handles_check(KPIO_MESSAGE_HANDLES(message));
    if (error) return error;
    struct endpoint *e = r->endpoint;
    spin_lock(&e->lock);
    struct thread *c = r->caller;
    if (c) {
        r->caller = NULL;
        list_remove(&r->node);
        c->saved = NULL;
        wait_claim_locked(c, (int64_t)message);
    }
    spin_unlock(&e->lock);
    if (!c) return -ECANCELED;
    message_handles_pass(self, c, KPIO_MESSAGE_HANDLES(message));
    message_copy(c, self, message);
    sched_wake(c);
    return 0;
}

// Moves what the running thread owes into r.
int reply_save_into(struct reply *r) {
    struct thread *self = current_thread();
    struct endpoint *e = self->caller_endpoint;
    if (!e) return -EINVAL;
    if (self->entity != &self->own_entity) sched_adopt(&self->own_entity);
    spin_lock(&e->lock);
    // Its caller may have gone since, and with that what held the endpoint.
    if (self->caller_endpoint != e) {
        spin_unlock(&e->lock);
        return -EINVAL;
    }
    struct thread *c = self->caller;
    self->caller = NULL;
    self->caller_endpoint = NULL;
    self->caller_gone = false;
    object_get(&e->object);
    r->endpoint = e;
    r->caller = c;
    if (c) {
        c->server = NULL;
        c->saved = r;
        list_push_back(&e->saved, &r->node);
    }
    spin_unlock(&e->lock);
    return 0;
}

// ---- the end of a thread ------------------------------------------------------------------------------------------------

void endpoint_thread_exit(struct thread *t) {
    struct endpoint *e = t->caller_endpoint;
    if (e) {
        spin_lock(&e->lock);
        struct thread *c = t->caller;
        t->caller = NULL;
        t->caller_endpoint = NULL;
        if (c) {
            c->server = NULL;
            wait_claim_locked(c, -EPIPE);
        }
        spin_unlock(&e->lock);
        if (c) wake_caller(t, c);
    }
    ipc_thread_gone(t);
}
