// What ports watch: each kind of object, each other, and what becomes of a binding whose handle goes.
#include "tests/guest/kt/kt.h"

#define ANY (KPIO_SIGNAL_USER_MASK | KPIO_SIGNAL_TERMINATED | KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE | KPIO_SIGNAL_FIRED)
enum { ONCE, LEVEL, EDGE };

static struct kpio_port_packet packets[KPIO_PORT_BATCH_MAX];

// ---- REVOKED, for each kind ------------------------------------------------------------------------------------------------

KT_CHILD(sleeps) {
    time_sleep_ms(1000000);
    return 0;
}

static void expect_revoked(kpio_handle port, uint64_t key, uint32_t kind) {
    KT_EQUAL(kpio_port_wait(port, packets, KPIO_PORT_BATCH_MAX, kt_soon()), 1);
    KT_EQUAL(packets[0].key, key);
    KT_EQUAL(packets[0].signals & KPIO_SIGNAL_REVOKED, KPIO_SIGNAL_REVOKED);
    KT_EQUAL(packets[0].kind, kind);
    KT_ERROR(kpio_port_wait(port, packets, 1, 0), ETIMEDOUT);  // delivered once
}

// A binding through a handle that then is revoked, closed, or moved away.
static void watch_and_lose(kpio_handle object, uint32_t kind) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    for (unsigned mode = ONCE; mode <= EDGE; mode++) {
        kpio_handle lost = KT_HANDLE(kpio_handle_dup(object, KPIO_RIGHTS_SAME));
        KT_EQUAL(kpio_port_bind(port, lost, ANY, 100 + mode, mode), 0);
        (void)kpio_port_wait(port, packets, KPIO_PORT_BATCH_MAX, 0);  // what is asserted already
        KT_EQUAL(kpio_handle_revoke(object, 0), 1);
        expect_revoked(port, 100 + mode, kind);
        KT_ERROR(kpio_port_unbind(port, object, 100 + mode), ENOENT);
        lost = KT_HANDLE(kpio_handle_dup(object, KPIO_RIGHTS_SAME));
        KT_EQUAL(kpio_port_bind(port, lost, ANY, 7, mode), 0);
        (void)kpio_port_wait(port, packets, KPIO_PORT_BATCH_MAX, 0);
        kt_close(lost);
        expect_revoked(port, 7, kind);
    }
    kt_close(port);
    kt_close(object);
}

KT_TEST(revoked_event) { watch_and_lose(KT_HANDLE(kpio_event_create()), KPIO_KIND_EVENT); }
KT_TEST(revoked_timer) { watch_and_lose(KT_HANDLE(kpio_timer_create()), KPIO_KIND_TIMER); }
KT_TEST(revoked_endpoint) { watch_and_lose(KT_HANDLE(kpio_endpoint_create()), KPIO_KIND_ENDPOINT); }
KT_TEST(revoked_port) { watch_and_lose(KT_HANDLE(kpio_port_create()), KPIO_KIND_PORT); }

KT_TEST(revoked_pipe) {
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(0, 0, &writer));
    watch_and_lose(reader, KPIO_KIND_PIPE);
    watch_and_lose(writer, KPIO_KIND_PIPE);
}

KT_TEST(revoked_process) {
    kpio_handle process = kt_spawn("sleeps", NULL, 0), again = KT_HANDLE(kpio_handle_dup(process, KPIO_RIGHTS_SAME));
    watch_and_lose(again, KPIO_KIND_PROCESS);
    KT_EQUAL(kpio_process_kill(process, 1), 0);
    KT_EQUAL(kt_wait(process), 1);
}

static int64_t sleep_on(void *arg) {
    (void)kpio_event_wait(*(kpio_handle *)arg, 1, 0, kt_soon());
    return 0;
}

KT_TEST(revoked_thread) {
    static struct thread thread;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(thread_spawn(&thread, "sleeper", sleep_on, &event, NULL, 0), 0);
    watch_and_lose(KT_HANDLE(kpio_handle_dup(thread.handle, KPIO_RIGHTS_SAME)), KPIO_KIND_THREAD);
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
    KT_EQUAL(thread_join(&thread, NULL), 0);
    kt_close(event);
}

KT_TEST(revoked_job) {
    struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &none, (const uint8_t *)"job", 3));
    watch_and_lose(job, KPIO_KIND_JOB);
}

