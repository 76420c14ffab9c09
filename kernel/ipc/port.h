// Ports: one queue for what happens to many objects.
//
//        source ──bindings──► binding {key, signals, mode} ◄──bindings── port
//                                │ queued once at most                     │
//                                └──────────────── ready ◄─────────────────┘      posted: a ring of the posters' packets
//
// A binding has at most one packet waiting; what happens meanwhile is added to it. Modes: ONCE reports and rests until it
// is armed again; LEVEL is looked at by each wait and reported while asserted; EDGE reports each change.
// When the handle that a binding went through goes, the binding leaves its source and reports KPIO_SIGNAL_REVOKED; with
// that packet it ends. One that was made to look afresh (port_watch) reports what is asserted when its packet is taken, or
// nothing, and leaves without a word.
//
// Locks: as kernel/ipc/watch.h says; the watcher's is port->waiters.lock. A port as a source takes no lock in ops->signals,
// so ports may watch each other in any shape.
#pragma once
#include "kernel/ipc/watch.h"
#include "kernel/sched/sched.h"

#define PORT_POSTED_MAX 1024u

enum port_mode { PORT_ONCE, PORT_LEVEL, PORT_EDGE };

struct port_binding {
    struct watcher watch;
    struct port *port;
    struct list_node node;              // in port->bindings
    struct list_node ready_node;        // in port->ready while queued
    uint64_t key, value;
    uint32_t pending;                   // to be reported
    uint8_t mode, kind;
    bool armed, queued;
    bool afresh;                        // port_watch: `value` is the caller's, the low half of key tells it apart
};

struct port {
    struct object object;
    struct wait_queue waiters;
    struct list bindings, ready;        // bindings: those whose source is a port come first
    uint64_t *posted;                   // ring of key, value pairs
    uint32_t posted_room, posted_first, posted_count;
    uint32_t ready_count;               // queued bindings and posted packets; read without lock
    bool closed;
    bool posted_turn;                   // the next wait looks at posted packets first
    bool signalling;                    // on a CPU's list of ports to signal
    struct port *signal_next;
};
static inline struct port *port_of(struct object *o) { return (struct port *)o; }

void port_init(void);
[[nodiscard]] int port_create(struct job *job, struct port **out);
// What a binding is to be.
struct port_wish {
    uint32_t signals;
    enum port_mode mode;
    bool afresh;
    uint64_t key, value;
};
// -EINVAL (a kind that cannot be waited on), -EEXIST (this source and key are bound), -EBADF, -ENFILE, -ENOMEM.
[[nodiscard]] int port_bind(struct port *port, struct handle *source, const struct port_wish *wish);
// Makes one that looks afresh into what is wished: 0 or -ENOENT.
[[nodiscard]] int port_change(struct port *port, struct object *source, const struct port_wish *wish);
// Whether `target` is among the ports that `from` watches, and those watch, or there are more than a few in a row.
[[nodiscard]] bool port_nests_too_deep(struct port *from, const struct port *target);
[[nodiscard]] int port_rearm(struct port *port, struct object *source, uint64_t key);   // 0 or -ENOENT
[[nodiscard]] int port_unbind(struct port *port, struct object *source, uint64_t key);  // 0 or -ENOENT
[[nodiscard]] int port_post(struct port *port, uint64_t key, uint64_t value);           // 0, -ENOSPC, or -EBADF: it is closed
// Forgets packets that tell nothing any more, up to the first that does: how many are left. The caller holds a reference.
uint32_t port_settle(struct port *port);
// Takes up to count packets; waits when there is none. -EAGAIN: it was woken and somebody else was faster: look the handle
// up again and call again. The caller holds a reference to the port.
[[nodiscard]] int64_t port_wait(struct handle *via, struct kpio_port_packet *packets, uint32_t count, nanos_t deadline);
