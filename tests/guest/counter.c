// Counters: adding, taking, waiting for both, and the ends of waits.
#include "tests/guest/kt/kt.h"

#define MOST KPIO_COUNTER_VALUE_MAX
#define NOWAIT KPIO_COUNTER_NOWAIT
#define NEVER KPIO_TIME_NEVER

static kpio_handle make(uint64_t value, uint32_t flags) { return KT_HANDLE(kpio_counter_create(value, flags)); }

static uint64_t take(kpio_handle counter) {
    uint64_t value = 0xdead;
    KT_EQUAL(kpio_counter_read(counter, &value, NOWAIT, 0), 0);
    return value;
}

static uint32_t signals(kpio_handle counter) {
    struct kpio_wait_item item = {.handle = counter, .signals = KPIO_SIGNALS_ALL};
    KT_CHECK(kpio_handle_wait_many(&item, 1, 0) >= 0);
    return item.asserted;
}

KT_TEST(adds_and_takes_all) {
    kpio_handle counter = make(5, 0);
    uint64_t value = 77;
    KT_EQUAL(take(counter), 5);
    KT_ERROR(kpio_counter_read(counter, &value, NOWAIT, NEVER), EAGAIN);
    KT_ERROR(kpio_counter_read(counter, &value, 0, 0), ETIMEDOUT);
    KT_ERROR(kpio_counter_read(counter, &value, 0, time_after_ms(3)), ETIMEDOUT);
    KT_EQUAL(value, 77);
    KT_EQUAL(kpio_counter_add(counter, 3, 0, NEVER), 0);
    KT_EQUAL(kpio_counter_add(counter, 0, 0, NEVER), 0);
    KT_EQUAL(kpio_counter_add(counter, 4, NOWAIT, 0), 0);
    KT_EQUAL(take(counter), 7);
    kt_close(counter);
}

KT_TEST(a_semaphore_gives_one) {
    kpio_handle counter = make(2, KPIO_COUNTER_SEMAPHORE);
    uint64_t value;
    KT_EQUAL(take(counter), 1);
    KT_EQUAL(take(counter), 1);
    KT_ERROR(kpio_counter_read(counter, &value, NOWAIT, 0), EAGAIN);
    kt_close(counter);
}

KT_TEST(the_most) {
    kpio_handle counter = make(MOST, 0);
    KT_EQUAL(signals(counter), KPIO_SIGNAL_READABLE);
    KT_ERROR(kpio_counter_add(counter, 1, NOWAIT, 0), EAGAIN);
    KT_ERROR(kpio_counter_add(counter, 1, 0, time_after_ms(3)), ETIMEDOUT);
    KT_EQUAL(kpio_counter_add(counter, 0, 0, 0), 0);
    KT_CHECK(take(counter) == MOST);
    KT_EQUAL(signals(counter), KPIO_SIGNAL_WRITABLE);
    KT_EQUAL(kpio_counter_add(counter, MOST, 0, 0), 0);
    KT_CHECK(take(counter) == MOST);
    KT_EQUAL(kpio_counter_add(counter, MOST - 1, 0, 0), 0);
    KT_EQUAL(signals(counter), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_WRITABLE);
    kt_close(counter);
}

