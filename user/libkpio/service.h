// What a process started by init can ask of it, and the main loop of a service.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "abi/types.h"

// An endpoint of the service of that name, waiting up to timeout_ns for it to run: a handle or a negative errno.
int64_t service_connect(const char *name, uint64_t timeout_ns);
void service_log(const char *text, size_t size);

struct service {
    // Answers one message: the reply's header, or KPIO_REPLY_NONE.
    uint64_t (*dispatch)(void *context, uint64_t header, uint64_t badge);
    // Before a new version takes over: a VMO with the state, or 0. May be NULL.
    kpio_handle (*retire)(void *context);
    void *context;
};
// Tells init that calls are welcome, then serves the endpoint "service" until retired (0) or until that is impossible
// (a negative errno).
int64_t service_run(const struct service *service);
