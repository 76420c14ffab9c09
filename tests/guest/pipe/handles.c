// Handles in pipes: they arrive with the bytes that they were sent with, once; or end with the pipe, or by revocation.
#include "lib/string.h"
#include "tests/guest/pipe/ends.h"

#define SEND KPIO_PIPE_SEND_HANDLES
#define TAKE KPIO_PIPE_TAKE_HANDLES
#define NOWAIT KPIO_PIPE_NOWAIT

static uint8_t bytes[4096];

static struct kpio_message_handle *entry(unsigned i) { return &thread_self()->handles[i]; }
static uint64_t object_of(kpio_handle h) {
    struct kpio_handle_info info;
    KT_EQUAL(kpio_handle_info(h, &info), 0);
    return info.object_id;
}

static void copy_and_move(uint32_t mode) {
    struct ends p = make(mode);
    kpio_handle copied = KT_HANDLE(kpio_event_create()), moved = KT_HANDLE(kpio_event_create());
    uint64_t ids[] = {object_of(copied), object_of(moved)};
    message_handle(0, copied, KPIO_RIGHT_READ | KPIO_RIGHT_DUPLICATE, KPIO_SEND_COPY);
    message_handle(1, moved, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 3, SEND(2), kt_soon()), 3);
    KT_ERROR(kpio_handle_close((uint64_t)moved), EBADF);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, TAKE, kt_soon()), 3);
    for (unsigned i = 0; i < 2; i++) {
        KT_EQUAL(entry(i)->kind, KPIO_KIND_EVENT);
        KT_EQUAL(object_of(entry(i)->handle), ids[i]);
    }
    KT_EQUAL(entry(0)->rights, KPIO_RIGHT_READ | KPIO_RIGHT_DUPLICATE);
    KT_EQUAL(entry(2)->kind, KPIO_KIND_NONE);
    kpio_handle arrived = entry(0)->handle;
    kt_close(entry(1)->handle);
    KT_EQUAL(kpio_handle_revoke(copied, 0), 1);  // the copy is a child
    KT_ERROR(kpio_handle_close((uint64_t)arrived), EBADF);
    kt_close(copied);
    end(p);
}

KT_TEST(handles_through_a_stream) { copy_and_move(KPIO_PIPE_STREAM); }
KT_TEST(handles_through_datagrams) { copy_and_move(KPIO_PIPE_DATAGRAM); }
KT_TEST(handles_through_seqpackets) { copy_and_move(KPIO_PIPE_SEQPACKET); }

static void send_event(struct ends p, uint64_t size) {
    message_handle(0, KT_HANDLE(kpio_event_create()), KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, size, SEND(1), kt_soon()), size);
}

// A read ends where the next handles came, and takes those of its first byte.
KT_TEST(handles_keep_their_place_in_a_stream) {
    struct ends p = make(KPIO_PIPE_STREAM);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 5, 0, kt_soon()), 5);
    send_event(p, 7);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 4, 0, kt_soon()), 4);
    send_event(p, 2);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, TAKE, 0), 5);
    KT_EQUAL(entry(0)->kind, KPIO_KIND_NONE);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 3, TAKE, 0), 3);
    kt_close(entry(0)->handle);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, TAKE, 0), 8);
    KT_EQUAL(entry(0)->kind, KPIO_KIND_NONE);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, TAKE, 0), 2);
    kt_close(entry(0)->handle);
    KT_ERROR(kpio_pipe_read(p.reader, bytes, 100, TAKE | NOWAIT, 0), EAGAIN);
    end(p);
}

KT_TEST(an_empty_message_with_a_handle) {
    struct ends p = make(KPIO_PIPE_SEQPACKET);
    send_event(p, 0);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 0, TAKE, kt_soon()), 0);
    KT_EQUAL(entry(0)->kind, KPIO_KIND_EVENT);
    kt_close(entry(0)->handle);
    kt_close(p.writer);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 0, TAKE, kt_soon()), 0);
    KT_EQUAL(entry(0)->kind, KPIO_KIND_NONE);
    kt_close(p.reader);
}

KT_TEST(who_does_not_take_them_loses_them) {
    struct ends p = make(KPIO_PIPE_STREAM);
    send_event(p, 1);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, 0, kt_soon()), 1);
    send_event(p, 1);  // and these go with the pipe
    send_event(p, 1);
    end(p);
}

KT_TEST(a_read_that_fails_leaves_them) {
    struct ends p = make(KPIO_PIPE_SEQPACKET);
    send_event(p, 10);
    KT_ERROR(kpio_pipe_read(p.reader, KT_UNMAPPED_ADDRESS, 10, TAKE, 0), EFAULT);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 10, TAKE, 0), 10);
    kt_close(entry(0)->handle);
    end(p);
}

