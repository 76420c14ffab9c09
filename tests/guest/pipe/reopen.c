// Sides with several ends, and how much waits in a pipe.
#include "tests/guest/pipe/ends.h"

#define NEVER KPIO_TIME_NEVER
#define END(result) ((kpio_handle)(uint32_t)(result))

static uint8_t bytes[8192];

static kpio_handle again(kpio_handle end) { return END(KT_OK(kpio_pipe_reopen(end, 0))); }
static uint32_t signals_of(kpio_handle pipe) {
    struct kpio_wait_item item = {.handle = pipe, .signals = KPIO_SIGNALS_ALL};
    KT_OK(kpio_handle_wait_many(&item, 1, 0));
    return item.asserted;
}

KT_TEST(each_end_has_its_flags) {
    struct ends p = make(KPIO_PIPE_STREAM);
    kpio_handle reader = again(p.reader), writer = again(p.writer), copy = KT_HANDLE(kpio_handle_dup(reader, KPIO_RIGHTS_SAME));
    KT_OK(kpio_handle_flags(copy, 0, KPIO_OBJECT_NONBLOCK));
    KT_EQUAL(kpio_handle_flags(reader, 0, 0), KPIO_OBJECT_NONBLOCK);
    KT_EQUAL(kpio_handle_flags(p.reader, 0, 0), 0);
    KT_ERROR(kpio_pipe_read(reader, bytes, 1, 0, NEVER), EAGAIN);
    KT_OK(kpio_handle_flags(p.writer, 0, KPIO_OBJECT_NONBLOCK));
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, sizeof bytes, 0, NEVER), 4096);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, 0, NEVER), EAGAIN);
    KT_ERROR(kpio_pipe_write(writer, bytes, 1, KPIO_PIPE_NOWAIT, NEVER), EAGAIN);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 4000, 0, NEVER), 4000);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 4000, 0, NEVER), 96);
    kt_close(copy);
    kt_close(reader);
    kt_close(writer);
    end(p);
}

// Whichever goes last ends the side, and what waits at it.
KT_TEST(the_last_end_of_a_side) {
    for (unsigned which = 0; which < 3; which++) {
        struct ends p = make(KPIO_PIPE_STREAM);
        kpio_handle w[3] = {p.writer, again(p.writer), again(p.writer)}, reader = again(p.reader);
        KT_EQUAL(signals_of(p.reader), 0);
        kt_close(w[which]);
        kt_close(w[(which + 1) % 3]);
        KT_EQUAL(signals_of(reader), 0);
        KT_EQUAL(kpio_pipe_write(w[(which + 2) % 3], bytes, 3, 0, NEVER), 3);
        KT_EQUAL(signals_of(reader), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_DATA);
        KT_EQUAL(signals_of(p.reader), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_DATA);
        kt_close(w[(which + 2) % 3]);
        KT_EQUAL(kpio_pipe_read(reader, bytes, 10, 0, NEVER), 3);
        KT_EQUAL(kpio_pipe_read(p.reader, bytes, 10, 0, NEVER), 0);
        KT_EQUAL(signals_of(reader), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE);
        kt_close(p.reader);
        kt_close(reader);
    }
}

// Handles on their way stay there while one reader is left.
KT_TEST(parcels_of_a_reader_that_goes) {
    struct ends p = make(KPIO_PIPE_DATAGRAM);
    kpio_handle reader = again(p.reader), event = KT_HANDLE(kpio_event_create());
    thread_self()->handles[0] = (struct kpio_message_handle){.handle = event, .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_MOVE};
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 1, KPIO_PIPE_SEND_HANDLES(1), NEVER), 1);
    kt_close(p.reader);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 10, KPIO_PIPE_TAKE_HANDLES, NEVER), 1);
    event = thread_self()->handles[0].handle;
    KT_OK(event);
    KT_CHECK(event > 0);
    kt_close(event);
    kt_close(reader);
    kt_close(p.writer);
}

static struct ends waited_for;
static int64_t waits(void *argument) { return kpio_pipe_read(*(kpio_handle *)argument, bytes, 1, 0, NEVER); }

KT_TEST(waiting_at_several_ends) {
    struct thread thread[2];
    int64_t got;
    waited_for = make(KPIO_PIPE_STREAM);
    kpio_handle readers[2] = {waited_for.reader, again(waited_for.reader)};
    for (unsigned i = 0; i < 2; i++) {
        KT_EQUAL(thread_spawn(&thread[i], "waits", waits, &readers[i], NULL, 0), 0);
        kt_blocked(thread[i].handle);
    }
    kt_close(readers[1]);  // only those who wait through it
    KT_EQUAL(thread_join(&thread[1], &got), 0);
    KT_EQUAL(got, -ECANCELED);
    KT_EQUAL(kpio_pipe_write(waited_for.writer, bytes, 1, 0, NEVER), 1);
    KT_EQUAL(thread_join(&thread[0], &got), 0);
    KT_EQUAL(got, 1);
    end(waited_for);
}

