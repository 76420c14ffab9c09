// The entropy driver killed, hung and replaced while clients call: every request ends, DMA writes nothing that is not the
// driver's any more, nothing is lost.
#include "protocols/gen/rng.h"
#include "tests/guest/kt/canary.h"
#include "tests/guest/kt/driver.h"

#define RNG (0x1af4u | 0x1044u << 16)
#define KILLS 200
#define KILLS_LONG 1000
#define CLIENTS 2

// The device is part of the machine below, which may stand still for a while; only who hangs on purpose is given up early.
static const char *const patient[] = {"patience_ms", "120000", NULL};
static struct kt_driver driver = {.program = "/drv/virtio_rng", .device = RNG, .settings = patient};

// ---- clients -------------------------------------------------------------------------------------------------------------

struct client_thread {
    struct thread thread;
    uint64_t done, lost, wrong;  // requests that succeeded, failed as documented, and anything else
};
static struct client_thread clients[CLIENTS];
static struct mutex driver_lock;  // guards driver.endpoint against the clients
static volatile bool stop;

static kpio_handle endpoint_copy(void) {
    mutex_lock(&driver_lock);
    int64_t copy = driver.endpoint > 0 ? kpio_handle_dup(driver.endpoint, KPIO_RIGHTS_SAME) : 0;
    mutex_unlock(&driver_lock);
    return copy > 0 ? (kpio_handle)copy : KPIO_HANDLE_NONE;
}

// The documented error of a lost server is EPIPE; the protocol's `retry` is what a named client does on it.
static void request_once(struct client_thread *c, struct client *client) {
    struct rng_read_request request = {1 + (uint32_t)(c->done % 2048)};
    struct rng_read_reply reply;
    int64_t result = rng_read(client, &request, &reply);
    if (result == 0 && reply.data_size == request.size) __atomic_add_fetch(&c->done, 1, __ATOMIC_RELAXED);
    else if (result == -EPIPE) c->lost++;
    else {
        c->wrong++;
        print("request: %s\n", error_name(result));
    }
    if (result != 0) client_close(client);
}

static int64_t client_main(void *arg) {
    struct client client = {.timeout_ns = KT_HANG_NS};
    while (!stop) {
        if (client.endpoint <= 0) client.endpoint = endpoint_copy();
        if (client.endpoint > 0) request_once(arg, &client);
        else time_sleep_ms(1);
    }
    client_close(&client);
    return 0;
}

static void clients_start(void) {
    stop = false;
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client_thread){};
        KT_EQUAL(thread_spawn(&clients[i].thread, "client", client_main, &clients[i], NULL, 0), 0);
    }
}

static uint64_t clients_done(void) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < CLIENTS; i++) sum += __atomic_load_n(&clients[i].done, __ATOMIC_RELAXED);
    return sum;
}

static struct client_thread clients_stop(void) {
    struct client_thread sum = {};
    stop = true;
    for (unsigned i = 0; i < CLIENTS; i++) {
        KT_EQUAL(thread_join(&clients[i].thread, NULL), 0);
        sum.done += clients[i].done;
        sum.lost += clients[i].lost;
        sum.wrong += clients[i].wrong;
    }
    return sum;
}

// ---- cases ---------------------------------------------------------------------------------------------------------------

static void driver_up(void) {
    mutex_lock(&driver_lock);
    int64_t error = kt_driver_start(&driver);
    mutex_unlock(&driver_lock);
    KT_EQUAL(error, 0);
}

static void driver_down(void) {
    mutex_lock(&driver_lock);
    int64_t error = kt_driver_kill(&driver);
    mutex_unlock(&driver_lock);
    KT_EQUAL(error, 0);
}

KT_TEST(works) {
    struct client client = {.timeout_ns = KT_HANG_NS};
    struct rng_read_request request = {2048};
    struct rng_read_reply reply;
    unsigned zeros = 0;
    kt_device_need(RNG, 0);
    KT_EQUAL(kt_init_start(), 0);
    driver_up();
    client.endpoint = driver.endpoint;
    KT_EQUAL(rng_read(&client, &request, &reply), 0);
    KT_EQUAL(reply.data_size, 2048);
    for (unsigned i = 0; i < 2048; i++) zeros += reply.data[i] == 0;
    KT_CHECK(zeros < 100);
    request.size = 0;
    KT_ERROR(rng_read(&client, &request, &reply), EINVAL);
    request.size = 2049;
    KT_ERROR(rng_read(&client, &request, &reply), EINVAL);
    driver_down();
    KT_EQUAL(kt_init_stop(), 0);
}