KT_TEST(a_write_that_fails_keeps_them) {
    struct ends p = make(KPIO_PIPE_STREAM);
    kpio_handle event = KT_HANDLE(kpio_event_create()), weak = KT_HANDLE(kpio_handle_dup(event, KPIO_RIGHT_READ));
    message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_ERROR(kpio_pipe_write(p.writer, KT_UNMAPPED_ADDRESS, 10, SEND(1), 0), EFAULT);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 0, SEND(1), 0), EINVAL);  // no byte to go with
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 4096, 0, 0), 4096);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, SEND(1) | NOWAIT, 0), EAGAIN);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, SEND(1), time_after_ms(2)), ETIMEDOUT);
    message_handle(1, weak, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, SEND(2), 0), EACCES);
    message_handle(1, 0x7fffffff, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, SEND(2), 0), EBADF);
    message_handle(1, event, KPIO_RIGHTS_SAME, 7);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, SEND(2), 0), EINVAL);
    kt_close(weak);
    kt_close(event);
    kt_close(p.reader);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, SEND(0), 0), EPIPE);
    kt_close(p.writer);
}

KT_TEST(revoked_on_its_way) {
    struct ends p = make(KPIO_PIPE_STREAM);
    kpio_handle event = KT_HANDLE(kpio_event_create());
    message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 1, SEND(1), kt_soon()), 1);
    KT_EQUAL(kpio_handle_revoke(event, 0), 1);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 1, TAKE, kt_soon()), 1);
    KT_EQUAL(entry(0)->handle, 0);
    KT_EQUAL(entry(0)->kind, KPIO_KIND_EVENT);
    kt_close(event);
    end(p);
}

// What a pipe holds keeps its object: a pipe in itself would never end.
KT_TEST(a_pipe_cannot_hold_itself) {
    struct ends a = make(KPIO_PIPE_STREAM), b = make(KPIO_PIPE_STREAM);
    message_handle(0, a.reader, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE);
    KT_ERROR(kpio_pipe_write(a.writer, bytes, 1, SEND(1), 0), EBUSY);
    message_handle(0, a.writer, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_EQUAL(kpio_pipe_write(b.writer, bytes, 1, SEND(1), 0), 1);
    message_handle(0, b.reader, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_ERROR(kpio_pipe_write(a.writer, bytes, 1, SEND(1), 0), EBUSY);
    KT_EQUAL(kpio_pipe_read(b.reader, bytes, 1, TAKE, 0), 1);
    kt_close(entry(0)->handle);
    message_handle(0, b.reader, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_EQUAL(kpio_pipe_write(a.writer, bytes, 1, SEND(1), 0), 1);  // now it may
    end(a);
    end(b);
}

KT_TEST(so_many_parcels_and_no_more) {
    struct ends p = make(KPIO_PIPE_STREAM);
    kpio_handle event = KT_HANDLE(kpio_event_create());
    unsigned sent = 0;
    int64_t result;
    do message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    while ((result = kpio_pipe_write(p.writer, bytes, 1, SEND(1) | NOWAIT, 0)) == 1 && ++sent < 1000);
    KT_EQUAL(result, -EAGAIN);
    KT_EQUAL(sent, 64);
    KT_ERROR(wait_signal(p.writer, KPIO_SIGNAL_WRITABLE, 0, NULL), ETIMEDOUT);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, TAKE, 0), 1);
    kt_close(entry(0)->handle);
    KT_EQUAL(wait_signal(p.writer, KPIO_SIGNAL_WRITABLE, 0, NULL), 0);
    end(p);
    kt_close(event);
}

KT_CHILD(answers_through_what_came) {
    int64_t got = kpio_pipe_read(startup_handle("pipe"), bytes, 100, TAKE, kt_soon());
    if (got != 1 || entry(0)->kind != KPIO_KIND_EVENT) return 1;
    return kpio_event_signal(entry(0)->handle, 0, 4) == 4 ? 0 : 2;
}

KT_TEST(handles_between_processes) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct process_grant grant = {"pipe", p.reader, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    kpio_handle event = KT_HANDLE(kpio_event_create()), child = kt_spawn("answers_through_what_came", &grant, 1);
    message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 1, SEND(1), kt_soon()), 1);
    KT_EQUAL(kpio_event_wait(event, 4, 0, kt_soon()), 4);
    KT_EQUAL(kt_wait(child), 0);
    kt_close(event);
    kt_close(p.writer);
}