KT_TEST(what_is_revoked_takes_the_reopened_along) {
    struct ends p = make(KPIO_PIPE_STREAM);
    kpio_handle lent = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHTS_SAME)), reader = again(lent), second = again(reader);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 3, 0, NEVER), 3);
    KT_EQUAL(kpio_pipe_read(second, bytes, 1, 0, NEVER), 1);
    KT_EQUAL(kpio_handle_revoke(lent, 0), 2);
    KT_ERROR(kpio_pipe_read(reader, bytes, 1, 0, NEVER), EBADF);
    KT_ERROR(kpio_pipe_read(second, bytes, 1, 0, NEVER), EBADF);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 10, 0, NEVER), 2);
    kt_close(lent);
    end(p);
}

KT_TEST(locks_of_ends) {
    struct ends p = make(KPIO_PIPE_STREAM);
    kpio_handle reader = again(p.reader);
    struct kpio_file_lock whole = {.flags = KPIO_LOCK_WHOLE | KPIO_LOCK_EXCLUSIVE};
    KT_EQUAL(kpio_file_lock(reader, &whole, 0), 0);
    KT_ERROR(kpio_file_lock(p.reader, &whole, 0), EAGAIN);
    KT_ERROR(kpio_file_lock(p.writer, &whole, 0), EAGAIN);
    kt_close(reader);
    KT_EQUAL(kpio_file_lock(p.writer, &whole, 0), 0);
    struct kpio_file_lock range = {.start = 5, .bytes = 2, .flags = KPIO_LOCK_EXCLUSIVE};
    KT_EQUAL(kpio_file_lock(p.reader, &range, 0), 0);
    range = (struct kpio_file_lock){.start = 6, .bytes = 9, .flags = KPIO_LOCK_SHARED | KPIO_LOCK_TEST};
    KT_EQUAL(kpio_file_lock(p.writer, &range, 0), 0);
    KT_EQUAL(range.start, 5);
    KT_EQUAL(range.bytes, 2);
    range.flags = 1u << 9;
    KT_ERROR(kpio_file_lock(p.writer, &range, 0), EINVAL);
    end(p);
}

KT_TEST(reopen_arguments) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct kpio_stat stat;
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT)),
                idle = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHT_DUPLICATE));
    KT_ERROR(kpio_pipe_reopen(weak, 0), EACCES);
    KT_ERROR(kpio_pipe_reopen(idle, 0), EACCES);
    KT_ERROR(kpio_pipe_reopen(p.reader, 1u << 31), EINVAL);
    KT_ERROR(kpio_pipe_reopen(kt_job(), 0), EWRONGTYPE);
    KT_ERROR(kpio_pipe_reopen(0, 0), EBADF);
    KT_ERROR(kpio_path_stat(p.reader, NULL, 0, &stat), EWRONGTYPE);  // it is no FIFO's
    kt_close(weak);
    kt_close(idle);
    kt_close(p.writer);
    KT_ERROR(kpio_pipe_reopen(p.reader, KPIO_FIFO_NEED_PEER), ENXIO);
    KT_EQUAL(kpio_pipe_shut(p.reader), 0);
    kpio_handle reader = again(p.reader);  // a side that was shut stays so
    KT_EQUAL(kpio_pipe_read(reader, bytes, 1, 0, NEVER), 0);
    kt_close(reader);
    kt_close(p.reader);
}

static int64_t send_one(kpio_handle writer, kpio_handle event) {
    thread_self()->handles[0] = (struct kpio_message_handle){.handle = event, .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_COPY};
    return kpio_pipe_write(writer, bytes, 1, KPIO_PIPE_SEND_HANDLES(1) | KPIO_PIPE_NOWAIT, 0);
}

// How many writes with handles wait is what the reader says; those without are not counted.
KT_TEST(limit_of_parcels) {
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_SEQPACKET, 1 << 16, &writer)), event = KT_HANDLE(kpio_event_create());
    for (unsigned i = 0; i < 64; i++) KT_EQUAL(send_one(writer, event), 1);
    KT_ERROR(send_one(writer, event), EAGAIN);
    KT_EQUAL(signals_of(writer), 0);
    KT_EQUAL(kpio_pipe_write(writer, bytes, 1, KPIO_PIPE_NOWAIT, 0), 1);
    KT_EQUAL(kpio_pipe_limit(reader, 65), 0);
    KT_EQUAL(signals_of(writer), KPIO_SIGNAL_WRITABLE);
    KT_EQUAL(send_one(writer, event), 1);
    KT_EQUAL(kpio_pipe_limit(reader, 1), 0);  // what is there stays
    for (unsigned i = 0; i < 65; i++) KT_EQUAL(kpio_pipe_read(reader, bytes, 1, 0, NEVER), 1);
    KT_ERROR(send_one(writer, event), EAGAIN);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 1, 0, NEVER), 1);
    KT_EQUAL(send_one(writer, event), 1);
    KT_ERROR(kpio_pipe_limit(reader, 0), EINVAL);
    KT_ERROR(kpio_pipe_limit(reader, KPIO_PIPE_PARCELS_MAX + 1), EINVAL);
    KT_ERROR(kpio_pipe_limit(writer, 1), EACCES);
    KT_ERROR(kpio_pipe_limit(event, 1), EWRONGTYPE);
    KT_ERROR(kpio_pipe_limit(0, 1), EBADF);
    kt_close(event);
    kt_close(reader);
    kt_close(writer);
}
