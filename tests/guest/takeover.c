// Live replacement by init: a version that takes over and is never ready gives way to the one before, with its state. This
// program is the suite, run as a service that may control others, and every version of the services that it replaces; what a
// version from 1 on does wrong is a setting of the service (tests/system/modes.py):
//
//   fault = end    ends at once        spoil   writes all over its state, then ends        hang   is never ready
//           none   nothing             late    takes its time, and is ready then
#include "lib/fmt.h"
#include "lib/string.h"
#include "protocols/gen/counter.h"
#include "protocols/gen/init.h"
#include "tests/guest/kt/kt.h"

#define LATE_MS 300u

// ---- the services ------------------------------------------------------------------------------------------------------------

struct subject {
    kpio_handle state;
    uint64_t *total;
};

static int64_t do_add(void *context, uint64_t badge, const struct counter_add_request *request, struct counter_add_reply *reply) {
    struct subject *s = context;
    *s->total += request->amount;
    *reply = (struct counter_add_reply){*s->total, kt_setting("version", 0), thread_self()->process_id};
    return 0;
}

static uint64_t dispatch(void *context, uint64_t header, uint64_t badge) {
    static const struct counter_server server = {.add = do_add};
    return counter_dispatch(&server, context, header, badge);
}

static kpio_handle retire(void *context) { return ((struct subject *)context)->state; }

static bool does(const char *fault) {
    const char *set = startup_setting("fault");
    return kt_setting("version", 0) > 0 && set != NULL && strcmp(set, fault) == 0;
}

KT_CHILD(subject) {
    struct subject s = {.state = startup_handle("state")};
    if (s.state == 0) s.state = (kpio_handle)kpio_vmo_create(4096, 0);
    int64_t at = kpio_aspace_map(kt_aspace(), s.state, 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return 1;
    s.total = (uint64_t *)at;
    if (does("spoil")) *s.total = 0xdead;
    if (does("end") || does("spoil")) return 7;
    if (does("hang")) time_sleep_ms(3600000);
    if (does("late")) time_sleep_ms(LATE_MS);
    const struct service service = {.dispatch = dispatch, .retire = retire, .context = &s};
    return service_run(&service);
}

// ---- the suite ---------------------------------------------------------------------------------------------------------------

static int64_t control(const char *service, const char *command) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_control_request request = {};
    struct init_control_reply reply;
    (void)fmt_print(request.name, sizeof request.name, "%s", service);
    (void)fmt_print(request.command, sizeof request.command, "%s", command);
    return init_control(&init, &request, &reply);
}

static struct init_list_reply listed(const char *service) {
    struct client init = {.endpoint = startup_handle("init")};
    struct init_list_reply reply;
    for (struct init_list_request request = {0}; init_list(&init, &request, &reply) == 0; request.index++)
        if (strcmp(reply.name, service) == 0) return reply;
    kt_fail(__FILE__, __LINE__, "init lists no %s", service);
}

static uint64_t version_listed(const char *service) { return listed(service).version; }

// What init is asked for it does in its own time.
static void await_state(const char *service, const char *state, uint64_t version) {
    struct init_list_reply now;
    uint64_t until = kt_soon();
    do now = listed(service);
    while ((now.version != version || strcmp(now.state, state) != 0) && time_now() < until);
    if (now.version != version || strcmp(now.state, state) != 0)
        kt_fail(__FILE__, __LINE__, "%s: version %u is %s, not version %u %s", service, (unsigned)now.version, now.state,
                (unsigned)version, state);
}

static struct counter_add_reply add(struct client *client, uint64_t amount) {
    struct counter_add_request request = {amount};
    struct counter_add_reply reply = {0};
    KT_EQUAL(counter_add(client, &request, &reply), 0);
    return reply;
}

static struct client client_of(const char *service) {
    struct client client = {.name = service, .timeout_ns = 300000000000ull};
    return client;
}

// Its version 1 is not fit: callers see a pause, and the version before with all that was counted.
static void goes_back(const char *service) {
    struct client client = client_of(service);
    struct counter_add_reply before = add(&client, 5), after = before;
    KT_EQUAL(before.version, 0);
    for (unsigned round = 1; round <= 2; round++) {
        uint64_t started = time_now();
        KT_EQUAL(control(service, "replace"), 0);
        while (after.pid == before.pid) after = add(&client, 0);
        kt_note("%s: back after %lu ms", service, (unsigned long)((time_now() - started) / 1000000));
        KT_EQUAL(after.version, 0);
        KT_EQUAL(after.total, before.total);
        KT_EQUAL(version_listed(service), 0);
        before = add(&client, 1);  // it goes on, and so does the next round
        KT_EQUAL(before.total, 5 + round);
    }
    client_close(&client);
}

KT_TEST_FLAGS(a_version_that_ends, KT_LEAKY) { goes_back("ends"); }        // leaky: services come and go
KT_TEST_FLAGS(a_version_that_spoils_the_state, KT_LEAKY) { goes_back("spoils"); }
KT_TEST_FLAGS(a_version_that_is_never_ready, KT_LEAKY) { goes_back("hangs"); }  // a service without a watchdog
KT_TEST_FLAGS(a_version_that_its_watchdog_waits_for, KT_LEAKY) { goes_back("watched"); }

// Once it was ready it is what starts again, also when it ends.
KT_TEST_FLAGS(a_version_that_takes_its_time, KT_LEAKY) {
    struct client client = client_of("late");
    struct counter_add_reply first = add(&client, 5), second = first, third;
    KT_EQUAL(control("late", "replace"), 0);
    while (second.pid == first.pid) second = add(&client, 0);
    KT_EQUAL(second.version, 1);
    KT_EQUAL(second.total, 5);
    KT_EQUAL(control("late", "kill"), 0);
    for (third = second; third.pid == second.pid;) third = add(&client, 0);
    KT_EQUAL(third.version, 1);
    KT_EQUAL(version_listed("late"), 1);
    client_close(&client);
}

// A version on trial is replaced in turn: what that one goes back to is the last that was ready.
KT_TEST_FLAGS(a_version_replaced_on_trial, KT_LEAKY) {
    struct client client = client_of("hangs");
    struct counter_add_reply before = add(&client, 1), after = before;
    KT_EQUAL(control("hangs", "replace"), 0);
    await_state("hangs", "starting", 1);
    KT_EQUAL(control("hangs", "replace"), 0);
    while (after.pid == before.pid) after = add(&client, 0);
    KT_EQUAL(after.version, 0);
    KT_EQUAL(after.total, before.total);
    client_close(&client);
}

// What is stopped stays so, and starts as the version before.
KT_TEST_FLAGS(a_version_stopped_on_trial, KT_LEAKY) {
    struct client client = client_of("hangs");
    struct counter_add_reply before = add(&client, 1);
    KT_EQUAL(control("hangs", "replace"), 0);
    await_state("hangs", "starting", 1);
    KT_EQUAL(control("hangs", "stop"), 0);
    await_state("hangs", "stopped", 0);
    KT_EQUAL(control("hangs", "start"), 0);
    await_state("hangs", "running", 0);
    client_close(&client);
    struct counter_add_reply after = add(&client, 0);
    KT_EQUAL(after.version, 0);
    KT_EQUAL(after.total, before.total);
    client_close(&client);
}
