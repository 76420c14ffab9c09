// Waiting for several objects at once.
#include "lib/string.h"
#include "tests/guest/kt/fork.h"
#include "tests/guest/kt/kt.h"

#define READABLE KPIO_SIGNAL_READABLE
#define WRITABLE KPIO_SIGNAL_WRITABLE

enum { MANY = KPIO_WAIT_ITEMS_MAX };
static struct kpio_wait_item items[MANY + 1];

static struct kpio_wait_item item(kpio_handle handle, uint32_t signals) {
    return (struct kpio_wait_item){.handle = handle, .signals = signals, .asserted = 0xdead};
}

static int64_t wait_two(kpio_handle a, uint32_t a_signals, kpio_handle b, uint32_t b_signals, uint64_t deadline) {
    items[0] = item(a, a_signals);
    items[1] = item(b, b_signals);
    return kpio_handle_wait_many(items, 2, deadline);
}

static int64_t wait_one(kpio_handle h, uint32_t signals, uint64_t deadline) {
    items[0] = item(h, signals);
    return kpio_handle_wait_many(items, 1, deadline);
}

// ---- looking -------------------------------------------------------------------------------------------------------------

KT_TEST(what_is_there_already) {
    kpio_handle a = KT_HANDLE(kpio_event_create()), b = KT_HANDLE(kpio_event_create());
    KT_EQUAL(wait_two(a, 3, b, 3, 0), 0);
    KT_EQUAL(items[0].asserted | items[1].asserted, 0);
    KT_EQUAL(kpio_event_signal(a, 0, 5), 5);
    KT_EQUAL(wait_two(a, 3, b, 3, KPIO_TIME_NEVER), 1);
    KT_EQUAL(items[0].asserted, 1);
    KT_EQUAL(items[1].asserted, 0);
    KT_EQUAL(wait_two(b, 3, a, 7, kt_soon()), 1);
    KT_EQUAL(items[1].asserted, 5);
    KT_EQUAL(kpio_event_signal(b, 0, 2), 2);
    KT_EQUAL(wait_two(a, 3, b, 3, kt_soon()), 2);
    KT_EQUAL(items[0].asserted, 1);
    KT_EQUAL(items[1].asserted, 2);
    KT_EQUAL(wait_two(a, 1, a, 4, kt_soon()), 2);  // the same one twice
    kt_close(a);
    kt_close(b);
}

KT_TEST(deadline_passes) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    uint64_t before = time_now();
    KT_EQUAL(wait_two(event, 1, event, 2, before + 5000000), 0);
    KT_CHECK(time_now() >= before + 5000000);
    KT_EQUAL(items[0].asserted | items[1].asserted, 0);
    before = time_now();
    KT_EQUAL(kpio_handle_wait_many(NULL, 0, before + 5000000), 0);  // only sleeps
    KT_CHECK(time_now() >= before + 5000000);
    KT_EQUAL(kpio_handle_wait_many(NULL, 0, 0), 0);
    kt_close(event);
}

static int64_t end_with_42(void *arg) { return 42; }

KT_TEST(what_the_value_is) {
    kpio_handle counter = KT_HANDLE(kpio_counter_create(7, 0)), process = KT_HANDLE(kt_fork(end_with_42, NULL)), writer;
    kpio_handle reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &writer));
    KT_EQUAL(kpio_pipe_write(writer, (const uint8_t *)"five!", 5, 0, 0), 5);
    items[0] = item(counter, KPIO_SIGNAL_READABLE);
    items[1] = item(reader, KPIO_SIGNAL_READABLE);
    items[0].value = items[1].value = 99;
    KT_EQUAL(kpio_handle_wait_many(items, 2, 0), 2);
    KT_EQUAL(items[0].value, 7);
    KT_EQUAL(items[1].value, 5);
    items[0] = item(process, KPIO_SIGNAL_TERMINATED);
    KT_EQUAL(kpio_handle_wait_many(items, 1, kt_soon()), 1);
    KT_EQUAL(items[0].value, 42);
    kt_close(counter);
    kt_close(process);
    kt_close(reader);
    kt_close(writer);
}

