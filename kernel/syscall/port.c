// Port system calls.
#include "kernel/ipc/port.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/mm/usercopy.h"
#include "kernel/object/process.h"

int64_t sys_port_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct port *port;
    int error = port_create(current_process()->job, &port);
    return error ? error : handle_install(&port->object);
}

// The port, with WRITE, and the source, with WAIT.
static int get_pair(uint64_t port, uint64_t source, struct port **out, struct handle **source_out) {
    struct object *o;
    int error = handle_get((kpio_handle)port, KPIO_KIND_PORT, KPIO_RIGHT_WRITE, &o);
    if (error) return error;
    *out = port_of(o);
    return handle_get_full((kpio_handle)source, KPIO_KIND_NONE, KPIO_RIGHT_WAIT, source_out);
}

int64_t sys_port_bind(uint64_t port, uint64_t source, uint64_t signals, uint64_t key, uint64_t options, uint64_t f) {
    struct port *p;
    struct handle *h;
    int error = get_pair(port, source, &p, &h);
    if (error) return error;
    if (signals == 0 || signals & ~(uint64_t)KPIO_SIGNALS_ALL || options > PORT_EDGE) return -EINVAL;
    const struct port_wish wish = {.signals = (uint32_t)signals, .mode = (enum port_mode)options, .key = key};
    return port_bind(p, h, &wish);
}

int64_t sys_port_watch(uint64_t port, uint64_t source, uint64_t signals, uint64_t key, uint64_t options, uint64_t data) {
    struct port *p;
    struct handle *h;
    int error = get_pair(port, source, &p, &h);
    if (error) return error;
    uint64_t mode = options & ~(uint64_t)KPIO_WATCH_CHANGE;
    if (signals & ~(uint64_t)KPIO_SIGNALS_ALL || mode > PORT_EDGE) return -EINVAL;
    const struct port_wish wish = {
        .signals = (uint32_t)signals, .mode = (enum port_mode)mode, .afresh = true, .key = key, .value = data};
    if (options & KPIO_WATCH_CHANGE) return port_change(p, h->object, &wish);
    // A port is found only by who holds it: what is watched lives on while the walk holds it.
    if (h->object->kind == KPIO_KIND_PORT && port_nests_too_deep(port_of(h->object), p)) return -ELOOP;
    return port_bind(p, h, &wish);
}

int64_t sys_port_rearm(uint64_t port, uint64_t source, uint64_t key, uint64_t d, uint64_t e, uint64_t f) {
    struct port *p;
    struct handle *h;
    int error = get_pair(port, source, &p, &h);
    return error ? error : port_rearm(p, h->object, key);
}

int64_t sys_port_unbind(uint64_t port, uint64_t source, uint64_t key, uint64_t d, uint64_t e, uint64_t f) {
    struct port *p;
    struct handle *h;
    int error = get_pair(port, source, &p, &h);
    return error ? error : port_unbind(p, h->object, key);
}

int64_t sys_port_post(uint64_t port, uint64_t key, uint64_t value, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)port, KPIO_KIND_PORT, KPIO_RIGHT_WRITE, &o);
    return error ? error : port_post(port_of(o), key, value);
}

int64_t sys_port_wait(uint64_t port, uint64_t packets, uint64_t count, uint64_t deadline, uint64_t e, uint64_t f) {
    struct kpio_port_packet taken[KPIO_PORT_BATCH_MAX];
    struct handle *h;
    int error = handle_get_full((kpio_handle)port, KPIO_KIND_PORT, KPIO_RIGHT_READ, &h);
    if (error) return error;
    if (count == 0) return -EINVAL;
    if (count > KPIO_PORT_BATCH_MAX) count = KPIO_PORT_BATCH_MAX;
    struct port *p = port_of(h->object);
    if (!object_tryget(&p->object)) return -EBADF;
    // Packets are taken only if there is room for them in the caller's memory.
    int64_t result = zero_user(user_ptr(packets), count * sizeof(taken[0]));
    if (result == 0) result = -EAGAIN;
    while (result == -EAGAIN) {
        // The copy or the wait passed a quiescent point: the handle is looked up again.
        result = handle_get_full((kpio_handle)port, KPIO_KIND_PORT, KPIO_RIGHT_READ, &h);
        if (result == 0 && h->object != &p->object) result = -EBADF;
        if (result == 0) result = port_wait(h, taken, (uint32_t)count, deadline);
    }
    if (result > 0) {
        error = copy_to_user(user_ptr(packets), taken, (size_t)result * sizeof(taken[0]));
        if (error) result = error;
    }
    object_put(&p->object);
    return result;
}

int64_t sys_port_settle(uint64_t port, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = handle_get((kpio_handle)port, KPIO_KIND_PORT, KPIO_RIGHT_READ, &o);
    if (error) return error;
    if (!object_tryget(o)) return -EBADF;
    uint32_t left = port_settle(port_of(o));
    object_put(o);
    return left;
}
