#include "kernel/ipc/port.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/port_queue.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

static struct kmem_cache port_cache, binding_cache;

static struct port_binding *binding_of(struct watcher *w) { return container_of(w, struct port_binding, watch); }

// ---- signals -----------------------------------------------------------------------------------------------------------

void port_binding_tell(struct watcher *w, uint32_t signals, uint64_t value) {
    struct port_binding *b = binding_of(w);
    struct port *port = b->port;
    uint32_t match = signals & w->signals;
    if (match == 0) return;
    spin_lock(&port->waiters.lock);
    bool was_empty = false;
    if (b->mode != PORT_ONCE || b->armed) {
        if (!b->afresh) {
            b->armed = false;
            if (b->mode != PORT_LEVEL) b->pending |= match;
            b->value = value;
        }
        was_empty = port_queue_binding(port, b);
    }
    spin_unlock(&port->waiters.lock);
    if (was_empty) watch_port_ready(port);
}

// ---- bindings ----------------------------------------------------------------------------------------------------------

static void binding_free(struct port_binding *b, struct job *job) {
    slub_free(&binding_cache, b);
    job_uncharge(job, JOB_KERNEL_BYTES, sizeof *b);
}

static bool is_key_of(const struct port_binding *b, uint64_t key) {
    return b->afresh ? (uint32_t)b->key == (uint32_t)key : b->key == key;
}

// The watch lock is held.
static struct port_binding *find_binding(struct object *source, const struct port *port, uint64_t key) {
    for (struct watcher *w = source->watchers; w != NULL; w = w->next)
        if (!w->waits && binding_of(w)->port == port && is_key_of(binding_of(w), key)) return binding_of(w);
    return NULL;
}

// The watch lock is held: what is asserted already is reported.
static void report_now(struct port_binding *b) {
    uint64_t value = 0;
    uint32_t signals = b->watch.source->ops->signals(b->watch.source, &value);
    port_binding_tell(&b->watch, signals, value);
}

// Links b; 0, -EEXIST, or -EBADF when its handle or its port went meanwhile.
static int link_binding(struct port *port, struct object *source, struct port_binding *b) {
    struct spinlock *lock = watch_lock(source);
    int error = 0;
    spin_lock(lock);
    spin_lock(&port->waiters.lock);
    if (port->closed) {
        error = -EBADF;
    } else if (find_binding(source, port, b->key) != NULL) {
        error = -EEXIST;
    } else {
        error = watch_link(source, &b->watch);
        if (error == 0 && b->kind == KPIO_KIND_PORT) list_push_front(&port->bindings, &b->node);
        else if (error == 0) list_push_back(&port->bindings, &b->node);
    }
    spin_unlock(&port->waiters.lock);
    if (error == 0) report_now(b);
    spin_unlock(lock);
    return error;
}

int port_bind(struct port *port, struct handle *source, const struct port_wish *wish) {
    struct object *o = source->object;
    if (o->ops->signals == NULL) return -EINVAL;
    int error = job_charge(port->object.job, JOB_KERNEL_BYTES, sizeof(struct port_binding));
    if (error != 0) return error;
    struct port_binding *b = slub_alloc_zeroed(&binding_cache);
    if (b == NULL) {
        job_uncharge(port->object.job, JOB_KERNEL_BYTES, sizeof *b);
        return -ENOMEM;
    }
    b->watch = (struct watcher){.source = o, .via = source, .signals = wish->signals};
    b->port = port;
    b->key = wish->key;
    b->value = wish->value;
    b->mode = (uint8_t)wish->mode;
    b->afresh = wish->afresh;
    b->kind = o->kind;
    b->armed = true;
    error = link_binding(port, o, b);
    if (error != 0) binding_free(b, port->object.job);
    watch_signal_ports();
    return error;
}