KT_TEST(bad_input) {
    kpio_handle event = KT_HANDLE(kpio_event_create()), vmo = KT_HANDLE(kpio_vmo_create(4096, 0));
    kpio_handle deaf = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ));
    KT_ERROR(wait_two(event, 1, 0, 1, 0), EBADF);
    KT_ERROR(wait_two(event, 1, 0, 1, kt_soon()), EBADF);
    KT_ERROR(wait_two(event, 1, deaf, 1, kt_soon()), EACCES);
    int64_t result = wait_two(event, 1, vmo, 1, kt_soon());
    KT_CHECK(result == -EACCES || result == -EINVAL);
    KT_ERROR(wait_two(event, 1, event, 1u << 31, kt_soon()), EINVAL);
    KT_ERROR(kpio_handle_wait_many(items, MANY + 1, 0), EINVAL);
    KT_ERROR(kpio_handle_wait_many(items, UINT64_MAX, 0), EINVAL);
    KT_ERROR(kpio_handle_wait_many(KT_KERNEL_ADDRESS, 1, 0), EFAULT);
    KT_ERROR(kpio_handle_wait_many(KT_UNMAPPED_ADDRESS, 20, 0), EFAULT);
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
    kt_close(deaf);
    kt_close(vmo);
    kt_close(event);
}

// ---- each kind -------------------------------------------------------------------------------------------------------------

KT_CHILD(ends_soon) {
    time_sleep_ms(3);
    return 0;
}
static int64_t end_soon(void *arg) {
    time_sleep_ms(3);
    return 0;
}

KT_TEST(processes_and_threads) {
    static struct thread thread;
    kpio_handle process = kt_spawn("ends_soon", NULL, 0);
    KT_EQUAL(wait_one(process, KPIO_SIGNAL_TERMINATED, kt_soon()), 1);
    KT_EQUAL(items[0].asserted, KPIO_SIGNAL_TERMINATED);
    KT_EQUAL(kt_wait(process), 0);
    KT_EQUAL(thread_spawn(&thread, "soon", end_soon, NULL, NULL, 0), 0);
    KT_EQUAL(wait_one(thread.handle, KPIO_SIGNAL_TERMINATED, kt_soon()), 1);
    KT_EQUAL(thread_join(&thread, NULL), 0);
}

KT_TEST(timers_and_ports) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create()), port = KT_HANDLE(kpio_port_create());
    KT_EQUAL(kpio_timer_set(timer, time_after_ms(3), 0), 0);
    KT_EQUAL(wait_two(port, READABLE, timer, KPIO_SIGNAL_FIRED, kt_soon()), 1);
    KT_EQUAL(items[1].asserted, KPIO_SIGNAL_FIRED);
    KT_EQUAL(kpio_timer_read(timer, 0, 0), 1);
    KT_EQUAL(kpio_port_bind(port, timer, KPIO_SIGNAL_FIRED, 1, 0), 0);
    KT_EQUAL(wait_one(port, READABLE, 0), 0);
    KT_EQUAL(kpio_timer_set(timer, time_after_ms(3), 0), 0);
    KT_EQUAL(wait_one(port, READABLE, kt_soon()), 1);  // a wait for a port that watches a timer
    kt_close(timer);
    kt_close(port);
}

KT_TEST(files_are_always_ready) {
    kpio_handle root = KT_HANDLE(kpio_fs_mount("tmpfs", 0, 0, "size=64K"));
    kpio_handle file = KT_HANDLE((kpio_handle)kpio_path_open(root, "file", KPIO_OPEN_CREATE, 0600, KPIO_RIGHTS_SAME));
    KT_EQUAL(wait_two(root, READABLE | WRITABLE, file, READABLE | WRITABLE, kt_soon()), 2);
    KT_EQUAL(items[0].asserted & READABLE, READABLE);
    KT_EQUAL(items[1].asserted, READABLE | WRITABLE);
    kt_close(file);
    kt_close(root);
}

