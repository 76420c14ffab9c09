// Ports that watch ports. They may in any shape; port_watch refuses what leads back to the port or too deep, for those who
// would otherwise wait for themselves. It is a courtesy, not a guard: two that are bound at the same time may still close a loop.
#include "kernel/ipc/port.h"

#define NESTS_MAX 4u        // ports in a row below the one that watches
#define LOOKS_MAX 1000u     // ports that are looked at, as nothing may be preempted here; more than that is too deep

struct level {
    struct port *port;      // a reference
    uint32_t position;      // of the next port that it watches
};

// The port that `port` watches at this position, with a reference; NULL: there are no more. Those bindings are the first.
static struct port *watched_at(struct port *port, uint32_t position) {
    struct port *found = NULL;
    spin_lock(&port->waiters.lock);
    list_for_each(node, &port->bindings) {
        const struct port_binding *b = container_of(node, struct port_binding, node);
        if (b->kind != KPIO_KIND_PORT) break;
        if (position-- > 0) continue;
        // While the lock is held the source does not go: it drops its bindings first.
        if (b->watch.source != NULL && object_tryget(b->watch.source)) found = port_of(b->watch.source);
        break;
    }
    spin_unlock(&port->waiters.lock);
    return found;
}

bool port_nests_too_deep(struct port *from, const struct port *target) {
    struct level levels[NESTS_MAX] = {{.port = from}};
    uint32_t depth = 1;
    bool too_deep = from == target;
    if (!object_tryget(&from->object)) return false;
    for (uint32_t looks = 0; depth > 0; looks++) {
        struct level *level = &levels[depth - 1];
        struct port *next = too_deep ? NULL : watched_at(level->port, level->position++);
        if (next == NULL) {
            object_put(&level->port->object);
            depth--;
        } else if (next == target || depth == NESTS_MAX || looks == LOOKS_MAX) {
            too_deep = true;
            object_put(&next->object);
        } else levels[depth++] = (struct level){.port = next};
    }
    return too_deep;
}
