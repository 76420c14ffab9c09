// Ports: waiting for many things at once.
#include "tests/guest/kt/kt.h"

static struct kpio_port_packet packets[KPIO_PORT_BATCH_MAX + 1];

KT_TEST(posted_packets_come_in_order) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    for (uint64_t i = 0; i < 10; i++) KT_EQUAL(kpio_port_post(port, i, i * i), 0);
    KT_EQUAL(kpio_port_wait(port, packets, 4, kt_soon()), 4);
    KT_EQUAL(kpio_port_wait(port, packets + 4, 60, kt_soon()), 6);
    for (uint64_t i = 0; i < 10; i++) {
        KT_EQUAL(packets[i].key, i);
        KT_EQUAL(packets[i].value, i * i);
        KT_EQUAL(packets[i].kind, KPIO_KIND_PORT);
    }
    kt_close(port);
}

KT_TEST(post_to_exhaustion) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    unsigned posted = 0;
    int64_t result = 0;
    while (posted < 2000 && (result = kpio_port_post(port, 1, 1)) == 0) posted++;
    KT_EQUAL(posted, 1024);
    KT_EQUAL(result, -ENOSPC);
    KT_EQUAL(kpio_port_wait(port, packets, 1, 0), 1);
    KT_EQUAL(kpio_port_post(port, 1, 1), 0);
    kt_close(port);
}

KT_TEST(empty_port_times_out) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    KT_ERROR(kpio_port_wait(port, packets, 1, time_after_ms(5)), ETIMEDOUT);
    KT_ERROR(kpio_port_wait(port, packets, 1, 0), ETIMEDOUT);
    kt_close(port);
}

KT_TEST(wait_arguments) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    KT_ERROR(kpio_port_wait(port, packets, 0, 0), EINVAL);
    KT_ERROR(kpio_port_wait(kt_job(), packets, 1, 0), EWRONGTYPE);
    KT_EQUAL(kpio_port_post(port, 1, 2), 0);
    KT_ERROR(kpio_port_wait(port, KT_KERNEL_ADDRESS, 1, 0), EFAULT);
    KT_ERROR(kpio_port_wait(port, KT_UNMAPPED_ADDRESS, 1, 0), EFAULT);
    kt_close(port);
}

KT_TEST(once_then_rearm) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_port_bind(port, event, 0xff, 42, 0), 0);
    KT_EQUAL(kpio_event_signal(event, 0, 0x3), 0x3);
    KT_EQUAL(kpio_port_wait(port, packets, 8, kt_soon()), 1);
    KT_EQUAL(packets[0].key, 42);
    KT_EQUAL(packets[0].kind, KPIO_KIND_EVENT);
    KT_CHECK(packets[0].signals & 0x3);
    KT_EQUAL(kpio_event_signal(event, 0xff, 0x4), 0x4);
    KT_ERROR(kpio_port_wait(port, packets, 8, time_after_ms(2)), ETIMEDOUT);
    KT_EQUAL(kpio_port_rearm(port, event, 42), 0);  // what is asserted now is reported at once
    KT_EQUAL(kpio_port_wait(port, packets, 8, kt_soon()), 1);
    KT_ERROR(kpio_port_rearm(port, event, 43), ENOENT);
    kt_close(event);
    kt_close(port);
}

KT_TEST(level_reports_while_asserted) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_port_bind(port, event, 0x1, 7, 1), 0);
    KT_EQUAL(kpio_event_signal(event, 0, 0x1), 0x1);
    for (unsigned i = 0; i < 3; i++) KT_EQUAL(kpio_port_wait(port, packets, 8, kt_soon()), 1);
    KT_EQUAL(kpio_event_signal(event, 0x1, 0), 0);
    KT_ERROR(kpio_port_wait(port, packets, 8, time_after_ms(2)), ETIMEDOUT);
    kt_close(event);
    kt_close(port);
}