// ---- being woken -----------------------------------------------------------------------------------------------------------

struct waiter {
    struct thread thread;
    struct kpio_wait_item items[32];
    uint64_t count, deadline;
};
static int64_t wait_for(void *arg) {
    struct waiter *w = arg;
    return kpio_handle_wait_many(w->items, w->count, w->deadline);
}
static void start(struct waiter *w, uint64_t count) {
    w->count = count;
    w->deadline = kt_soon();
    KT_EQUAL(thread_spawn(&w->thread, "waiter", wait_for, w, NULL, 0), 0);
    kt_blocked(w->thread.handle);
}
static int64_t join(struct waiter *w) {
    int64_t result = 0;
    KT_EQUAL(thread_join(&w->thread, &result), 0);
    return result;
}

static void any_of(uint64_t count) {
    static struct waiter w;
    kpio_handle writer[32];
    for (uint64_t which = 0; which < count; which += 1 + count / 4) {
        for (uint64_t i = 0; i < count; i++) {
            kpio_handle reader = KT_HANDLE(kpio_pipe_create(0, 0, &writer[i]));
            w.items[i] = item(reader, READABLE);
        }
        start(&w, count);
        KT_EQUAL(kpio_pipe_write(writer[which], "x", 1, 0, 0), 1);
        KT_EQUAL(join(&w), 1);
        for (uint64_t i = 0; i < count; i++) {
            KT_EQUAL(w.items[i].asserted, i == which ? READABLE : 0);
            kt_close(w.items[i].handle);
            kt_close(writer[i]);
        }
    }
}
KT_TEST(any_of_one) { any_of(1); }
KT_TEST(any_of_two) { any_of(2); }
KT_TEST(any_of_eight) { any_of(8); }
KT_TEST(any_of_thirty) { any_of(30); }

KT_TEST(only_wanted_signals_wake) {
    static struct waiter w;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    w.items[0] = item(event, 4);
    start(&w, 1);
    KT_EQUAL(kpio_event_signal(event, 0, 3), 3);
    KT_EQUAL(kpio_event_signal(event, 0, 4), 7);
    KT_EQUAL(join(&w), 1);
    KT_EQUAL(w.items[0].asserted, 4);
    kt_close(event);
}

KT_TEST(several_threads_wait_for_the_same) {
    enum { WAITERS = 8 };
    static struct waiter w[WAITERS];
    kpio_handle event = KT_HANDLE(kpio_event_create());
    for (unsigned i = 0; i < WAITERS; i++) {
        w[i].items[0] = item(event, 1u << i % 2);
        start(&w[i], 1);
    }
    KT_EQUAL(kpio_event_signal(event, 0, 3), 3);
    for (unsigned i = 0; i < WAITERS; i++) KT_EQUAL(join(&w[i]), 1);
    kt_close(event);
}

KT_TEST(the_other_end_goes) {
    static struct waiter w;
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(0, 0, &writer));
    w.items[0] = item(reader, KPIO_SIGNAL_PEER_GONE);
    start(&w, 1);
    kt_close(writer);
    KT_EQUAL(join(&w), 1);
    KT_EQUAL(w.items[0].asserted, KPIO_SIGNAL_PEER_GONE);
    kt_close(reader);
}

// ---- ends ------------------------------------------------------------------------------------------------------------------

