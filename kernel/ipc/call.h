// The hand-tuned way of a call and its reply, inline in their system calls: a call finds an idle receiver that this CPU
// may run, and the server's next reply-and-receive finds nobody queued. It takes the endpoint's lock once each way,
// touches the two threads, the endpoint, the handle and the message pages, and no run queue. Everything else goes through
// the cold functions of call.c.
#pragma once
#include "kernel/ipc/message.h"
#include "kernel/sched/switch.h"

void receiver_unlink(struct thread *t);  // wait.unlink of idle receivers
coldpath int64_t ipc_call_slowly(struct handle *via, uint64_t message, nanos_t deadline);
coldpath int64_t ipc_reply_receive_slowly(struct handle *via, uint64_t message, nanos_t deadline);
// The same with the endpoint's lock held, which they release.
coldpath int64_t ipc_call_unlock_slowly(struct handle *via, uint64_t message, nanos_t deadline);
coldpath int64_t ipc_reply_receive_unlock_slowly(struct handle *via, uint64_t message, nanos_t deadline);

// e->lock is held. Makes r serve the running thread's call: r is off the stack of idle receivers.
static inline void begin_service(struct endpoint *e, struct thread *self, struct thread *r, struct handle *via,
                                 uint64_t message) {
    wait_claim_locked(r, (int64_t)message);
    r->block->badge = via->badge;
    r->caller = self;
    r->caller_endpoint = e;
    self->server = r;
    self->ipc_sequence++;
    wait_prepare_self(self, &e->lock, sender_unlink, via, e);
}

// e->lock is held. The running thread waits as an idle receiver; to be switched away from once the lock is released.
static inline void become_idle(struct endpoint *e, struct thread *self, struct handle *via) {
    self->next_idle = e->idle;
    e->idle = self;
    wait_prepare_self(self, &e->lock, receiver_unlink, via, e);
}

static inline int64_t ipc_call(struct handle *via, uint64_t message, nanos_t deadline) {
    struct thread *self = current_thread();
    struct endpoint *e = endpoint_of(via->object);
    if (unlikely(message & MESSAGE_UNUSUAL || KPIO_MESSAGE_BYTES(message) > KPIO_MESSAGE_MAX || self->pending))
        return ipc_call_slowly(via, message, deadline);
    spin_lock(&e->lock);
    struct thread *r = e->idle;
    if (unlikely(!r || !via->value || !sched_can_switch(r))) return ipc_call_unlock_slowly(via, message, deadline);
    e->idle = r->next_idle;
    begin_service(e, self, r, via, message);
    message_copy(r, self, message);
    spin_unlock(&e->lock);
    if (unlikely(deadline != TIME_NEVER)) return wait_block_lend(deadline, r);
    switch_lend(self, r);
    return current_thread()->wait.result;
}

static inline int64_t ipc_reply_receive(struct handle *via, uint64_t message, nanos_t deadline) {
    struct thread *self = current_thread();
    struct endpoint *e = endpoint_of(via->object);
    if (unlikely(message & MESSAGE_UNUSUAL || KPIO_MESSAGE_BYTES(message) > KPIO_MESSAGE_MAX ||
                 deadline != TIME_NEVER || self->pending || self->caller_endpoint != e || self->bound != e || self->boost))
        return ipc_reply_receive_slowly(via, message, deadline);
    spin_lock(&e->lock);
    struct thread *c = self->caller;
    if (unlikely(!c || !sched_can_switch(c) || !list_is_empty(&e->callers) || !via->value))
        return ipc_reply_receive_unlock_slowly(via, message, deadline);
    self->caller = NULL;
    self->caller_endpoint = NULL;
    c->server = NULL;
    wait_claim_locked(c, (int64_t)message);
    message_copy(c, self, message);
    become_idle(e, self, via);
    spin_unlock(&e->lock);
    switch_return(self, c);
    return current_thread()->wait.result;
}