KT_TEST(bad_input) {
    kpio_handle counter = make(9, 0);
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(counter, KPIO_RIGHT_READ));
    kpio_handle writer = KT_HANDLE(kpio_handle_dup(counter, KPIO_RIGHT_WRITE));
    uint64_t value = 1;
    KT_ERROR(kpio_counter_create(UINT64_MAX, 0), EINVAL);
    KT_ERROR(kpio_counter_create(0, 2), EINVAL);
    KT_ERROR(kpio_counter_add(counter, UINT64_MAX, 0, 0), EINVAL);
    KT_ERROR(kpio_counter_add(counter, 1, 2, 0), EINVAL);
    KT_ERROR(kpio_counter_read(counter, &value, 2, 0), EINVAL);
    KT_ERROR(kpio_counter_add(reader, 1, 0, 0), EACCES);
    KT_ERROR(kpio_counter_read(writer, &value, 0, 0), EACCES);
    KT_ERROR(kpio_counter_read(kt_job(), &value, 0, 0), EWRONGTYPE);
    KT_ERROR(kpio_counter_add(kt_job(), 1, 0, 0), EWRONGTYPE);
    KT_ERROR(kpio_counter_read(0, &value, 0, 0), EBADF);
    KT_ERROR(kpio_counter_add(0, 1, 0, 0), EBADF);
    KT_ERROR(kpio_counter_read(counter, KT_KERNEL_ADDRESS, 0, 0), EFAULT);
    KT_ERROR(kpio_counter_read(counter, KT_UNMAPPED_ADDRESS, 0, 0), EFAULT);
    KT_EQUAL(value, 1);
    KT_EQUAL(take(counter), 9);  // what could not be delivered is still there
    kt_close(reader);
    kt_close(writer);
    kt_close(counter);
}

KT_CHILD(makes_until_it_cannot) {
    int64_t result;
    while ((result = kpio_counter_create(0, 0)) > 0) {}
    return result == -ENFILE ? 0 : 1;
}
KT_TEST(quota) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 100000, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"counters", 8));
    KT_EQUAL(kt_wait(kt_spawn_in(job, "makes_until_it_cannot", NULL, 0)), 0);
    kt_close(job);
}

// ---- waiting -------------------------------------------------------------------------------------------------------------

struct waiter {
    struct thread thread;
    kpio_handle counter;
    uint64_t value;
    uint64_t deadline;
};
static int64_t read_one(void *arg) {
    struct waiter *w = arg;
    return kpio_counter_read(w->counter, &w->value, 0, w->deadline);
}
static int64_t add_one(void *arg) {
    struct waiter *w = arg;
    return kpio_counter_add(w->counter, w->value, 0, w->deadline);
}
static void start(struct waiter *w, int64_t (*run)(void *), kpio_handle counter, uint64_t value) {
    *w = (struct waiter){.counter = counter, .value = value, .deadline = kt_soon()};
    KT_EQUAL(thread_spawn(&w->thread, "waiter", run, w, NULL, 16384), 0);
    kt_blocked(w->thread.handle);
}
static int64_t join(struct waiter *w) {
    int64_t result = 0;
    KT_EQUAL(thread_join(&w->thread, &result), 0);
    return result;
}

KT_TEST(an_add_wakes_the_first_reader) {
    static struct waiter w[2];
    kpio_handle counter = make(0, 0);
    start(&w[0], read_one, counter, 0);
    start(&w[1], read_one, counter, 0);
    KT_EQUAL(kpio_counter_add(counter, 6, 0, 0), 0);
    KT_EQUAL(join(&w[0]), 0);
    KT_EQUAL(w[0].value, 6);
    KT_EQUAL(kpio_counter_add(counter, 7, 0, 0), 0);
    KT_EQUAL(join(&w[1]), 0);
    KT_EQUAL(w[1].value, 7);
    kt_close(counter);
}

KT_TEST(hundreds_of_readers_of_a_semaphore) {
    enum { READERS = 200 };
    static struct waiter w[READERS];
    kpio_handle counter = make(0, KPIO_COUNTER_SEMAPHORE);
    for (unsigned i = 0; i < READERS; i++) start(&w[i], read_one, counter, 0);
    KT_EQUAL(kpio_counter_add(counter, READERS + 3, 0, 0), 0);
    for (unsigned i = 0; i < READERS; i++) {
        KT_EQUAL(join(&w[i]), 0);
        KT_EQUAL(w[i].value, 1);
    }
    for (unsigned i = 0; i < 3; i++) KT_EQUAL(take(counter), 1);
    KT_EQUAL(signals(counter), KPIO_SIGNAL_WRITABLE);
    kt_close(counter);
}

