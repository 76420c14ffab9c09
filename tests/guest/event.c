// Events: bits that are set, cleared and waited for.
#include "tests/guest/kt/kt.h"

KT_TEST(signal_sets_and_clears) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_event_signal(event, 0, 0x5), 0x5);
    KT_EQUAL(kpio_event_signal(event, 0x1, 0x2), 0x6);
    KT_EQUAL(kpio_event_signal(event, 0xffffff, 0), 0);
    KT_EQUAL(kpio_event_signal(event, 0x1, 0x1), 0x1);
    kt_close(event);
}

KT_TEST(only_24_bits) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_ERROR(kpio_event_signal(event, 0, 1u << 24), EINVAL);
    KT_ERROR(kpio_event_signal(event, 1u << 31, 0), EINVAL);
    KT_ERROR(kpio_event_wait(event, 1u << 24, 0, 0), EINVAL);
    KT_ERROR(kpio_event_wait(event, 0, 0, 0), EINVAL);
    KT_ERROR(kpio_event_wait(event, 1, 0x80, 0), EINVAL);
    KT_EQUAL(kpio_event_signal(event, 0, 0xffffff), 0xffffff);
    kt_close(event);
}

KT_TEST(wait_for_what_is_there) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_event_signal(event, 0, 0x6), 0x6);
    KT_EQUAL(kpio_event_wait(event, 0x2, 0, KPIO_TIME_NEVER), 0x2);
    KT_EQUAL(kpio_event_wait(event, 0xf, 1, KPIO_TIME_NEVER), 0x6);
    KT_EQUAL(kpio_event_signal(event, 0, 0), 0);
    kt_close(event);
}

KT_TEST(wait_all) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_event_signal(event, 0, 0x1), 0x1);
    int64_t result = kpio_event_wait(event, 0x3, 2, time_after_ms(5));
    KT_CHECK(result == -ETIMEDOUT);
    KT_EQUAL(kpio_event_signal(event, 0, 0x2), 0x3);
    KT_EQUAL(kpio_event_wait(event, 0x3, 3, kt_soon()), 0x3);
    KT_EQUAL(kpio_event_signal(event, 0, 0), 0);
    kt_close(event);
}

KT_TEST(deadline_passes) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    uint64_t before = time_now();
    KT_ERROR(kpio_event_wait(event, 1, 0, before + 10000000), ETIMEDOUT);
    KT_CHECK(time_now() >= before + 10000000);
    int64_t at_once = kpio_event_wait(event, 1, 0, 0);
    KT_CHECK(at_once == -EAGAIN || at_once == -ETIMEDOUT);
    kt_close(event);
}

// Who keeps a handle without RECEIVE learns that those with it are gone.
KT_TEST(audience) {
    struct kpio_wait_item item = {.signals = KPIO_SIGNAL_PEER_GONE};
    kpio_handle event = KT_HANDLE(kpio_event_create_audience());
    kpio_handle owner = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_WRITE | KPIO_RIGHT_WAIT));
    kpio_handle other = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ | KPIO_RIGHT_RECEIVE));
    item.handle = owner;
    KT_EQUAL(kpio_handle_wait_many(&item, 1, 0), 0);
    kt_close(event);
    KT_EQUAL(kpio_handle_wait_many(&item, 1, 0), 0);
    kt_close(other);
    KT_EQUAL(kpio_handle_wait_many(&item, 1, 0), 1);
    KT_EQUAL(item.asserted, KPIO_SIGNAL_PEER_GONE);
    KT_EQUAL(kpio_event_signal(owner, 0, 4), 4);
    kt_close(owner);
}

KT_TEST(rights) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ));
    kpio_handle writer = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_WRITE));
    KT_ERROR(kpio_event_signal(reader, 0, 1), EACCES);
    KT_ERROR(kpio_event_wait(writer, 1, 0, 0), EACCES);
    KT_ERROR(kpio_event_signal(kt_job(), 0, 1), EWRONGTYPE);
    KT_ERROR(kpio_event_wait(0, 1, 0, 0), EBADF);
    kt_close(reader);
    kt_close(writer);
    kt_close(event);
}

static int64_t wait_bit(void *arg) { return kpio_event_wait(*(kpio_handle *)arg, 0x10, 0, kt_soon()); }

KT_TEST(a_signal_wakes_every_waiter) {
    enum { WAITERS = 8 };
    static struct thread threads[WAITERS];
    kpio_handle event = KT_HANDLE(kpio_event_create());
    for (unsigned i = 0; i < WAITERS; i++) KT_EQUAL(thread_spawn(&threads[i], "waiter", wait_bit, &event, NULL, 0), 0);
    for (unsigned i = 0; i < WAITERS; i++) kt_blocked(threads[i].handle);
    KT_EQUAL(kpio_event_signal(event, 0, 0x30), 0x30);
    for (unsigned i = 0; i < WAITERS; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, 0x10);
    }
    kt_close(event);
}

// More than the kernel looks at in one go, of both kinds: those that take the bit away, of whom one gets it, and others.
static int64_t take_bit(void *arg) { return kpio_event_wait(*(kpio_handle *)arg, 0x10, 1, kt_soon()); }

KT_TEST(a_signal_finds_hundreds_of_waiters) {
    enum { WAITERS = 150 };
    static struct thread threads[WAITERS];
    kpio_handle event = KT_HANDLE(kpio_event_create());
    for (unsigned i = 0; i < WAITERS; i++)
        KT_EQUAL(thread_spawn(&threads[i], "waiter", i < 50 || i == WAITERS - 1 ? wait_bit : take_bit, &event, NULL, 16384), 0);
    kt_all_blocked(threads, WAITERS);
    KT_EQUAL(kpio_event_signal(event, 0, 0x21), 0x21);
    for (unsigned i = 0; i < 99; i++) KT_EQUAL(kpio_event_signal(event, 0, 0x10) & 0x10, 0);
    KT_EQUAL(kpio_event_signal(event, 0x21, 0x10), 0x10);  // the last of those that take it is gone
    for (unsigned i = 0; i < WAITERS; i++) {
        int64_t result = 0;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, 0x10);
    }
    kt_close(event);
}

KT_TEST(closing_the_handle_ends_the_wait) {
    static struct thread thread;
    int64_t result = 0;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    kpio_handle other = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    KT_EQUAL(thread_spawn(&thread, "waiter", wait_bit, &other, NULL, 0), 0);
    kt_blocked(thread.handle);
    kt_close(other);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, -ECANCELED);
    kt_close(event);
}

KT_TEST(revoking_ends_the_wait) {
    static struct thread thread;
    int64_t result = 0;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    kpio_handle other = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    KT_EQUAL(thread_spawn(&thread, "waiter", wait_bit, &other, NULL, 0), 0);
    kt_blocked(thread.handle);
    KT_EQUAL(kpio_handle_revoke(event, 0), 1);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, -ECANCELED);
    kt_close(event);
}

KT_TEST(interrupting_ends_the_wait) {
    static struct thread thread;
    int64_t result = 0;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(thread_spawn(&thread, "waiter", wait_bit, &event, NULL, 0), 0);
    kt_blocked(thread.handle);
    // Without an exception entry the interrupt only ends the wait.
    KT_EQUAL(kpio_thread_interrupt(thread.handle, 7), 0);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, -EINTR);
    kt_close(event);
}