int port_change(struct port *port, struct object *source, const struct port_wish *wish) {
    struct spinlock *lock = watch_lock(source);
    spin_lock(lock);
    struct port_binding *b = find_binding(source, port, wish->key);
    if (b != NULL && !b->afresh) b = NULL;
    if (b != NULL) {
        spin_lock(&port->waiters.lock);
        b->watch.signals = wish->signals;
        b->key = wish->key;
        b->value = wish->value;
        b->mode = (uint8_t)wish->mode;
        b->armed = true;
        spin_unlock(&port->waiters.lock);
        report_now(b);
    }
    spin_unlock(lock);
    watch_signal_ports();
    return b != NULL ? 0 : -ENOENT;
}

int port_rearm(struct port *port, struct object *source, uint64_t key) {
    struct spinlock *lock = watch_lock(source);
    spin_lock(lock);
    struct port_binding *b = find_binding(source, port, key);
    if (b != NULL) {
        spin_lock(&port->waiters.lock);
        b->armed = true;
        spin_unlock(&port->waiters.lock);
        report_now(b);
    }
    spin_unlock(lock);
    watch_signal_ports();
    return b != NULL ? 0 : -ENOENT;
}

int port_unbind(struct port *port, struct object *source, uint64_t key) {
    struct spinlock *lock = watch_lock(source);
    spin_lock(lock);
    struct port_binding *b = find_binding(source, port, key);
    if (b != NULL) {
        watch_unlink(source, &b->watch);
        port_binding_drop(&b->watch);
    }
    spin_unlock(lock);
    return b != NULL ? 0 : -ENOENT;
}

void port_binding_left(struct watcher *w) {
    struct port_binding *b = binding_of(w);
    struct port *port = b->port;
    if (b->afresh) {
        port_binding_drop(w);
        return;
    }
    spin_lock(&port->waiters.lock);
    w->source = NULL;
    w->via = NULL;
    b->pending |= KPIO_SIGNAL_REVOKED;
    bool was_empty = port_queue_binding(port, b);
    spin_unlock(&port->waiters.lock);
    if (was_empty) watch_port_ready(port);
}

void port_binding_drop(struct watcher *w) {
    struct port_binding *b = binding_of(w);
    struct port *port = b->port;
    spin_lock(&port->waiters.lock);
    port_dequeue_binding(port, b);
    list_remove(&b->node);
    spin_unlock(&port->waiters.lock);
    binding_free(b, port->object.job);
}

// ---- the object --------------------------------------------------------------------------------------------------------

int port_post(struct port *port, uint64_t key, uint64_t value) {
    bool was_empty;
    spin_lock(&port->waiters.lock);
    int error = port->closed ? -EBADF : port_queue_posted(port, key, value, &was_empty);
    spin_unlock(&port->waiters.lock);
    if (error == 0 && was_empty) object_signal(&port->object);
    return error;
}

static void free_ended(struct port *port, struct list *ended) {
    struct port_binding *b;
    while ((b = list_pop_front_entry(ended, struct port_binding, ready_node)) != NULL) binding_free(b, port->object.job);
}

#define SETTLE_STEP 64u  // packets between preemption points

uint32_t port_settle(struct port *port) {
    bool ended = false;
    spin_lock(&port->waiters.lock);
    while (!ended && !port_queue_settle(port, SETTLE_STEP)) {
        spin_unlock(&port->waiters.lock);
        ended = sched_preempt_point();
        spin_lock(&port->waiters.lock);
    }
    uint32_t left = port->ready_count;
    spin_unlock(&port->waiters.lock);
    return left;
}

// The lock is held and released. What a wait took once it was woken, or at once.
static uint32_t take_unlock(struct port *port, struct kpio_port_packet *packets, uint32_t count) {
    struct list ended = LIST_INIT(ended);
    uint32_t taken = port_take(port, packets, count, &ended);
    // More is left: another waiter's turn.
    if (taken != 0 && port->ready_count != 0) (void)wait_queue_wake_locked(&port->waiters, 1, 0);
    spin_unlock(&port->waiters.lock);
    free_ended(port, &ended);
    return taken;
}

