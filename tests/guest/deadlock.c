// Dead-lock detection: cycles of 2, 3 and 100 processes, cycles closed from all CPUs at once, and servers with several
// threads that must not be flagged.
#include "tests/guest/kt/kt.h"

#define NEVER KPIO_TIME_NEVER
#define CYCLE_MAX 100
enum { OP_FORWARD = 1, OP_STOP, OP_NOTHING };

// A link of the chain: receives on "in"; OP_FORWARD with a count > 0 is passed on to "out" with one less, and what comes of
// it is the reply's label (errno + 1000 when the call failed).
KT_CHILD(link) {
    kpio_handle in = startup_handle("in"), out = startup_handle("out");
    uint64_t *words = thread_message();
    int64_t header = kpio_ipc_receive(in, NEVER);
    while (header >= 0) {
        uint64_t label = KPIO_MESSAGE_LABEL(header), answer = 0;
        if (label == OP_FORWARD && words[0] > 0) {
            words[0]--;
            int64_t result = kpio_ipc_call(out, KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon());
            answer = result < 0 ? 1000 + (uint64_t)-result : KPIO_MESSAGE_LABEL(result);
        }
        if (label == OP_STOP) {
            (void)kpio_ipc_reply(0);
            return 0;
        }
        header = kpio_ipc_reply_receive(in, KPIO_MESSAGE(answer, 0, 0), NEVER);
    }
    return header;
}

static kpio_handle endpoints[CYCLE_MAX], links[CYCLE_MAX];

static void start_cycle(unsigned n) {
    for (unsigned i = 0; i < n; i++) endpoints[i] = KT_HANDLE(kpio_endpoint_create());
    for (unsigned i = 0; i < n; i++) {
        struct process_grant grants[] = {
            {"in", endpoints[i], KPIO_RIGHT_RECEIVE, KPIO_SEND_COPY},
            {"out", endpoints[(i + 1) % n], KPIO_RIGHT_CALL, KPIO_SEND_COPY},
        };
        links[i] = kt_spawn("link", grants, 2);
    }
    // Each has received once, so each is bound.
    for (unsigned i = 0; i < n; i++) KT_EQUAL(kpio_ipc_call(endpoints[i], KPIO_MESSAGE(OP_NOTHING, 0, 0), kt_soon()), 0);
}
static void stop_cycle(unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        KT_EQUAL(kpio_ipc_call(endpoints[i], KPIO_MESSAGE(OP_STOP, 0, 0), kt_soon()), 0);
        KT_EQUAL(kt_wait(links[i]), 0);
        kt_close(endpoints[i]);
    }
}

static void cycle(unsigned n) {
    start_cycle(n);
    uint64_t *words = thread_message();
    words[0] = n - 1;  // the last link answers: no cycle
    KT_EQUAL(kpio_ipc_call(endpoints[0], KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon()), 0);
    words[0] = n;      // the last link calls the first, which waits
    KT_EQUAL(kpio_ipc_call(endpoints[0], KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon()),
             KPIO_MESSAGE(1000 + EDEADLK, 0, 0));
    words[0] = n - 1;  // and nothing is left of it
    KT_EQUAL(kpio_ipc_call(endpoints[0], KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon()), 0);
    stop_cycle(n);
}

KT_TEST(cycle_of_two) { cycle(2); }
KT_TEST(cycle_of_three) { cycle(3); }
KT_TEST(cycle_of_a_hundred) { cycle(100); }

static kpio_handle own;
static int64_t call_myself(void *arg) {
    int64_t header = kpio_ipc_receive(own, kt_soon());
    if (header < 0) return header;
    int64_t result = kpio_ipc_call(own, 0, kt_soon());
    (void)kpio_ipc_reply(0);
    return result;
}

KT_TEST(calling_oneself) {
    struct thread server;
    int64_t result;
    own = KT_HANDLE(kpio_endpoint_create());
    KT_EQUAL(thread_spawn(&server, "server", call_myself, NULL, NULL, 0), 0);
    KT_EQUAL(kpio_ipc_call(own, 0, kt_soon()), 0);
    KT_EQUAL(thread_join(&server, &result), 0);
    KT_EQUAL(result, -EDEADLK);
    kt_close(own);
}

// ---- servers with several threads -----------------------------------------------------------------------------------------

static kpio_handle pool;
static int64_t pool_thread(void *arg) {
    uint64_t *words = thread_message();
    int64_t header = kpio_ipc_receive(pool, NEVER);
    while (header >= 0) {
        uint64_t label = KPIO_MESSAGE_LABEL(header), answer = 0;
        if (label == OP_STOP) {
            (void)kpio_ipc_reply(0);
            return 0;
        }
        if (label == OP_FORWARD && words[0] > 0) {  // calls its own server: another thread may take it
            words[0]--;
            int64_t result = kpio_ipc_call(pool, KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon());
            answer = result < 0 ? 1000 + (uint64_t)-result : KPIO_MESSAGE_LABEL(result);
        }
        if (label == OP_NOTHING) time_sleep_ms(20);
        header = kpio_ipc_reply_receive(pool, KPIO_MESSAGE(answer, 0, 0), NEVER);
    }
    return header;
}