// A move keeps the handle's place in the tree, but what was bound in the old process is not the new one's.
KT_TEST(a_handle_that_is_moved_away) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), event = KT_HANDLE(kpio_event_create());
    kpio_handle child = kt_spawn("sleeps", NULL, 0), moved = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    KT_EQUAL(kpio_port_bind(port, moved, 1, 5, ONCE), 0);
    KT_CHECK(kpio_handle_give(child, moved, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE) > 0);
    expect_revoked(port, 5, KPIO_KIND_EVENT);
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
    KT_ERROR(kpio_port_wait(port, packets, 1, 0), ETIMEDOUT);
    KT_EQUAL(kpio_process_kill(child, 1), 0);
    KT_EQUAL(kt_wait(child), 1);
    kt_close(event);
    kt_close(port);
}

KT_TEST(what_cannot_be_watched) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), vmo = KT_HANDLE(kpio_vmo_create(4096, 0));
    int64_t result = kpio_port_bind(port, vmo, 1, 1, ONCE);
    KT_CHECK(result == -EACCES || result == -EINVAL);
    KT_ERROR(kpio_port_bind(port, vmo, 1u << 30, 1, ONCE), EACCES);
    kt_close(vmo);
    kt_close(port);
}

// ---- ports that watch ports --------------------------------------------------------------------------------------------------

KT_TEST(a_chain_of_ports) {
    enum { LENGTH = 50 };
    kpio_handle port[LENGTH];
    for (unsigned i = 0; i < LENGTH; i++) port[i] = KT_HANDLE(kpio_port_create());
    for (unsigned i = 1; i < LENGTH; i++) KT_EQUAL(kpio_port_bind(port[i], port[i - 1], KPIO_SIGNAL_READABLE, i, ONCE), 0);
    KT_ERROR(kpio_port_wait(port[LENGTH - 1], packets, 1, 0), ETIMEDOUT);
    KT_EQUAL(kpio_port_post(port[0], 77, 78), 0);
    for (unsigned i = LENGTH - 1; i > 0; i--) {
        KT_EQUAL(kpio_port_wait(port[i], packets, 1, kt_soon()), 1);
        KT_EQUAL(packets[0].key, i);
        KT_EQUAL(packets[0].kind, KPIO_KIND_PORT);
        KT_EQUAL(packets[0].signals, KPIO_SIGNAL_READABLE);
    }
    KT_EQUAL(kpio_port_wait(port[0], packets, 1, 0), 1);
    KT_EQUAL(packets[0].value, 78);
    for (unsigned i = 0; i < LENGTH; i++) kt_close(port[i]);
}

KT_TEST(a_ring_of_ports) {
    kpio_handle a = KT_HANDLE(kpio_port_create()), b = KT_HANDLE(kpio_port_create());
    KT_EQUAL(kpio_port_bind(a, b, KPIO_SIGNAL_READABLE, 1, EDGE), 0);
    KT_EQUAL(kpio_port_bind(b, a, KPIO_SIGNAL_READABLE, 2, EDGE), 0);
    KT_EQUAL(kpio_port_post(a, 9, 9), 0);  // b learns of it, which a learns of
    KT_EQUAL(kpio_port_wait(b, packets, 8, kt_soon()), 1);
    KT_EQUAL(packets[0].key, 2);
    KT_EQUAL(kpio_port_wait(a, packets, 8, kt_soon()), 2);
    kt_close(a);
    kt_close(b);
}

KT_TEST(a_port_that_watches_itself) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    KT_EQUAL(kpio_port_bind(port, port, KPIO_SIGNAL_READABLE, 1, EDGE), 0);
    KT_EQUAL(kpio_port_post(port, 2, 3), 0);
    KT_CHECK(kpio_port_wait(port, packets, 8, kt_soon()) >= 1);
    kt_close(port);
}

// ---- many ----------------------------------------------------------------------------------------------------------------

