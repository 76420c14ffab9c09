// Endpoints and saved replies as objects: making them, and ending what depends on them.
#include "kernel/ipc/endpoint.h"

#include "abi/gen/errors.h"
#include "kernel/ipc/futex.h"
#include "kernel/ipc/ipc_exit.h"
#include "kernel/ipc/message.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

static struct kmem_cache endpoint_cache, reply_cache;

#define thread_of_node(n) container_of(n, struct thread, wait.node)

// ---- ending waits -----------------------------------------------------------------------------------------------------
// Which waits end: those through one handle, or (via NULL) all.

static bool concerns(const struct thread *t, const struct handle *via) { return !via || t->wait.via == via; }

static void end_queued(struct list *queue, const struct handle *via, int64_t error) {
    for (struct list_node *n = list_first(queue), *next; n; n = next) {
        next = list_next(queue, n);
        struct thread *t = thread_of_node(n);
        if (!concerns(t, via)) continue;
        list_remove(n);
        wait_wake_locked(t, error);
    }
}

static void end_idle(struct endpoint *e, const struct handle *via, int64_t error) {
    for (struct thread **link = &e->idle; *link;) {
        struct thread *t = *link;
        if (concerns(t, via)) {
            *link = t->next_idle;
            wait_wake_locked(t, error);
        } else {
            link = &t->next_idle;
        }
    }
}

static void end_served(struct thread *caller, const struct handle *via, int64_t error) {
    if (!caller || !concerns(caller, via)) return;
    sender_unlink(caller);
    wait_wake_locked(caller, error);
}

// e->lock is held.
static void end_calls(struct endpoint *e, const struct handle *via, int64_t error) {
    end_queued(&e->callers, via, error);
    for (struct list_node *n = list_first(&e->bound); n; n = list_next(&e->bound, n)) {
        struct thread *r = container_of(n, struct thread, bound_node);
        if (r->caller_endpoint == e) end_served(r->caller, via, error);
    }
    for (struct list_node *n = list_first(&e->saved), *next; n; n = next) {
        next = list_next(&e->saved, n);
        end_served(container_of(n, struct reply, node)->caller, via, error);
    }
}

static void endpoint_handle_gone(struct object *o, struct handle *h) {
    struct endpoint *e = endpoint_of(o);
    spin_lock(&e->lock);
    end_calls(e, h, -ECANCELED);
    end_idle(e, h, -ECANCELED);
    spin_unlock(&e->lock);
}

// Nobody can receive any more. Calls that are being served go on: their servers have them.
static void endpoint_no_receivers(struct object *o) {
    struct endpoint *e = endpoint_of(o);
    spin_lock(&e->lock);
    e->closed = true;
    end_queued(&e->callers, NULL, -EPIPE);
    spin_unlock(&e->lock);
    object_signal(o);
}

static void endpoint_unreachable(struct object *o) {
    struct endpoint *e = endpoint_of(o);
    spin_lock(&e->lock);
    e->closed = true;
    end_calls(e, NULL, -EDESTROYED);
    end_idle(e, NULL, -EDESTROYED);
    for (struct list_node *n; (n = list_pop_front(&e->bound));) container_of(n, struct thread, bound_node)->bound = NULL;
    e->bound_count = 0;
    spin_unlock(&e->lock);
    object_unbind_all(o);
}

static uint32_t endpoint_signals(struct object *o, uint64_t *value) {
    struct endpoint *e = endpoint_of(o);
    *value = 0;
    spin_lock(&e->lock);
    uint32_t signals = (list_is_empty(&e->callers) ? 0 : KPIO_SIGNAL_READABLE) | (e->closed ? KPIO_SIGNAL_PEER_GONE : 0);
    spin_unlock(&e->lock);
    return signals;
}

static const struct object_ops endpoint_ops = {
    .name = "endpoint",
    .rights = KPIO_RIGHT_CALL | KPIO_RIGHT_RECEIVE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_BADGE |
              KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = endpoint_unreachable,
    .handle_gone = endpoint_handle_gone,
    .no_receivers = endpoint_no_receivers,
    .signals = endpoint_signals,
};

int endpoint_create(struct job *job, struct endpoint **out) {
    struct endpoint *e = slub_alloc_zeroed(&endpoint_cache);
    if (!e) return -ENOMEM;
    int error = object_init(&e->object, KPIO_KIND_ENDPOINT, &endpoint_ops, job, sizeof(*e));
    if (error) {
        slub_free(&endpoint_cache, e);
        return error;
    }
    spin_init(&e->lock, "endpoint");
    list_init(&e->callers);
    list_init(&e->bound);
    list_init(&e->saved);
    *out = e;
    return 0;
}

// ---- saved replies ----------------------------------------------------------------------------------------------------

static void reply_unreachable(struct object *o) {
    struct reply *r = (struct reply *)o;
    if (!r->endpoint) return;
    spin_lock(&r->endpoint->lock);
    if (r->caller) {
        struct thread *caller = r->caller;
        sender_unlink(caller);
        wait_wake_locked(caller, -EPIPE);
    }
    spin_unlock(&r->endpoint->lock);
}

static void reply_destroy(struct object *o) {
    struct reply *r = (struct reply *)o;
    if (r->endpoint) object_put(&r->endpoint->object);
}

static const struct object_ops reply_ops = {
    .name = "reply",
    .rights = KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT | KPIO_RIGHT_EXPIRE,
    .unreachable = reply_unreachable,
    .destroy = reply_destroy,
};

int reply_save(struct reply **out) {
    struct reply *r = slub_alloc_zeroed(&reply_cache);
    if (!r) return -ENOMEM;
    int error = object_init(&r->object, KPIO_KIND_REPLY, &reply_ops, current_process()->job, sizeof(*r));
    if (error) {
        slub_free(&reply_cache, r);
        return error;
    }
    error = reply_save_into(r);
    if (error) {
        object_put(&r->object);
        return error;
    }
    *out = r;
    return 0;
}

// ---- life ---------------------------------------------------------------------------------------------------------------

void endpoint_init(void) {
    slub_cache_init(&endpoint_cache, "endpoint", sizeof(struct endpoint), CACHE_LINE);
    slub_cache_init(&reply_cache, "reply", sizeof(struct reply), 0);
}

void ipc_thread_exit(struct thread *t) {
    endpoint_thread_exit(t);
    futex_thread_exit(t);
}

void ipc_thread_restart(struct thread *t) {
    ipc_thread_exit(t);
    t->caller_gone = false;
    spin_lock(&t->bind_lock);
    t->unbindable = false;
    spin_unlock(&t->bind_lock);
    futex_thread_restart(t);
}
