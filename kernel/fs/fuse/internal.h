// Between connection.c, request.c, call.c and transport.c.
#pragma once
#include "kernel/fs/fuse/connection.h"

// The lock is held and released. The request, in no list any more, is over: wakes who waits, or frees it. `_quietly`: who waits
// is the caller's to be woken, or NULL.
void fuse_finish_unlock(struct fuse_connection *c, struct fuse_request *r, int error);
[[nodiscard]] struct thread *fuse_finish_unlock_quietly(struct fuse_connection *c, struct fuse_request *r, int error);

// The lock is held. There is no driver, and the next one goes on where the last one was: what is asked meanwhile is for that one.
static inline bool fuse_waits_for_next_locked(const struct fuse_connection *c) {
    return c->state == FUSE_GONE && c->stateless && !c->closed;
}

// The lock is held. What nobody waits for will be heard by a driver.
static inline bool fuse_is_heard_locked(const struct fuse_connection *c) {
    return c->state == FUSE_READY || c->state == FUSE_STARTING || fuse_waits_for_next_locked(c);
}

static inline void fuse_announce(struct fuse_connection *c) {
    if (c->changed != NULL) c->changed(c);
}

// The lock is held: one thread of the driver is to look.
static inline void fuse_wake_driver_locked(struct fuse_connection *c) { (void)wait_queue_wake_locked(&c->idle, 1, 0); }

// The lock is held. Nobody is told.
static inline void fuse_enqueue_locked(struct fuse_connection *c, struct fuse_request *r) {
    struct fuse_in_header *h = (struct fuse_in_header *)r->body;
    r->unique = h->unique = c->unique += 2;  // odd ones are interrupts
    h->len = r->in_bytes + (r->opcode == FUSE_WRITE ? r->bytes : 0);
    r->state = FUSE_QUEUED;
    if (r->opcode == FUSE_INIT) list_push_front(&c->queue, &r->node);
    else list_push_back(&c->queue, &r->node);
    c->counts.requests++;
    c->counts.queued++;
}

// The lock is held, and let go while somebody copies.
static inline void fuse_await_copy_locked(struct fuse_connection *c, struct fuse_request *r) {
    while (r->state == FUSE_BUSY) {
        spin_unlock(&c->idle.lock);
        cpu_relax();
        spin_lock(&c->idle.lock);
    }
}
