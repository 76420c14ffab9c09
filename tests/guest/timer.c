// Timers on the monotonic clock.
#include "tests/guest/kt/kt.h"

KT_TEST(fires_once) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create());
    uint64_t deadline = time_after_ms(10);
    KT_EQUAL(kpio_timer_set(timer, deadline, 0), 0);
    KT_EQUAL(kpio_timer_read(timer, 0, kt_soon()), 1);
    KT_CHECK(time_now() >= deadline);
    KT_ERROR(kpio_timer_read(timer, 1, KPIO_TIME_NEVER), EAGAIN);
    kt_close(timer);
}

KT_TEST(a_past_deadline_fires_at_once) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create());
    KT_EQUAL(kpio_timer_set(timer, 1, 0), 0);
    KT_EQUAL(kpio_timer_read(timer, 0, kt_soon()), 1);
    kt_close(timer);
}

KT_TEST(periods_are_counted) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create());
    KT_EQUAL(kpio_timer_set(timer, time_after_ms(2), 2000000), 0);
    time_sleep_ms(30);
    KT_CHECK(KT_OK(kpio_timer_read(timer, 0, kt_soon())) >= 5);
    KT_CHECK(KT_OK(kpio_timer_read(timer, 0, kt_soon())) >= 1);
    kt_close(timer);
}

KT_TEST(stopping) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create());
    KT_EQUAL(kpio_timer_set(timer, time_after_ms(10), 0), 0);
    KT_EQUAL(kpio_timer_set(timer, KPIO_TIME_NEVER, 0), 0);
    KT_ERROR(kpio_timer_read(timer, 0, time_after_ms(30)), ETIMEDOUT);
    kt_close(timer);
}

KT_TEST(arguments) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create());
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(timer, KPIO_RIGHT_READ));
    KT_ERROR(kpio_timer_set(reader, 0, 0), EACCES);
    KT_ERROR(kpio_timer_set(kt_job(), 0, 0), EWRONGTYPE);
    KT_ERROR(kpio_timer_read(timer, 2, 0), EINVAL);
    KT_ERROR(kpio_timer_read(0, 0, 0), EBADF);
    kt_close(reader);
    kt_close(timer);
}

KT_TEST(closing_an_armed_timer) {
    for (unsigned i = 0; i < 50; i++) {
        kpio_handle timer = KT_HANDLE(kpio_timer_create());
        KT_EQUAL(kpio_timer_set(timer, time_now() + i * 20000, i & 1 ? 50000 : 0), 0);
        kt_close(timer);
    }
}

KT_TEST(many_at_once) {
    enum { COUNT = 200 };
    static kpio_handle timers[COUNT];
    uint64_t start = time_now();
    for (unsigned i = 0; i < COUNT; i++) {
        timers[i] = KT_HANDLE(kpio_timer_create());
        KT_EQUAL(kpio_timer_set(timers[i], start + 1000000 + (i * 7919 % COUNT) * 100000, 0), 0);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        KT_EQUAL(kpio_timer_read(timers[i], 0, kt_soon()), 1);
        KT_CHECK(time_now() >= start + 1000000 + (i * 7919 % COUNT) * 100000);
        kt_close(timers[i]);
    }
}
