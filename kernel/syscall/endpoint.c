// Endpoint system calls. The two that make up a round trip check their handle here with one comparison.
#include "kernel/ipc/call.h"

#include "abi/gen/errors.h"
#include "abi/gen/syscalls.h"
#include "kernel/object/process.h"
#include "kernel/syscall/args.h"

// The handle as an endpoint's with this right when nothing about it is unusual, else NULL.
static inline struct handle *endpoint_handle(uint64_t value, uint32_t right) {
    struct handle *h = handle_table_lookup(&current_process()->handles, (kpio_handle)value);
    if (likely(h && h->object->kind == KPIO_KIND_ENDPOINT && h->rights & right &&
               !(h->flags & (HANDLE_EXPIRES | HANDLE_AUDITED))))
        return h;
    return NULL;
}

// The checks in their order, with audit and expiry.
static struct handle *endpoint_handle_checked(uint64_t value, uint32_t right, int64_t *error) {
    struct handle *h;
    *error = handle_get_full((kpio_handle)value, KPIO_KIND_ENDPOINT, right, &h);
    return *error ? NULL : h;
}

coldpath static int64_t call_checked(uint64_t endpoint, uint64_t message, uint64_t deadline) {
    int64_t error;
    struct handle *h = endpoint_handle_checked(endpoint, KPIO_RIGHT_CALL, &error);
    return h ? ipc_call_slowly(h, message, deadline) : error;
}

coldpath static int64_t reply_receive_checked(uint64_t endpoint, uint64_t message, uint64_t deadline) {
    int64_t error;
    struct handle *h = endpoint_handle_checked(endpoint, KPIO_RIGHT_RECEIVE, &error);
    return h ? ipc_reply_receive_slowly(h, message, deadline) : error;
}

int64_t sys_endpoint_create(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct endpoint *endpoint;
    int error = endpoint_create(current_process()->job, &endpoint);
    return error ? error : handle_install(&endpoint->object);
}

int64_t sys_ipc_call(uint64_t endpoint, uint64_t message, uint64_t deadline, uint64_t d, uint64_t e, uint64_t f) {
    struct handle *h = endpoint_handle(endpoint, KPIO_RIGHT_CALL);
    return likely(h) ? ipc_call(h, message, deadline) : call_checked(endpoint, message, deadline);
}

int64_t sys_ipc_send(uint64_t endpoint, uint64_t message, uint64_t deadline, uint64_t d, uint64_t e, uint64_t f) {
    int64_t error;
    struct handle *h = endpoint_handle_checked(endpoint, KPIO_RIGHT_CALL, &error);
    return h ? ipc_send(h, message, deadline) : error;
}

int64_t sys_ipc_receive(uint64_t endpoint, uint64_t deadline, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    int64_t error;
    struct handle *h = endpoint_handle_checked(endpoint, KPIO_RIGHT_RECEIVE, &error);
    return h ? ipc_receive(h, deadline) : error;
}

int64_t sys_ipc_reply_receive(uint64_t endpoint, uint64_t message, uint64_t deadline, uint64_t d, uint64_t e,
                              uint64_t f) {
    struct handle *h = endpoint_handle(endpoint, KPIO_RIGHT_RECEIVE);
    return likely(h) ? ipc_reply_receive(h, message, deadline) : reply_receive_checked(endpoint, message, deadline);
}

int64_t sys_ipc_reply(uint64_t message, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    return ipc_reply(message);
}

int64_t sys_reply_save(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct reply *reply;
    int error = reply_save(&reply);
    return error ? error : handle_install(&reply->object);
}

int64_t sys_reply_send(uint64_t reply, uint64_t message, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o;
    int error = syscall_get(reply, KPIO_KIND_REPLY, 0, &o);
    if (error) return error;
    int64_t result = reply_send((struct reply *)o, message);
    // A reply that could not be sent for want of a valid message stays; the right is used up by any other outcome.
    if (result == 0 || result == -ECANCELED) (void)handle_close(&current_process()->handles, (kpio_handle)reply);
    object_put(o);
    return result;
}

int64_t sys_endpoint_bind(uint64_t endpoint, uint64_t thread, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    struct object *o, *t;
    int error = handle_get((kpio_handle)endpoint, KPIO_KIND_ENDPOINT, KPIO_RIGHT_RECEIVE, &o);
    if (!error) error = handle_get((kpio_handle)thread, KPIO_KIND_THREAD, KPIO_RIGHT_MANAGE, &t);
    if (error) return error;
    struct thread_object *target = thread_of(t);
    if (target->thread.state == THREAD_DEAD) return -EINVAL;
    endpoint_bind(endpoint_of(o), &target->thread);
    return 0;
}