int64_t port_wait(struct handle *via, struct kpio_port_packet *packets, uint32_t count, nanos_t deadline) {
    struct port *port = port_of(via->object);
    spin_lock(&port->waiters.lock);
    if (port->ready_count != 0) {
        uint32_t taken = take_unlock(port, packets, count);
        return taken != 0 ? (int64_t)taken : -EAGAIN;
    }
    object_expect_waits(&port->object);
    if (port->closed || via->value == KPIO_HANDLE_NONE || deadline == 0) {
        int64_t error = port->closed ? -EDESTROYED : deadline == 0 ? -ETIMEDOUT : -ECANCELED;
        spin_unlock(&port->waiters.lock);
        return error;
    }
    wait_queue_join_unlock(&port->waiters, via, port);
    int64_t result = wait_block(deadline);
    if (result != 0) return result;
    // What it was woken for is taken before anything else, even if the thread is to end: it may be one wake for one packet.
    spin_lock(&port->waiters.lock);
    uint32_t taken = take_unlock(port, packets, count);
    return taken != 0 ? (int64_t)taken : -EAGAIN;
}

// A binding that leaves its source meanwhile is seen as such under the port's lock; a source goes only after it has
// dropped its bindings, under the same lock.
static void drop_binding(struct port *port) {
    struct port_binding *b = list_first_entry(&port->bindings, struct port_binding, node);
    struct object *source = b->watch.source;
    if (source != NULL) {
        spin_unlock(&port->waiters.lock);
        spin_lock(watch_lock(source));
        spin_lock(&port->waiters.lock);
        if (list_first_entry(&port->bindings, struct port_binding, node) != b || b->watch.source != source) {
            spin_unlock(watch_lock(source));
            return;
        }
        watch_unlink(source, &b->watch);
        spin_unlock(watch_lock(source));
    }
    port_dequeue_binding(port, b);
    list_remove(&b->node);
    binding_free(b, port->object.job);
}

static void port_unreachable(struct object *o) {
    struct port *port = port_of(o);
    wait_queue_cancel(&port->waiters, NULL, -EDESTROYED);
    spin_lock(&port->waiters.lock);
    port->closed = true;
    while (!list_is_empty(&port->bindings)) drop_binding(port);
    port_free_posted(port);
    __atomic_store_n(&port->ready_count, 0, __ATOMIC_RELAXED);
    spin_unlock(&port->waiters.lock);
}

static void port_handle_gone(struct object *o, struct handle *h) {
    object_cancel_waits(o, &port_of(o)->waiters, h);
}

static uint32_t port_signals(struct object *o, uint64_t *value) {
    *value = __atomic_load_n(&port_of(o)->ready_count, __ATOMIC_SEQ_CST);
    return *value != 0 ? KPIO_SIGNAL_READABLE : 0;
}

static const struct object_ops port_ops = {
    .name = "port",
    .rights = KPIO_RIGHT_READ | KPIO_RIGHT_WRITE | KPIO_RIGHT_DUPLICATE | KPIO_RIGHT_TRANSFER | KPIO_RIGHT_INSPECT |
              KPIO_RIGHT_WAIT | KPIO_RIGHT_EXPIRE,
    .unreachable = port_unreachable,
    .handle_gone = port_handle_gone,
    .signals = port_signals,
};

int port_create(struct job *job, struct port **out) {
    struct port *port = slub_alloc_zeroed(&port_cache);
    if (port == NULL) return -ENOMEM;
    int error = object_init(&port->object, KPIO_KIND_PORT, &port_ops, job, sizeof *port);
    if (error != 0) {
        slub_free(&port_cache, port);
        return error;
    }
    wait_queue_init(&port->waiters, "port");
    list_init(&port->bindings);
    list_init(&port->ready);
    *out = port;
    return 0;
}

void port_init(void) {
    slub_cache_init(&port_cache, "port", sizeof(struct port), 0);
    slub_cache_init(&binding_cache, "port binding", sizeof(struct port_binding), 0);
    watch_init();
}
