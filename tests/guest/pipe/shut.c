// Ends that are shut while handles on them stay.
#include "tests/guest/kt/kt.h"

static uint8_t bytes[4096];

static uint32_t signals_of(kpio_handle pipe) {
    struct kpio_wait_item item = {.handle = pipe, .signals = KPIO_SIGNALS_ALL};
    KT_OK(kpio_handle_wait_many(&item, 1, 0));
    return item.asserted;
}

KT_TEST(a_writer_that_is_shut) {
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &writer));
    KT_EQUAL(kpio_pipe_write(writer, bytes, 10, 0, 0), 10);
    KT_EQUAL(kpio_pipe_shut(writer), 0);
    KT_EQUAL(kpio_pipe_shut(writer), 0);
    KT_ERROR(kpio_pipe_write(writer, bytes, 1, 0, KPIO_TIME_NEVER), EPIPE);
    KT_ERROR(kpio_pipe_write(writer, bytes, 4096, KPIO_PIPE_NOWAIT, 0), EPIPE);
    KT_EQUAL(signals_of(writer) & KPIO_SIGNAL_PEER_GONE, KPIO_SIGNAL_PEER_GONE);
    KT_EQUAL(signals_of(reader), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_DATA | KPIO_SIGNAL_PEER_GONE);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 100, 0, KPIO_TIME_NEVER), 10);
    KT_EQUAL(signals_of(reader), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 100, 0, KPIO_TIME_NEVER), 0);
    kt_close(reader);
    kt_close(writer);
}

KT_TEST(a_reader_that_is_shut) {
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_SEQPACKET, 0, &writer));
    KT_EQUAL(kpio_pipe_write(writer, bytes, 10, 0, 0), 10);
    KT_EQUAL(kpio_pipe_shut(reader), 0);
    KT_ERROR(kpio_pipe_write(writer, bytes, 1, 0, KPIO_TIME_NEVER), EPIPE);
    KT_EQUAL(signals_of(reader), KPIO_SIGNAL_READABLE | KPIO_SIGNAL_DATA | KPIO_SIGNAL_PEER_GONE);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 100, 0, KPIO_TIME_NEVER), 10);
    KT_EQUAL(kpio_pipe_read(reader, bytes, 100, 0, KPIO_TIME_NEVER), 0);  // though somebody could write
    kt_close(reader);
    kt_close(writer);
}

static kpio_handle waited_for;
static int64_t waits(void *argument) { return kpio_pipe_read(waited_for, bytes, 1, 0, *(const uint64_t *)argument); }

KT_TEST(shutting_ends_waits) {
    for (unsigned which = 0; which < 2; which++) {
        kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &writer));
        struct thread thread;
        uint64_t soon = kt_soon();
        int64_t got;
        waited_for = reader;
        KT_EQUAL(thread_spawn(&thread, "waits", waits, &soon, NULL, 0), 0);
        kt_blocked(thread.handle);
        KT_EQUAL(kpio_pipe_shut(which == 0 ? writer : reader), 0);
        KT_EQUAL(thread_join(&thread, &got), 0);
        KT_EQUAL(got, 0);
        kt_close(reader);
        kt_close(writer);
    }
}

KT_TEST(shut_arguments) {
    kpio_handle writer, reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &writer));
    kpio_handle looks = KT_HANDLE(kpio_handle_dup(writer, KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_pipe_shut(looks), EACCES);
    KT_ERROR(kpio_pipe_shut(kt_job()), EWRONGTYPE);
    KT_ERROR(kpio_pipe_shut(0), EBADF);
    kt_close(looks);
    kt_close(reader);
    kt_close(writer);
}