static struct thread pool_threads[4];
static void start_pool(unsigned n) {
    pool = KT_HANDLE(kpio_endpoint_create());
    for (unsigned i = 0; i < n; i++) {
        KT_EQUAL(thread_spawn(&pool_threads[i], "pool", pool_thread, NULL, NULL, 0), 0);
        KT_EQUAL(kpio_endpoint_bind(pool, pool_threads[i].handle), 0);
    }
}
static void stop_pool(unsigned n) {
    for (unsigned i = 0; i < n; i++) KT_EQUAL(kpio_ipc_call(pool, KPIO_MESSAGE(OP_STOP, 0, 0), kt_soon()), 0);
    for (unsigned i = 0; i < n; i++) KT_EQUAL(thread_join(&pool_threads[i], NULL), 0);
    kt_close(pool);
}

KT_TEST(several_threads_serve_each_other) {
    uint64_t *words = thread_message();
    start_pool(4);
    words[0] = 3;  // takes all four threads, one inside the other
    KT_EQUAL(kpio_ipc_call(pool, KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon()), 0);
    words[0] = 4;  // the fifth level finds all four waiting for it
    KT_EQUAL(kpio_ipc_call(pool, KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon()), KPIO_MESSAGE(1000 + EDEADLK, 0, 0));
    stop_pool(4);
}

static int64_t slow_call(void *arg) { return kpio_ipc_call(pool, KPIO_MESSAGE(OP_NOTHING, 0, 0), kt_soon()); }

KT_TEST(a_busy_thread_is_not_a_dead_lock) {
    struct thread slow;
    int64_t result;
    uint64_t *words = thread_message();
    start_pool(2);
    KT_EQUAL(thread_spawn(&slow, "slow", slow_call, NULL, NULL, 0), 0);
    time_sleep_ms(3);
    words[0] = 1;  // one thread sleeps, the other calls: it waits until the first is free
    KT_EQUAL(kpio_ipc_call(pool, KPIO_MESSAGE(OP_FORWARD, 8, 0), kt_soon()), 0);
    KT_EQUAL(thread_join(&slow, &result), 0);
    KT_EQUAL(result, 0);
    stop_pool(2);
}

// ---- cycles closed at once ------------------------------------------------------------------------------------------------

#define RACERS 4
static kpio_handle racer_endpoints[RACERS];
static uint32_t racer_go;

static int64_t racer(void *arg) {
    uint64_t me = (uint64_t)arg;
    int64_t header = kpio_ipc_receive(racer_endpoints[me], kt_soon());
    if (header < 0) return header;
    __atomic_fetch_add(&racer_go, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&racer_go, __ATOMIC_ACQUIRE) < RACERS) (void)kpio_thread_yield();
    int64_t result = kpio_ipc_call(racer_endpoints[(me + 1) % RACERS], 0, kt_soon());
    (void)kpio_ipc_reply(0);
    // Whoever waits in the queue of this endpoint is served now. The next racer got no call from one that failed, so that
    // one sends afterwards.
    header = kpio_ipc_receive(racer_endpoints[me], kt_soon());
    if (header < 0) return header;
    (void)kpio_ipc_reply(0);
    if (result == -EDEADLK) (void)kpio_ipc_send(racer_endpoints[(me + 1) % RACERS], 0, kt_soon());
    return result;
}
static int64_t kick(void *arg) { return kpio_ipc_call(racer_endpoints[(uint64_t)arg], 0, kt_soon()); }

KT_TEST(of_a_cycle_closed_at_once_exactly_one_call_fails) {
    unsigned rounds = kt_long() ? 2000 : 100;
    for (unsigned round = 0; round < rounds; round++) {
        struct thread racers[RACERS], kickers[RACERS];
        unsigned failed = 0;
        racer_go = 0;
        for (uint64_t i = 0; i < RACERS; i++) {
            racer_endpoints[i] = KT_HANDLE(kpio_endpoint_create());
            KT_EQUAL(thread_spawn(&racers[i], "racer", racer, (void *)i, NULL, 0), 0);
            KT_EQUAL(kpio_endpoint_bind(racer_endpoints[i], racers[i].handle), 0);
        }
        for (uint64_t i = 0; i < RACERS; i++) KT_EQUAL(thread_spawn(&kickers[i], "kicker", kick, (void *)i, NULL, 0), 0);
        for (unsigned i = 0; i < RACERS; i++) {
            int64_t result;
            KT_EQUAL(thread_join(&racers[i], &result), 0);
            KT_CHECK(result == 0 || result == -EDEADLK);
            failed += result == -EDEADLK;
        }
        for (unsigned i = 0; i < RACERS; i++) KT_EQUAL(thread_join(&kickers[i], NULL), 0);
        for (unsigned i = 0; i < RACERS; i++) kt_close(racer_endpoints[i]);
        KT_EQUAL(failed, 1);
    }
}
