// Flags of objects: shared by all handles, kept for user space, and the one that the kernel honours.
#include "tests/guest/kt/kt.h"

#define NONBLOCK KPIO_OBJECT_NONBLOCK
#define OWN (1ull << 17 | 1ull << 62)

KT_TEST(flags_are_the_objects) {
    kpio_handle event = KT_HANDLE(kpio_event_create()), other = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHTS_SAME));
    KT_EQUAL(kpio_handle_flags(event, 0, 0), 0);
    KT_EQUAL(kpio_handle_flags(event, 0, OWN), 0);
    KT_EQUAL(kpio_handle_flags(other, 1ull << 17, 2), OWN);
    KT_EQUAL(kpio_handle_flags(event, UINT64_MAX >> 1, 0), 1ull << 62 | 2);
    KT_EQUAL(kpio_handle_flags(other, 0, 0), 0);
    kt_close(other);
    kt_close(event);
}

KT_TEST(flags_arguments) {
    kpio_handle event = KT_HANDLE(kpio_event_create());
    kpio_handle looks = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_INSPECT | KPIO_RIGHT_WAIT));
    KT_ERROR(kpio_handle_flags(event, 1ull << 63, 0), EINVAL);
    KT_ERROR(kpio_handle_flags(event, 0, 1ull << 63), EINVAL);
    KT_ERROR(kpio_handle_flags(looks, 0, 1), EACCES);
    KT_ERROR(kpio_handle_flags(looks, 1, 0), EACCES);
    KT_EQUAL(kpio_handle_flags(looks, 0, 0), 0);
    KT_ERROR(kpio_handle_flags(0, 0, 0), EBADF);
    kt_close(looks);
    kt_close(event);
}

KT_TEST(a_pipe_that_does_not_block) {
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 4096, &writer));
    static uint8_t bytes[4096];
    KT_EQUAL(kpio_handle_flags(reader, 0, NONBLOCK), 0);
    KT_ERROR(kpio_pipe_read(reader, bytes, 1, 0, KPIO_TIME_NEVER), EAGAIN);
    KT_ERROR(kpio_pipe_read(reader, bytes, 4097 - 4096, KPIO_PIPE_PEEK, KPIO_TIME_NEVER), EAGAIN);
    KT_EQUAL(kpio_pipe_write(writer, bytes, 4096, 0, KPIO_TIME_NEVER), 4096);
    KT_ERROR(kpio_pipe_write(writer, bytes, 1, 0, time_after_ms(3)), ETIMEDOUT);  // the other end is a thing of its own
    KT_EQUAL(kpio_handle_flags(writer, 0, NONBLOCK), 0);
    KT_ERROR(kpio_pipe_write(writer, bytes, 1, 0, KPIO_TIME_NEVER), EAGAIN);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 100, 0, KPIO_TIME_NEVER), 100);
    KT_ERROR(kpio_pipe_write(writer, bytes, 101, 0, KPIO_TIME_NEVER), EAGAIN);  // whole or not at all
    KT_EQUAL(kpio_pipe_write(writer, bytes, 100, 0, KPIO_TIME_NEVER), 100);
    KT_EQUAL(kpio_handle_flags(reader, NONBLOCK, 0), NONBLOCK);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 4096, 0, KPIO_TIME_NEVER), 4096);
    KT_ERROR(kpio_pipe_read(reader, bytes, 1, 0, time_after_ms(3)), ETIMEDOUT);
    kt_close(reader);
    kt_close(writer);
}

KT_TEST(a_counter_that_does_not_block) {
    kpio_handle counter = KT_HANDLE(kpio_counter_create(0, 0));
    uint64_t value;
    KT_EQUAL(kpio_handle_flags(counter, 0, NONBLOCK), 0);
    KT_ERROR(kpio_counter_read(counter, &value, 0, KPIO_TIME_NEVER), EAGAIN);
    KT_EQUAL(kpio_counter_add(counter, KPIO_COUNTER_VALUE_MAX, 0, KPIO_TIME_NEVER), 0);
    KT_ERROR(kpio_counter_add(counter, 1, 0, KPIO_TIME_NEVER), EAGAIN);
    KT_EQUAL(kpio_counter_read(counter, &value, 0, KPIO_TIME_NEVER), 0);
    kt_close(counter);
}

KT_TEST(a_timer_that_does_not_block) {
    kpio_handle timer = KT_HANDLE(kpio_timer_create());
    struct kpio_timer_info info;
    KT_EQUAL(kpio_handle_flags(timer, 0, NONBLOCK), 0);
    KT_ERROR(kpio_timer_read(timer, 0, KPIO_TIME_NEVER), EAGAIN);
    KT_EQUAL(kpio_timer_info(timer, &info), 0);
    KT_CHECK(info.deadline == KPIO_TIME_NEVER && info.period == 0);
    uint64_t deadline = time_after_ms(1000000);
    KT_EQUAL(kpio_timer_set(timer, deadline, 77), 0);
    KT_EQUAL(kpio_timer_info(timer, &info), 0);
    KT_CHECK(info.deadline == deadline && info.period == 77);
    KT_ERROR(kpio_timer_info(timer, KT_KERNEL_ADDRESS), EFAULT);
    kt_close(timer);
}
