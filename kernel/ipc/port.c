#include "kernel/ipc/port.h"

#include "abi/gen/errors.h"
#include "kernel/core/assert.h"
#include "kernel/ipc/port_queue.h"
#include "kernel/mm/slub.h"
#include "kernel/object/process.h"

#define WATCH_LOCKS 64

static struct kmem_cache port_cache, binding_cache;

// Guards object->bindings and the next_watcher links of all objects whose address falls on it.
static struct {
    struct spinlock lock;
} cacheline_aligned watch_locks[WATCH_LOCKS];

// Ports that became ready on this CPU while it told their sources' watchers: done by the outermost object_signal, so that
// a chain of ports costs no stack.
static struct {
    struct port *first;
    bool busy;
} cacheline_aligned signal_lists[CONFIG_MAX_CPUS];

static struct spinlock *watch_lock(const struct object *o) {
    return &watch_locks[((uint64_t)o >> 6 ^ (uint64_t)o >> 12) % WATCH_LOCKS].lock;
}

// ---- signals -----------------------------------------------------------------------------------------------------------

static void signal_port_later(struct port *port) {
    if (__atomic_exchange_n(&port->signalling, true, __ATOMIC_ACQ_REL)) return;
    port->signal_next = signal_lists[cpu_id()].first;
    signal_lists[cpu_id()].first = port;
}

// The source's watch lock is held.
static void tell_watcher(struct port_binding *b, uint32_t signals, uint64_t value) {
    struct port *port = b->port;
    uint32_t match = signals & b->signals;
    if (match == 0) return;
    spin_lock(&port->waiters.lock);
    bool was_empty = false;
    if (b->mode != PORT_ONCE || b->armed) {
        b->armed = false;
        if (b->mode != PORT_LEVEL) b->pending |= match;
        b->value = value;
        was_empty = port_queue_binding(port, b);
    }
    spin_unlock(&port->waiters.lock);
    if (was_empty) signal_port_later(port);
}

static void tell_watchers(struct object *o) {
    struct spinlock *lock = watch_lock(o);
    spin_lock(lock);
    if (o->bindings != NULL) {
        uint64_t value = 0;
        uint32_t signals = o->ops->signals(o, &value);
        for (struct port_binding *b = o->bindings; b != NULL; b = b->next_watcher) tell_watcher(b, signals, value);
    }
    spin_unlock(lock);
}

// Tells the watchers of ports that became ready, and of those that become ready by that.
static void signal_ports(void) {
    uint32_t cpu = cpu_id();
    if (signal_lists[cpu].busy) return;
    signal_lists[cpu].busy = true;
    struct port *port;
    while ((port = signal_lists[cpu].first) != NULL) {
        signal_lists[cpu].first = port->signal_next;
        __atomic_store_n(&port->signalling, false, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&port->object.bindings, __ATOMIC_RELAXED) != NULL) tell_watchers(&port->object);
    }
    signal_lists[cpu].busy = false;
}

// Seeing no binding is right without the lock: who changed the signals did so under the lock that ops->signals takes, and
// port_bind looks at the signals after it has linked its binding.
void object_signal(struct object *o) {
    if (likely(__atomic_load_n(&o->bindings, __ATOMIC_RELAXED) == NULL)) return;
    tell_watchers(o);
    signal_ports();
}

// ---- bindings ----------------------------------------------------------------------------------------------------------

static void binding_free(struct port_binding *b, struct job *job) {
    slub_free(&binding_cache, b);
    job_uncharge(job, JOB_KERNEL_BYTES, sizeof *b);
}

// The watch lock is held.
static struct port_binding *find_binding(struct object *source, const struct port *port, uint64_t key) {
    struct port_binding *b = source->bindings;
    while (b != NULL && (b->port != port || b->key != key)) b = b->next_watcher;
    return b;
}

static void unlink_watcher(struct object *source, struct port_binding *b) {
    struct port_binding **link = &source->bindings;
    while (*link != b) link = &(*link)->next_watcher;
    __atomic_store_n(link, b->next_watcher, __ATOMIC_RELAXED);
}

// The watch lock is held: what is asserted already is reported.
static void report_now(struct port_binding *b) {
    uint64_t value = 0;
    uint32_t signals = b->source->ops->signals(b->source, &value);
    tell_watcher(b, signals, value);
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
        // Linked first, then the handle is looked at: who ends it does the opposite.
        b->next_watcher = source->bindings;
        __atomic_store_n(&source->bindings, b, __ATOMIC_SEQ_CST);
        if (b->via->value == KPIO_HANDLE_NONE) {
            unlink_watcher(source, b);
            error = -EBADF;
        } else {
            list_push_back(&port->bindings, &b->node);
        }
    }
    spin_unlock(&port->waiters.lock);
    if (error == 0) report_now(b);
    spin_unlock(lock);
    return error;
}