// A driver that misses an interrupt finds the bytes only when its patience with the device, two minutes, is over.
KT_TEST(no_interrupt_is_missed) {
    struct client client = {.timeout_ns = KT_HANG_NS};
    struct rng_read_request request = {8};
    struct rng_read_reply reply;
    unsigned late = 0;
    kt_device_need(RNG, 0);
    KT_EQUAL(kt_init_start(), 0);
    driver_up();
    client.endpoint = driver.endpoint;
    for (unsigned i = 0; i < (kt_long() ? 50000u : 2000u); i++) {
        uint64_t start = time_now();
        KT_EQUAL(rng_read(&client, &request, &reply), 0);
        late += time_now() - start > 110000000000;
    }
    driver_down();
    KT_EQUAL(kt_init_stop(), 0);
    KT_EQUAL(late, 0);
}

KT_TEST(killed_at_random_points) {
    uint64_t kills = kt_long() ? KILLS_LONG : KILLS;
    kt_device_need(RNG, 0);
    KT_EQUAL(kt_init_start(), 0);
    driver_up();
    clients_start();
    uint64_t start = time_now();
    for (uint64_t i = 0; i < kills; i++) {
        uint64_t until = time_now() + kt_random() % 3000000;
        while (time_now() < until) (void)kpio_thread_yield();
        driver_down();
        kt_canary_place();
        driver_up();
    }
    uint64_t took = time_now() - start;
    uint64_t deadline = kt_soon();
    while (clients_done() == 0 && time_now() < deadline) time_sleep_ms(1);
    struct client_thread sum = clients_stop();
    driver_down();
    kt_canary_end();
    KT_EQUAL(kt_init_stop(), 0);
    kt_note("%lu kills in %lu ms; %lu requests done, %lu lost with EPIPE, %lu wrong", kills, took / 1000000, sum.done,
            sum.lost, sum.wrong);
    KT_EQUAL(sum.wrong, 0);
    KT_CHECK(sum.done > 0);
}

KT_TEST(hands_its_state_to_the_next) {
    struct client client = {.timeout_ns = KT_HANG_NS};
    struct rng_read_request request = {100};
    struct rng_read_reply reply;
    struct rng_stats_request ask;
    struct rng_stats_reply stats = {};
    kt_device_need(RNG, 0);
    KT_EQUAL(kt_init_start(), 0);
    driver_up();
    client.endpoint = driver.endpoint;
    for (unsigned i = 0; i < 10; i++) KT_EQUAL(rng_read(&client, &request, &reply), 0);
    KT_EQUAL(kt_driver_retire(&driver), 0);
    driver_up();
    client.endpoint = driver.endpoint;
    KT_EQUAL(rng_read(&client, &request, &reply), 0);
    KT_EQUAL(rng_stats(&client, &ask, &stats), 0);
    KT_EQUAL(stats.requests, 11);
    KT_EQUAL(stats.bytes, 1100);
    driver_down();
    kt_close(driver.state);
    driver.state = KPIO_HANDLE_NONE;
    KT_EQUAL(kt_init_stop(), 0);
}

KT_TEST(a_hung_one_does_not_hang_its_caller) {
    static const char *const settings[] = {"patience_ms", "120000", "hang_after", "3", NULL};
    struct client client = {.timeout_ns = KT_HANG_NS};
    struct rng_read_request request = {16};
    struct rng_read_reply reply;
    kt_device_need(RNG, 0);
    KT_EQUAL(kt_init_start(), 0);
    driver.settings = settings;
    driver_up();
    client.endpoint = driver.endpoint;
    KT_EQUAL(rng_read(&client, &request, &reply), 0);
    KT_EQUAL(rng_read(&client, &request, &reply), 0);
    client.timeout_ns = 200000000;
    KT_ERROR(rng_read(&client, &request, &reply), ETIMEDOUT);
    client.timeout_ns = KT_HANG_NS;
    KT_ERROR(kpio_ipc_call(driver.endpoint, KPIO_MESSAGE(SERVICE_PING, 0, 0), time_after_ms(100)), ETIMEDOUT);
    driver_down();
    driver.settings = patient;
    driver_up();  // resets and works again
    client.endpoint = driver.endpoint;
    KT_EQUAL(rng_read(&client, &request, &reply), 0);
    driver_down();
    KT_EQUAL(kt_init_stop(), 0);
}
