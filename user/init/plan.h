// In which order services start, and how long to wait before one starts again. No system calls: tested on the host.
#pragma once
#include "user/init/service_manifest.h"

#define SERVICES_MAX 32u

// Writes the indices of services that can run to order[], those that others need before them, and returns how many.
// For each other one wrong[index] says why (a need that does not exist, is refused itself, or a cycle); it is NULL for
// those in order[]. refused[index] (may be NULL) leaves a service out from the start.
size_t plan_order(const struct service_manifest *services, size_t count, const bool *refused, uint32_t order[SERVICES_MAX],
                  const char *wrong[SERVICES_MAX]);

struct backoff {
    uint64_t first, longest;
    uint64_t next;      // delay before the next restart; 0: first
    uint32_t in_a_row;  // ends since it last ran long
};
#define BACKOFF_RAN_LONG 10000000000ull  // ns; after that a service starts afresh

// The service ended after running for `ran` ns: how long to wait.
uint64_t backoff_ended(struct backoff *backoff, uint64_t ran);