int port_bind(struct port *port, struct handle *source, uint32_t signals, uint64_t key, enum port_mode mode) {
    struct object *o = source->object;
    if (o->ops->signals == NULL) return -EINVAL;
    int error = job_charge(port->object.job, JOB_KERNEL_BYTES, sizeof(struct port_binding));
    if (error != 0) return error;
    struct port_binding *b = slub_alloc_zeroed(&binding_cache);
    if (b == NULL) {
        job_uncharge(port->object.job, JOB_KERNEL_BYTES, sizeof *b);
        return -ENOMEM;
    }
    b->source = o;
    b->port = port;
    b->via = source;
    b->key = key;
    b->signals = signals;
    b->mode = (uint8_t)mode;
    b->kind = o->kind;
    b->armed = true;
    error = link_binding(port, o, b);
    if (error != 0) binding_free(b, port->object.job);
    signal_ports();
    return error;
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
    signal_ports();
    return b != NULL ? 0 : -ENOENT;
}

int port_unbind(struct port *port, struct object *source, uint64_t key) {
    struct spinlock *lock = watch_lock(source);
    spin_lock(lock);
    struct port_binding *b = find_binding(source, port, key);
    if (b != NULL) {
        unlink_watcher(source, b);
        spin_lock(&port->waiters.lock);
        port_dequeue_binding(port, b);
        list_remove(&b->node);
        spin_unlock(&port->waiters.lock);
    }
    spin_unlock(lock);
    if (b == NULL) return -ENOENT;
    binding_free(b, port->object.job);
    return 0;
}

// The handle is gone: its bindings leave the source and say so.
void object_unbind_handle(struct object *o, const struct handle *h) {
    if (likely(__atomic_load_n(&o->bindings, __ATOMIC_RELAXED) == NULL)) return;
    struct spinlock *lock = watch_lock(o);
    spin_lock(lock);
    for (struct port_binding *b = o->bindings, *next; b != NULL; b = next) {
        next = b->next_watcher;
        if (b->via != h) continue;
        unlink_watcher(o, b);
        struct port *port = b->port;
        spin_lock(&port->waiters.lock);
        b->source = NULL;
        b->via = NULL;
        b->pending |= KPIO_SIGNAL_REVOKED;
        bool was_empty = port_queue_binding(port, b);
        spin_unlock(&port->waiters.lock);
        if (was_empty) signal_port_later(port);
    }
    spin_unlock(lock);
    signal_ports();
}

// All handles are gone, so all bindings have left already, but for those of a binding that raced with the last one.
void object_unbind_all(struct object *o) {
    if (o->bindings == NULL) return;
    struct spinlock *lock = watch_lock(o);
    spin_lock(lock);
    struct port_binding *b = o->bindings;
    o->bindings = NULL;
    while (b != NULL) {
        struct port_binding *next = b->next_watcher;
        struct port *port = b->port;
        spin_lock(&port->waiters.lock);
        port_dequeue_binding(port, b);
        list_remove(&b->node);
        spin_unlock(&port->waiters.lock);
        binding_free(b, port->object.job);
        b = next;
    }
    spin_unlock(lock);
}

// ---- the object --------------------------------------------------------------------------------------------------------

int port_post(struct port *port, uint64_t key, uint64_t value) {
    bool was_empty;
    spin_lock(&port->waiters.lock);
    int error = port_queue_posted(port, key, value, &was_empty);
    spin_unlock(&port->waiters.lock);
    if (error == 0 && was_empty) object_signal(&port->object);
    return error;
}

static void free_ended(struct port *port, struct list *ended) {
    struct port_binding *b;
    while ((b = list_pop_front_entry(ended, struct port_binding, ready_node)) != NULL) binding_free(b, port->object.job);
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
    struct object *source = b->source;
    if (source != NULL) {
        spin_unlock(&port->waiters.lock);
        spin_lock(watch_lock(source));
        spin_lock(&port->waiters.lock);
        if (list_first_entry(&port->bindings, struct port_binding, node) != b || b->source != source) {
            spin_unlock(watch_lock(source));
            return;
        }
        unlink_watcher(source, b);
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
    for (unsigned i = 0; i < WATCH_LOCKS; i++) spin_init(&watch_locks[i].lock, "port watch");
}