KT_TEST(unbind_takes_its_packet_too) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), event = KT_HANDLE(kpio_event_create());
    KT_EQUAL(kpio_port_bind(port, event, 0x1, 7, 0), 0);
    KT_EQUAL(kpio_event_signal(event, 0, 0x1), 0x1);
    KT_EQUAL(kpio_port_unbind(port, event, 7), 0);
    KT_ERROR(kpio_port_wait(port, packets, 8, time_after_ms(2)), ETIMEDOUT);
    KT_ERROR(kpio_port_unbind(port, event, 7), ENOENT);
    kt_close(event);
    kt_close(port);
}

KT_TEST(bind_errors) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), event = KT_HANDLE(kpio_event_create());
    kpio_handle deaf = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE));
    KT_ERROR(kpio_port_bind(port, deaf, 1, 1, 0), EACCES);
    KT_ERROR(kpio_port_bind(event, event, 1, 1, 0), EWRONGTYPE);
    KT_ERROR(kpio_port_bind(port, event, 0, 1, 0), EINVAL);
    KT_ERROR(kpio_port_bind(port, event, 1, 1, 9), EINVAL);
    KT_EQUAL(kpio_port_bind(port, event, 1, 1, 0), 0);
    KT_ERROR(kpio_port_bind(port, event, 1, 1, 0), EEXIST);
    kt_close(deaf);
    kt_close(event);
    kt_close(port);
}

KT_TEST(closing_source_or_port_leaves_nothing) {
    for (unsigned i = 0; i < 20; i++) {
        kpio_handle port = KT_HANDLE(kpio_port_create()), event = KT_HANDLE(kpio_event_create());
        KT_EQUAL(kpio_port_bind(port, event, 1, 1, i % 3), 0);
        KT_EQUAL(kpio_event_signal(event, 0, 1), 1);
        kt_close(i & 1 ? event : port);
        kt_close(i & 1 ? port : event);
    }
}

KT_TEST(timer_through_a_port) {
    kpio_handle port = KT_HANDLE(kpio_port_create()), timer = KT_HANDLE(kpio_timer_create());
    KT_EQUAL(kpio_port_bind(port, timer, KPIO_SIGNAL_FIRED, 5, 0), 0);
    KT_EQUAL(kpio_timer_set(timer, time_after_ms(5), 0), 0);
    KT_EQUAL(kpio_port_wait(port, packets, 1, kt_soon()), 1);
    KT_EQUAL(packets[0].key, 5);
    KT_EQUAL(packets[0].kind, KPIO_KIND_TIMER);
    KT_CHECK(packets[0].signals & KPIO_SIGNAL_FIRED);
    kt_close(timer);
    kt_close(port);
}

KT_CHILD(ends_with_9) { return 9; }

KT_TEST(end_of_a_process_with_its_status) {
    kpio_handle port = KT_HANDLE(kpio_port_create());
    kpio_handle process = kt_spawn("ends_with_9", NULL, 0);
    KT_EQUAL(kpio_port_bind(port, process, KPIO_SIGNAL_TERMINATED, 3, 0), 0);
    KT_EQUAL(kpio_port_wait(port, packets, 1, kt_soon()), 1);
    KT_EQUAL(packets[0].key, 3);
    KT_EQUAL(packets[0].kind, KPIO_KIND_PROCESS);
    KT_EQUAL((int32_t)packets[0].value, 9);
    kt_close(process);
    kt_close(port);
}

static int64_t post_many(void *arg) {
    kpio_handle port = *(kpio_handle *)arg;
    int64_t result = 0;
    for (unsigned i = 0; i < 100 && result == 0; i++) result = kpio_port_post(port, 1, i);
    return result;
}

KT_TEST(posts_from_many_threads) {
    enum { POSTERS = 4 };
    static struct thread threads[POSTERS];
    kpio_handle port = KT_HANDLE(kpio_port_create());
    for (unsigned i = 0; i < POSTERS; i++) KT_EQUAL(thread_spawn(&threads[i], "poster", post_many, &port, NULL, 0), 0);
    int64_t taken = 0;
    while (taken < POSTERS * 100) taken += KT_OK(kpio_port_wait(port, packets, 64, kt_soon()));
    KT_EQUAL(taken, POSTERS * 100);
    for (unsigned i = 0; i < POSTERS; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    kt_close(port);
}