KT_TEST(hundreds_that_add) {
    enum { ADDERS = 150 };
    static struct waiter w[ADDERS];
    kpio_handle counter = make(MOST, 0);
    for (unsigned i = 0; i < ADDERS; i++) start(&w[i], add_one, counter, 2);
    KT_CHECK(take(counter) == MOST);
    for (unsigned i = 0; i < ADDERS; i++) KT_EQUAL(join(&w[i]), 0);
    KT_EQUAL(take(counter), 2 * ADDERS);
    kt_close(counter);
}

// The first is too large for what there is room for; when it gives up the next one's turn comes.
KT_TEST(an_add_that_gives_up_lets_the_next_go) {
    static struct waiter large, small;
    kpio_handle counter = make(MOST, KPIO_COUNTER_SEMAPHORE);
    for (unsigned way = 0; way < 2; way++) {
        kpio_handle other = KT_HANDLE(kpio_handle_dup(counter, KPIO_RIGHTS_SAME));
        start(&large, add_one, other, 100);
        start(&small, add_one, counter, 1);
        KT_EQUAL(take(counter), 1);
        time_sleep_ms(3);
        if (way == 0) KT_EQUAL(kpio_thread_interrupt(large.thread.handle, 0), 0);
        else kt_close(other);
        KT_EQUAL(join(&large), way == 0 ? -EINTR : -ECANCELED);
        KT_EQUAL(join(&small), 0);
        if (way == 0) kt_close(other);
    }
    kt_close(counter);
}

enum way { CLOSE, REVOKE, LAST_CLOSE, INTERRUPT };
static void ends(enum way way, int64_t (*run)(void *), uint64_t at, int64_t error) {
    static struct waiter w;
    kpio_handle counter = make(at, 0), other = counter;
    if (way != LAST_CLOSE) other = KT_HANDLE(kpio_handle_dup(counter, KPIO_RIGHTS_SAME));
    start(&w, run, other, 1);
    if (way == REVOKE) KT_EQUAL(kpio_handle_revoke(counter, 0), 1);
    else if (way == INTERRUPT) KT_EQUAL(kpio_thread_interrupt(w.thread.handle, 1), 0);
    else kt_close(other);
    int64_t result = join(&w);
    KT_CHECK(result == error || (way == LAST_CLOSE && result == -EDESTROYED));
    if (way == INTERRUPT) kt_close(other);
    if (way != LAST_CLOSE) kt_close(counter);
}
KT_TEST(closing_ends_a_read) { ends(CLOSE, read_one, 0, -ECANCELED); }
KT_TEST(revoking_ends_a_read) { ends(REVOKE, read_one, 0, -ECANCELED); }
KT_TEST(the_last_close_ends_a_read) { ends(LAST_CLOSE, read_one, 0, -ECANCELED); }
KT_TEST(interrupting_ends_a_read) { ends(INTERRUPT, read_one, 0, -EINTR); }
KT_TEST(closing_ends_an_add) { ends(CLOSE, add_one, MOST, -ECANCELED); }
KT_TEST(revoking_ends_an_add) { ends(REVOKE, add_one, MOST, -ECANCELED); }
KT_TEST(interrupting_ends_an_add) { ends(INTERRUPT, add_one, MOST, -EINTR); }

KT_TEST(ports_see_it) {
    kpio_handle counter = make(0, 0), port = KT_HANDLE(kpio_port_create());
    struct kpio_port_packet packet;
    KT_EQUAL(kpio_port_bind(port, counter, KPIO_SIGNAL_READABLE, 4, 0), 0);
    KT_ERROR(kpio_port_wait(port, &packet, 1, 0), ETIMEDOUT);
    KT_EQUAL(kpio_counter_add(counter, 6, 0, 0), 0);
    KT_EQUAL(kpio_port_wait(port, &packet, 1, kt_soon()), 1);
    KT_EQUAL(packet.value, 6);
    KT_EQUAL(packet.kind, KPIO_KIND_COUNTER);
    kt_close(counter);
    kt_close(port);
}

// ---- races -----------------------------------------------------------------------------------------------------------------