enum way { CLOSE, REVOKE, LAST_CLOSE, MOVE };
static void lose(enum way way) {
    static struct waiter w;
    kpio_handle event = KT_HANDLE(kpio_event_create()), lost = event, other = KT_HANDLE(kpio_event_create());
    if (way != LAST_CLOSE) lost = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    w.items[0] = item(other, 1);
    w.items[1] = item(lost, 0);  // told though nothing was wanted
    start(&w, 2);
    if (way == REVOKE) KT_EQUAL(kpio_handle_revoke(event, 0), 1);
    else if (way == MOVE) KT_CHECK(kpio_handle_give(kt_process(), lost, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE) > 0);
    else kt_close(lost);
    KT_EQUAL(join(&w), 1);
    KT_EQUAL(w.items[0].asserted, 0);
    KT_EQUAL(w.items[1].asserted, KPIO_SIGNAL_REVOKED);
    if (way == MOVE) KT_EQUAL(kpio_handle_revoke(event, 0), 1);
    if (way != LAST_CLOSE) kt_close(event);
    kt_close(other);
}
KT_TEST(a_closed_handle) { lose(CLOSE); }
KT_TEST(a_revoked_handle) { lose(REVOKE); }
KT_TEST(the_last_handle) { lose(LAST_CLOSE); }
KT_TEST(a_moved_handle) { lose(MOVE); }

KT_TEST(interrupted) {
    static struct waiter w;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    w.items[0] = item(event, 1);
    start(&w, 1);
    KT_EQUAL(kpio_thread_interrupt(w.thread.handle, 7), 0);
    KT_EQUAL(join(&w), -EINTR);
    kt_close(event);
}

KT_CHILD(waits_forever) {
    static struct kpio_wait_item own[20];
    for (unsigned i = 0; i < 20; i++) own[i] = item(startup_handle("event"), 1);
    return kpio_handle_wait_many(own, 20, KPIO_TIME_NEVER);
}

KT_TEST(killed_while_it_waits) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    struct process_grant grant = {"event", event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle process = kt_spawn("waits_forever", &grant, 1);
    time_sleep_ms(20);
    KT_EQUAL(kpio_process_kill(process, 5), 0);
    KT_EQUAL(kt_wait(process), 5);
    KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
    kt_close(event);
}

// ---- many ------------------------------------------------------------------------------------------------------------------

KT_TEST(as_many_as_may_be) {
    static kpio_handle writer[MANY / 8];
    static struct kpio_wait_item saved[MANY];
    for (unsigned i = 0; i < MANY / 8; i++) {
        kpio_handle reader = KT_HANDLE(kpio_pipe_create(0, 4096, &writer[i]));
        for (unsigned k = 0; k < 8; k++) items[i * 8 + k] = item(reader, READABLE);
    }
    memcpy(saved, items, sizeof(saved));
    KT_EQUAL(kpio_handle_wait_many(items, MANY, 0), 0);
    KT_EQUAL(kpio_handle_wait_many(items, MANY, time_after_ms(3)), 0);
    KT_EQUAL(kpio_pipe_write(writer[100], "x", 1, 0, 0), 1);
    KT_EQUAL(kpio_handle_wait_many(items, MANY, kt_soon()), 8);
    for (unsigned i = 0; i < MANY; i++) KT_EQUAL(items[i].asserted, i / 8 == 100 ? READABLE : 0);
    saved[MANY - 1].handle = 0;
    KT_ERROR(kpio_handle_wait_many(saved, MANY, kt_soon()), EBADF);
    for (unsigned i = 0; i < MANY / 8; i++) {
        kt_close(items[i * 8].handle);
        kt_close(writer[i]);
    }
}

KT_CHILD(waits_beyond_its_quota) {
    kpio_handle event = (kpio_handle)kpio_event_create();
    for (unsigned i = 0; i < MANY; i++) items[i] = item(event, 1);
    if (kpio_handle_wait_many(items, MANY, kt_soon()) != -ENFILE) return 1;
    return kpio_handle_wait_many(items, 8, time_after_ms(1)) == 0 ? 0 : 2;  // a few need no memory
}

KT_TEST(quota) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 50000, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"waits", 5));
    KT_EQUAL(kt_wait(kt_spawn_in(job, "waits_beyond_its_quota", NULL, 0)), 0);
    kt_close(job);
}

// ---- races -----------------------------------------------------------------------------------------------------------------

static kpio_handle raced[4];
static bool race_over;
static uint64_t race_bad;