// Level bindings that are always asserted take turns, and leave a posted packet its place.
KT_TEST(more_that_is_ready_than_a_wait_takes) {
    enum { EVENTS = 100, BATCH = 8 };
    static kpio_handle event[EVENTS];
    static unsigned seen[EVENTS];
    kpio_handle port = KT_HANDLE(kpio_port_create());
    bool posted = false;
    for (unsigned i = 0; i < EVENTS; i++) {
        seen[i] = 0;
        event[i] = KT_HANDLE(kpio_event_create());
        KT_EQUAL(kpio_event_signal(event[i], 0, 1), 1);
        KT_EQUAL(kpio_port_bind(port, event[i], 1, i, LEVEL), 0);
    }
    KT_EQUAL(kpio_port_post(port, EVENTS, 0), 0);
    for (unsigned waits = 0; waits < 2 * EVENTS / BATCH + 2; waits++) {
        int64_t taken = KT_OK(kpio_port_wait(port, packets, BATCH, kt_soon()));
        for (int64_t i = 0; i < taken; i++) {
            if (packets[i].key == EVENTS) posted = true;
            else seen[packets[i].key]++;
        }
    }
    KT_CHECK(posted);
    for (unsigned i = 0; i < EVENTS; i++) KT_CHECK(seen[i] >= 1 && seen[i] <= 4);
    for (unsigned i = 0; i < EVENTS; i++) kt_close(event[i]);
    kt_close(port);
}

KT_CHILD(binds_until_it_cannot) {
    kpio_handle port = (kpio_handle)kpio_port_create(), event = (kpio_handle)kpio_event_create();
    int64_t result = 0;
    uint64_t count = 0;
    while (count < 20000 && (result = kpio_port_bind(port, event, 1, count, ONCE)) == 0) count++;
    if (result != -ENFILE || count < 100) return 1;
    if (kpio_port_unbind(port, event, 0) != 0) return 2;
    return kpio_port_bind(port, event, 1, 0, ONCE) == 0 ? 0 : 3;
}

KT_CHILD(posts_until_it_cannot) {
    kpio_handle port;
    int64_t result = 0;
    unsigned ports = 0;
    while (ports < 1000 && result == 0) {  // each takes a ring of its own
        port = (kpio_handle)kpio_port_create();
        if (port < 0) return port == -ENFILE ? 0 : port;
        for (unsigned i = 0; i < 1024 && result == 0; i++) result = kpio_port_post(port, 1, i);
        ports++;
    }
    return result == -ENOSPC ? 0 : 1;
}

KT_TEST(quota_of_bindings_and_packets) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 300000, UINT64_MAX};
    static const char *const children[] = {"binds_until_it_cannot", "posts_until_it_cannot"};
    for (unsigned i = 0; i < 2; i++) {
        kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"ports", 5));
        KT_EQUAL(kt_wait(kt_spawn_in(job, children[i], NULL, 0)), 0);
        kt_close(job);
    }
}

// ---- waiting -------------------------------------------------------------------------------------------------------------

struct waiter {
    struct thread thread;
    kpio_handle port;
};
static int64_t wait_one(void *arg) {
    struct kpio_port_packet packet;
    return kpio_port_wait(((struct waiter *)arg)->port, &packet, 1, kt_soon());
}

KT_TEST(each_packet_wakes_one) {
    enum { WAITERS = 4 };
    static struct waiter w[WAITERS];
    kpio_handle port = KT_HANDLE(kpio_port_create());
    for (unsigned i = 0; i < WAITERS; i++) {
        w[i].port = port;
        KT_EQUAL(thread_spawn(&w[i].thread, "waiter", wait_one, &w[i], NULL, 0), 0);
        kt_blocked(w[i].thread.handle);
    }
    for (unsigned i = 0; i < WAITERS; i++) KT_EQUAL(kpio_port_post(port, i, i), 0);
    for (unsigned i = 0; i < WAITERS; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&w[i].thread, &result), 0);
        KT_EQUAL(result, 1);
    }
    KT_ERROR(kpio_port_wait(port, packets, 1, 0), ETIMEDOUT);
    kt_close(port);
}

KT_TEST(waits_end_with_their_handle) {
    static struct waiter w;
    int64_t result = 0;
    kpio_handle port = KT_HANDLE(kpio_port_create());
    w.port = KT_HANDLE(kpio_handle_dup(port, KPIO_RIGHTS_SAME));
    KT_EQUAL(thread_spawn(&w.thread, "waiter", wait_one, &w, NULL, 0), 0);
    kt_blocked(w.thread.handle);
    KT_EQUAL(kpio_handle_revoke(port, 0), 1);
    KT_EQUAL(thread_join(&w.thread, &result), 0);
    KT_EQUAL(result, -ECANCELED);
    w.port = port;
    KT_EQUAL(thread_spawn(&w.thread, "waiter", wait_one, &w, NULL, 0), 0);
    kt_blocked(w.thread.handle);
    kt_close(port);
    KT_EQUAL(thread_join(&w.thread, &result), 0);
    KT_CHECK(result == -ECANCELED || result == -EDESTROYED);
}