// What is added is taken, by whomever, exactly once.
static bool race_over;
static uint64_t added, taken;
static int64_t race_add(void *arg) {
    kpio_handle counter = *(kpio_handle *)arg;
    while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
        int64_t result = kpio_counter_add(counter, 3, 0, time_after_ms(1));
        if (result == 0) (void)__atomic_add_fetch(&added, 3, __ATOMIC_RELAXED);
        else if (result != -EINTR) return result;
    }
    return 0;
}
static int64_t race_take(void *arg) {
    kpio_handle counter = *(kpio_handle *)arg;
    while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
        uint64_t value;
        int64_t result = kpio_counter_read(counter, &value, 0, time_after_ms(1));
        if (result == 0) (void)__atomic_add_fetch(&taken, value, __ATOMIC_RELAXED);
        else if (result != -ETIMEDOUT && result != -EINTR) return result;
    }
    return 0;
}
static void race(uint32_t flags) {
    static struct thread t[6];
    kpio_handle counter = make(0, flags);
    uint64_t left = 0;
    uint64_t end = time_after_ms(kt_long() ? 5000 : 300), hang = kt_soon();
    added = taken = 0;
    race_over = false;
    for (unsigned i = 0; i < 6; i++)
        KT_EQUAL(thread_spawn(&t[i], "racer", i < 2 ? race_add : race_take, &counter, NULL, 0), 0);
    for (unsigned i = 0; time_now() < end || (__atomic_load_n(&added, __ATOMIC_RELAXED) == 0 && time_now() < hang); i++) {
        KT_EQUAL(kpio_thread_interrupt(t[i % 6].handle, 0), 0);
        time_sleep_ms(1);
    }
    __atomic_store_n(&race_over, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 6; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&t[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    for (uint64_t value; kpio_counter_read(counter, &value, NOWAIT, 0) == 0;) left += value;
    KT_EQUAL(taken + left, added);
    KT_CHECK(added > 0);
    kt_close(counter);
}
KT_TEST(many_add_and_take) { race(0); }
KT_TEST(many_add_and_take_one) { race(KPIO_COUNTER_SEMAPHORE); }

static kpio_handle raced;
static int64_t race_any(void *arg) {
    while (!__atomic_load_n(&race_over, __ATOMIC_RELAXED)) {
        uint64_t value;
        kpio_handle counter = __atomic_load_n(&raced, __ATOMIC_RELAXED);
        int64_t result = arg != NULL ? kpio_counter_add(counter, MOST / 3, 0, time_after_ms(20))
                                     : kpio_counter_read(counter, &value, 0, time_after_ms(20));
        if (result != 0 && result != -EBADF && result != -ECANCELED && result != -EDESTROYED && result != -ETIMEDOUT) return result;
    }
    return 0;
}
KT_TEST(closing_against_waits) {
    static struct thread t[4];
    uint64_t end = time_after_ms(kt_long() ? 5000 : 300);
    raced = make(0, 0);
    race_over = false;
    for (uint64_t i = 0; i < 4; i++) KT_EQUAL(thread_spawn(&t[i], "racer", race_any, (void *)(i & 1), NULL, 0), 0);
    for (unsigned i = 0; time_now() < end; i++) {
        kpio_handle old = __atomic_exchange_n(&raced, make(i & 1 ? MOST : 0, 0), __ATOMIC_RELAXED);
        if (i & 2) KT_EQUAL(kpio_handle_revoke(old, 1), 1);
        else kt_close(old);
    }
    __atomic_store_n(&race_over, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 4; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&t[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    kt_close(raced);
}

KT_CHILD(reads_forever) {
    uint64_t value;
    return kpio_counter_read(startup_handle("counter"), &value, 0, NEVER);
}
KT_TEST(killed_while_it_reads) {
    kpio_handle counter = make(0, 0);
    struct process_grant grant = {"counter", counter, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle process = kt_spawn("reads_forever", &grant, 1);
    time_sleep_ms(20);
    KT_EQUAL(kpio_process_kill(process, 5), 0);
    KT_EQUAL(kt_wait(process), 5);
    KT_EQUAL(kpio_counter_add(counter, 2, 0, 0), 0);
    KT_EQUAL(take(counter), 2);
    kt_close(counter);
}
