#include "kernel/ipc/watch.h"

#include "abi/gen/errors.h"
#include "kernel/ipc/port.h"

#define WATCH_LOCKS 64

// Guards object->watchers and the `next` links of all objects whose address falls on it.
static struct {
    struct spinlock lock;
} cacheline_aligned watch_locks[WATCH_LOCKS];

// Ports that became ready on this CPU while it told their sources' watchers: done by the outermost object_signal.
static struct {
    struct port *first;
    bool busy;
} cacheline_aligned signal_lists[CONFIG_MAX_CPUS];

void watch_init(void) {
    for (unsigned i = 0; i < WATCH_LOCKS; i++) spin_init(&watch_locks[i].lock, "watch");
}

struct spinlock *watch_lock(const struct object *source) {
    return &watch_locks[((uint64_t)source >> 6 ^ (uint64_t)source >> 12) % WATCH_LOCKS].lock;
}

int watch_link(struct object *source, struct watcher *w) {
    // Linked first, then the handle is looked at: who ends it does the opposite.
    w->next = source->watchers;
    __atomic_store_n(&source->watchers, w, __ATOMIC_SEQ_CST);
    if (likely(w->via->value != KPIO_HANDLE_NONE)) return 0;
    watch_unlink(source, w);
    return -EBADF;
}

void watch_unlink(struct object *source, struct watcher *w) {
    struct watcher **link = &source->watchers;
    while (*link != w) link = &(*link)->next;
    __atomic_store_n(link, w->next, __ATOMIC_RELAXED);
}

// ---- signals -----------------------------------------------------------------------------------------------------------

void watch_port_ready(struct port *port) {
    if (__atomic_exchange_n(&port->signalling, true, __ATOMIC_ACQ_REL)) return;
    port->signal_next = signal_lists[cpu_id()].first;
    signal_lists[cpu_id()].first = port;
}

static void tell_watchers(struct object *o) {
    struct spinlock *lock = watch_lock(o);
    spin_lock(lock);
    if (o->watchers != NULL) {
        uint64_t value = 0;
        uint32_t signals = o->ops->signals(o, &value);
        for (struct watcher *w = o->watchers; w != NULL; w = w->next) {
            if (w->waits) wait_place_tell(w, signals);
            else port_binding_tell(w, signals, value);
        }
    }
    spin_unlock(lock);
}

// Those that become ready by that are told too.
void watch_signal_ports(void) {
    uint32_t cpu = cpu_id();
    if (signal_lists[cpu].busy) return;
    signal_lists[cpu].busy = true;
    struct port *port;
    while ((port = signal_lists[cpu].first) != NULL) {
        signal_lists[cpu].first = port->signal_next;
        __atomic_store_n(&port->signalling, false, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&port->object.watchers, __ATOMIC_RELAXED) != NULL) tell_watchers(&port->object);
    }
    signal_lists[cpu].busy = false;
}

// Seeing no watcher is right without the lock: who changed the signals did so under the lock that ops->signals takes, and a
// watcher looks at the signals after it was linked.
void object_signal(struct object *o) {
    if (likely(__atomic_load_n(&o->watchers, __ATOMIC_RELAXED) == NULL)) return;
    tell_watchers(o);
    if (unlikely(signal_lists[cpu_id()].first != NULL)) watch_signal_ports();
}

// ---- the end of handles and objects --------------------------------------------------------------------------------------

// Watchers through the handle leave the source and say so.
void object_unbind_handle(struct object *o, const struct handle *h) {
    if (likely(__atomic_load_n(&o->watchers, __ATOMIC_RELAXED) == NULL)) return;
    struct spinlock *lock = watch_lock(o);
    spin_lock(lock);
    for (struct watcher *w = o->watchers, *next; w != NULL; w = next) {
        next = w->next;
        if (w->via != h) continue;
        watch_unlink(o, w);
        if (w->waits) wait_place_left(w);
        else port_binding_left(w);
    }
    spin_unlock(lock);
    watch_signal_ports();
}

// All handles are gone, so all watchers have left already, but for those that raced with the last one.
void object_unbind_all(struct object *o) {
    if (o->watchers == NULL) return;
    struct spinlock *lock = watch_lock(o);
    spin_lock(lock);
    struct watcher *w = o->watchers;
    o->watchers = NULL;
    while (w != NULL) {
        struct watcher *next = w->next;
        if (w->waits) wait_place_left(w);
        else port_binding_drop(w);
        w = next;
    }
    spin_unlock(lock);
}
