// Who watches the signals of an object: bindings of ports (port.h), and threads that wait for several objects (wait_many.h).
// Locks, in order: the source's watch lock (one of a few, by address), the watcher's own (port->waiters.lock or
// thread->many_lock), the source's own (inside ops->signals).
#pragma once
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"

struct port;

struct watcher {
    struct object *source;  // NULL: it left its source
    struct handle *via;
    struct watcher *next;   // of the same source; guarded by its watch lock, as is the whole of what a wait has
    uint32_t signals;       // asked for
    bool waits;             // a thread's (struct wait_place), else a port's (struct port_binding)
};

void watch_init(void);
struct spinlock *watch_lock(const struct object *source);
// The source's watch lock is held. Links w, or -EBADF when the handle that it goes through has just ended. Look at the
// signals after it.
[[nodiscard]] int watch_link(struct object *source, struct watcher *w);
void watch_unlink(struct object *source, struct watcher *w);
// A port has its first packet: its watchers are told by the next watch_signal_ports on this CPU, so that a chain of ports
// costs no stack. Spin locks may be held; for watch_signal_ports none.
void watch_port_ready(struct port *port);
void watch_signal_ports(void);

// What the kinds of watchers do. The source's watch lock is held.
void port_binding_tell(struct watcher *w, uint32_t signals, uint64_t value);
void wait_place_tell(struct watcher *w, uint32_t signals);
// Its handle has gone and it was unlinked: it is told.
void port_binding_left(struct watcher *w);
void wait_place_left(struct watcher *w);
// Its source has gone and it was unlinked.
void port_binding_drop(struct watcher *w);
