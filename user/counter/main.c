// A service of the demonstration. Its number lies in a VMO that init keeps, so that it survives crashes as well as a
// change of version.
//
// Settings: ready_after=MS  for tests: takes that long to become ready.
#include "protocols/gen/counter.h"
#include "protocols/gen/init.h"
#include "user/libkpio/kpio.h"

struct counter {
    kpio_handle state;
    uint64_t version;
    struct counter_state {
        uint64_t total;
    } *shared;
};

static int64_t do_add(void *context, uint64_t badge, const struct counter_add_request *request,
                      struct counter_add_reply *reply) {
    struct counter *c = context;
    c->shared->total += request->amount;
    *reply = (struct counter_add_reply){c->shared->total, c->version, thread_self()->process_id};
    return 0;
}

static int64_t do_fail(void *context, uint64_t badge, const struct counter_fail_request *request,
                       struct counter_fail_reply *reply) {
    switch (request->how) {
    case 0: __asm__ volatile("movq $1, (%0)" : : "r"(0xdeadbeef000ul) : "memory"); return 0;
    case 1: for (;;) __asm__ volatile("pause");
    case 2: process_exit(3);
    default: return -EINVAL;
    }
}

static uint64_t dispatch(void *context, uint64_t header, uint64_t badge) {
    static const struct counter_server server = {.add = do_add, .fail = do_fail};
    return counter_dispatch(&server, context, header, badge);
}

static kpio_handle retire(void *context) { return ((struct counter *)context)->state; }

// The state of the one before, or a new one that init keeps from now on.
static int64_t open_state(struct counter *c) {
    c->state = startup_handle("state");
    if (c->state == 0) {
        struct client init = {.endpoint = startup_handle("init")};
        int64_t vmo = kpio_vmo_create(4096, 0);
        if (vmo < 0) return vmo;
        c->state = (kpio_handle)vmo;
        struct init_keep_request request = {.state = c->state};
        struct init_keep_reply reply;
        int64_t error = init_keep(&init, &request, &reply);
        if (error) return error;
    }
    int64_t address = kpio_aspace_map(startup_handle("aspace"), c->state, 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (address < 0) return address;
    c->shared = (struct counter_state *)address;
    return 0;
}

int main(int argc, char **argv) {
    struct counter counter = {.version = startup_number("version", 0)};
    const uint64_t ready_after = startup_number("ready_after", 0);
    if (ready_after > 0) time_sleep_ms(ready_after);
    int64_t result = open_state(&counter);
    if (result < 0) {
        print("no state: %s\n", error_name(result));
        return 1;
    }
    const struct service service = {.dispatch = dispatch, .retire = retire, .context = &counter};
    return (int)service_run(&service);
}