// Each pulse goes to a waiter, or the waiter's time ends: a wake must never be lost, so a full second is an error.
static int64_t race_wait(void *arg) {
    uint64_t seed = (uint64_t)arg;
    while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
        struct kpio_wait_item own[12];
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        unsigned count = seed >> 60 & 1 ? 12 : 2;
        for (unsigned i = 0; i < count; i++)
            own[i] = item(__atomic_load_n(&raced[((seed >> 32) + i) & 3], __ATOMIC_RELAXED), 1);
        int64_t result = kpio_handle_wait_many(own, count, time_after_ms(seed >> 40 & 1 ? 1 : 100));
        if (result < 0 && result != -EBADF && result != -EINTR) __atomic_store_n(&race_bad, (uint64_t)-result, __ATOMIC_RELAXED);
    }
    return 0;
}
static int64_t race_signal(void *arg) {
    while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED))
        for (unsigned i = 0; i < 4; i++) (void)kpio_event_signal(__atomic_load_n(&raced[i], __ATOMIC_RELAXED), i & 1, 1);
    return 0;
}
static int64_t race_close(void *arg) {
    while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED))
        for (unsigned i = 0; i < 4; i++) {
            kpio_handle fresh = (kpio_handle)kpio_event_create();
            kpio_handle old = __atomic_exchange_n(&raced[i], fresh, __ATOMIC_RELAXED);
            if (i & 1) (void)kpio_handle_revoke(old, 1);
            else (void)kpio_handle_close((uint64_t)old);
        }
    return 0;
}

KT_TEST(waits_against_signals_closing_and_interrupts) {
    static struct thread t[6];
    for (unsigned i = 0; i < 4; i++) raced[i] = KT_HANDLE(kpio_event_create());
    uint64_t end = time_after_ms(kt_long() ? 10000 : 700);
    race_over = false;
    race_bad = 0;
    for (unsigned i = 0; i < 4; i++) KT_EQUAL(thread_spawn(&t[i], "waiter", race_wait, (void *)(uint64_t)(i + 1), NULL, 0), 0);
    KT_EQUAL(thread_spawn(&t[4], "signaller", race_signal, NULL, NULL, 0), 0);
    KT_EQUAL(thread_spawn(&t[5], "closer", race_close, NULL, NULL, 0), 0);
    for (unsigned i = 0; time_now() < end; i++) {
        KT_EQUAL(kpio_thread_interrupt(t[i % 4].handle, 0), 0);
        time_sleep_ms(1);
    }
    __atomic_store_n(&race_over, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 6; i++) KT_EQUAL(thread_join(&t[i], NULL), 0);
    KT_EQUAL(race_bad, 0);
    for (unsigned i = 0; i < 4; i++) kt_close(raced[i]);
}

// A ping-pong through waits: one lost wake and it stops.
static int64_t answer(void *arg) {
    const kpio_handle *e = arg;
    struct kpio_wait_item own[2];
    for (;;) {
        own[0] = item(e[0], 1);
        own[1] = item(e[2], 1);
        if (kpio_handle_wait_many(own, 2, kt_soon()) < 1) return -1;
        if (own[1].asserted) return 0;
        (void)kpio_event_signal(e[0], 1, 0);
        (void)kpio_event_signal(e[1], 0, 1);
    }
}

KT_TEST(no_wake_is_lost) {
    static struct thread thread;
    static kpio_handle e[3];
    for (unsigned i = 0; i < 3; i++) e[i] = KT_HANDLE(kpio_event_create());
    KT_EQUAL(thread_spawn(&thread, "answer", answer, e, NULL, 0), 0);
    for (unsigned i = 0; i < 3000; i++) {
        KT_EQUAL(kpio_event_signal(e[0], 0, 1) & ~1u, 0);
        KT_EQUAL(wait_one(e[1], 1, kt_soon()), 1);
        KT_EQUAL(kpio_event_signal(e[1], 1, 0), 0);
    }
    KT_EQUAL(kpio_event_signal(e[2], 0, 1), 1);
    int64_t result = 0;
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, 0);
    for (unsigned i = 0; i < 3; i++) kt_close(e[i]);
}
