// Pings each service that has a watchdog; one that does not answer in its time is reported to the supervisor.
#include "user/init/supervisor.h"

#define PERIOD_MS 50u
#define PARTS 8u  // of a service's time: those count in which this thread, too, got to run

struct target {
    struct supervised *service;
    kpio_handle endpoint;  // a duplicate of its own: the service may be started anew meanwhile
    uint64_t pid, limit;
};

// The next service to ping, from *index on; false at the end.
static bool next_target(size_t *index, struct target *target) {
    bool found = false;
    mutex_lock(&supervisor.lock);
    for (; *index < supervisor.count && !found; ++*index) {
        struct supervised *s = &supervisor.services[*index];
        if (s->state != SERVICE_RUNNING || s->manifest.watchdog == 0 || s->endpoint == 0) continue;
        int64_t endpoint = kpio_handle_dup(s->endpoint, KPIO_RIGHT_CALL);
        if (endpoint < 0) continue;
        *target = (struct target){s, (kpio_handle)endpoint, s->pid, s->manifest.watchdog};
        found = true;
    }
    mutex_unlock(&supervisor.lock);
    return found;
}

// A machine that stood still as a whole, for longer than the limit even, takes one part of it.
static void ping(const struct target *target) {
    int64_t result = -ETIMEDOUT;
    for (unsigned part = 0; part < PARTS && result == -ETIMEDOUT; part++)
        result = kpio_ipc_call(target->endpoint, KPIO_MESSAGE(SERVICE_PING, 0, 0), time_now() + target->limit / PARTS);
    (void)kpio_handle_close((uint64_t)target->endpoint);
    if (result != -ETIMEDOUT) return;  // an answer, or its end, which the supervisor sees
    mutex_lock(&supervisor.lock);
    if (target->service->pid == target->pid && target->service->state == SERVICE_RUNNING)
        (void)supervisor_post(target->service, COMMAND_HUNG);
    mutex_unlock(&supervisor.lock);
}

int64_t watchdog_main(void *arg) {
    for (;;) {
        struct target target;
        for (size_t index = 0; next_target(&index, &target);) ping(&target);
        time_sleep_ms(PERIOD_MS);
    }
}
