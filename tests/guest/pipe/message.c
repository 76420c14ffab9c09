// Messages with many handles and a note, labels, and mailboxes.
#include "lib/string.h"
#include "tests/guest/pipe/ends.h"

#define NOWAIT KPIO_PIPE_NOWAIT

static struct kpio_message_handle handles[KPIO_PIPE_HANDLES_MAX + 1];
static uint8_t bytes[100], note[KPIO_PIPE_NOTE_MAX];

static int64_t send(struct ends p, uint64_t size, uint64_t count, const char *text) {
    const struct kpio_io_vector part = {(uint64_t)bytes, size};
    const struct kpio_pipe_message m = {.parts = (uint64_t)&part, .part_count = 1, .handles = (uint64_t)handles, .handle_count = count,
                                        .note = (uint64_t)text, .note_size = text != NULL ? strlen(text) : 0};
    return kpio_pipe_send(p.writer, &m, NOWAIT, 0);
}

static int64_t receive(struct ends p, uint64_t size, uint64_t room, uint32_t options, struct kpio_pipe_message *m) {
    const struct kpio_io_vector part = {(uint64_t)bytes, size};
    memset(note, 0, sizeof note);
    *m = (struct kpio_pipe_message){.parts = (uint64_t)&part, .part_count = 1, .handles = (uint64_t)handles, .handle_count = room,
                                    .note = (uint64_t)note, .note_size = sizeof note};
    return kpio_pipe_receive(p.reader, m, options | NOWAIT, 0);
}

static void fill(kpio_handle h, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        handles[i] = (struct kpio_message_handle){.handle = h, .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_COPY};
}

static bool note_is(const struct kpio_pipe_message *m, const char *text) {
    return m->note_size == strlen(text) && memcmp(note, text, m->note_size) == 0;
}

KT_TEST(many_handles_in_one_message) {
    struct ends p = make(KPIO_PIPE_SEQPACKET);
    struct kpio_pipe_message m;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    fill(event, KPIO_PIPE_HANDLES_MAX);
    KT_EQUAL(send(p, 3, KPIO_PIPE_HANDLES_MAX, "hello"), 3);
    KT_ERROR(send(p, 3, KPIO_PIPE_HANDLES_MAX + 1, "hello"), EINVAL);
    KT_EQUAL(receive(p, 100, 0, KPIO_PIPE_PEEK, &m), 3);
    KT_CHECK(note_is(&m, "hello"));
    KT_EQUAL(m.handle_count, 0);
    KT_EQUAL(receive(p, 100, KPIO_PIPE_HANDLES_MAX - 12, 0, &m), 3);
    KT_EQUAL(m.handle_count, KPIO_PIPE_HANDLES_MAX);
    for (unsigned i = 0; i < KPIO_PIPE_HANDLES_MAX - 12; i++) {
        KT_EQUAL(handles[i].kind, KPIO_KIND_EVENT);
        kt_close(handles[i].handle);
    }
    KT_EQUAL(kpio_handle_revoke(event, 0), 0);  // the others were closed
    kt_close(event);
    end(p);
}

KT_TEST(a_peek_copies_handles) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct kpio_pipe_message m;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    fill(event, 3);
    handles[1].rights = KPIO_RIGHT_WAIT | KPIO_RIGHT_TRANSFER;
    KT_EQUAL(send(p, 3, 3, "hello"), 3);
    KT_ERROR(receive(p, 100, 3, KPIO_PIPE_COPY_HANDLES, &m), EINVAL);
    KT_EQUAL(receive(p, 100, 3, KPIO_PIPE_PEEK, &m), 3);
    KT_EQUAL(m.handle_count, 0);
    for (unsigned i = 0; i < 3; i++) {
        KT_EQUAL(receive(p, 2, 2, KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES, &m), 2);
        KT_CHECK(note_is(&m, "hello"));
        KT_EQUAL(m.handle_count, 3);
        KT_EQUAL(handles[0].kind, KPIO_KIND_EVENT);
        KT_EQUAL(handles[1].handle, 0);  // which could not be copied
        kt_close(handles[0].handle);
    }
    KT_EQUAL(receive(p, 2, 1, KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES, &m), 2);
    const kpio_handle seen = handles[0].handle;
    KT_EQUAL(receive(p, 1, 3, 0, &m), 1);
    KT_EQUAL(m.handle_count, 3);
    for (unsigned i = 0; i < 3; i++) kt_close(handles[i].handle);
    KT_EQUAL(receive(p, 2, 3, KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES, &m), 2);
    KT_EQUAL(m.handle_count, 0);
    KT_EQUAL(kpio_handle_revoke(event, 0), 1);  // the copy of what has gone
    KT_ERROR(kpio_handle_close((uint64_t)seen), EBADF);
    kt_close(event);
    end(p);
}

// A copy ends with what it was copied from, which was revoked on its way.
KT_TEST(a_copy_at_a_peek_can_be_revoked) {
    struct ends p = make(KPIO_PIPE_SEQPACKET);
    struct kpio_pipe_message m;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    fill(event, 1);
    KT_EQUAL(send(p, 1, 1, NULL), 1);
    KT_EQUAL(receive(p, 1, 1, KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES, &m), 1);
    const kpio_handle seen = handles[0].handle;
    KT_EQUAL(kpio_handle_revoke(event, 0), 2);
    KT_ERROR(kpio_handle_close((uint64_t)seen), EBADF);
    KT_EQUAL(receive(p, 1, 1, KPIO_PIPE_PEEK | KPIO_PIPE_COPY_HANDLES, &m), 1);
    KT_EQUAL(handles[0].handle, 0);
    kt_close(event);
    end(p);
}

KT_TEST(handles_wait_for_room) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct kpio_pipe_message m;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    fill(event, KPIO_PIPE_HANDLES_MAX);
    KT_EQUAL(send(p, 1, KPIO_PIPE_HANDLES_MAX, NULL), 1);
    KT_EQUAL(send(p, 1, KPIO_PIPE_HANDLES_MAX, NULL), 1);
    KT_ERROR(send(p, 1, 1, NULL), EAGAIN);
    KT_EQUAL(receive(p, 100, 0, 0, &m), 1);
    KT_EQUAL(send(p, 1, 1, NULL), 1);
    end(p);
    KT_EQUAL(kpio_handle_revoke(event, 0), 0);
    kt_close(event);
}

KT_TEST(a_bad_handle_keeps_all) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct kpio_pipe_message m;
    kpio_handle event = KT_HANDLE(kpio_event_create());
    fill(event, 40);
    handles[39].handle = 12345678;
    KT_ERROR(send(p, 1, 40, NULL), EBADF);
    KT_ERROR(receive(p, 1, 0, 0, &m), EAGAIN);
    fill(event, 2);
    handles[0].mode = 7;
    KT_ERROR(send(p, 1, 2, NULL), EINVAL);
    KT_ERROR(kpio_pipe_send(p.writer, KT_UNMAPPED_ADDRESS, 0, 0), EFAULT);
    KT_ERROR(kpio_pipe_send(p.reader, &m, 0, 0), EACCES);
    m.handles = (uint64_t)KT_UNMAPPED_ADDRESS;
    m.handle_count = 1;
    KT_ERROR(kpio_pipe_send(p.writer, &m, 0, 0), EFAULT);
    KT_EQUAL(kpio_handle_revoke(event, 0), 0);
    kt_close(event);
    end(p);
}

KT_TEST(bytes_of_a_stream_keep_their_note) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct kpio_pipe_message m;
    KT_EQUAL(send(p, 3, 0, "one"), 3);
    KT_EQUAL(send(p, 4, 0, "one"), 4);  // read together with those
    KT_EQUAL(send(p, 5, 0, "two"), 5);
    KT_EQUAL(receive(p, 2, 0, 0, &m), 2);
    KT_CHECK(note_is(&m, "one"));
    KT_EQUAL(receive(p, 100, 0, 0, &m), 5);
    KT_CHECK(note_is(&m, "one"));
    KT_EQUAL(receive(p, 100, 0, KPIO_PIPE_PEEK, &m), 5);
    KT_CHECK(note_is(&m, "two"));
    KT_EQUAL(receive(p, 100, 0, 0, &m), 5);
    KT_CHECK(note_is(&m, "two"));
    for (unsigned i = 0; i < 500; i++) KT_EQUAL(send(p, 1, 0, "two"), 1);  // one parcel for all
    KT_EQUAL(receive(p, 100, 0, 0, &m), 100);
    KT_CHECK(note_is(&m, "two"));
    end(p);
}

KT_TEST(a_reader_demands_notes) {
    struct ends p = make(KPIO_PIPE_STREAM);
    struct kpio_pipe_message m;
    KT_EQUAL(kpio_pipe_demand(p.reader, 1), 0);
    KT_ERROR(kpio_pipe_write(p.writer, bytes, 1, 0, 0), ENODATA);
    const struct kpio_io_vector part = {(uint64_t)bytes, 1};
    KT_ERROR(kpio_pipe_write_vector(p.writer, &part, 1, 0, 0), ENODATA);
    KT_EQUAL(send(p, 1, 0, "x"), 1);
    KT_EQUAL(kpio_pipe_demand(p.reader, 0), 0);
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 1, 0, 0), 1);
    KT_EQUAL(receive(p, 100, 0, 0, &m), 2);
    KT_ERROR(kpio_pipe_demand(p.writer, 1), EACCES);
    KT_ERROR(kpio_pipe_demand(p.reader, 2), EINVAL);
    end(p);
}

KT_TEST(labels) {
    struct ends p = make(KPIO_PIPE_STREAM);
    uint8_t got[KPIO_PIPE_LABEL_MAX + 1];
    kpio_handle copy = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHTS_SAME)), weak = KT_HANDLE(kpio_handle_dup(p.reader, 0));
    KT_EQUAL(kpio_pipe_label_get(p.reader, got, sizeof got), 0);
    KT_EQUAL(kpio_pipe_label(p.reader, (const uint8_t *)"name", 4), 0);
    KT_EQUAL(kpio_pipe_label_get(copy, got, 2), 4);
    KT_EQUAL(kpio_pipe_label_get(copy, got, sizeof got), 4);
    KT_CHECK(memcmp(got, "name", 4) == 0);
    KT_EQUAL(kpio_pipe_label_get(p.writer, got, sizeof got), 0);
    KT_ERROR(kpio_pipe_label(weak, got, 1), EACCES);
    KT_ERROR(kpio_pipe_label(p.writer, got, KPIO_PIPE_LABEL_MAX + 1), EINVAL);
    KT_ERROR(kpio_pipe_label(p.writer, KT_UNMAPPED_ADDRESS, 1), EFAULT);
    KT_EQUAL(kpio_pipe_label(p.writer, got, KPIO_PIPE_LABEL_MAX), 0);
    KT_EQUAL(kpio_pipe_label(p.reader, NULL, 0), 0);
    KT_EQUAL(kpio_pipe_label_get(copy, got, sizeof got), 0);
    kt_close(copy);
    kt_close(weak);
    end(p);
}

KT_TEST(a_mailbox_waits_without_writers) {
    struct ends p = make(KPIO_PIPE_MAILBOX);
    struct kpio_pipe_info info;
    KT_EQUAL(kpio_pipe_write(p.writer, bytes, 3, 0, 0), 3);
    KT_EQUAL(kpio_pipe_info(p.reader, &info), 0);
    KT_EQUAL(info.peer, 1);
    kt_close(p.writer);
    KT_EQUAL(kpio_pipe_info(p.reader, &info), 0);
    KT_EQUAL(info.peer, 0);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, 0, 0), 3);
    KT_ERROR(kpio_pipe_read(p.reader, bytes, 100, NOWAIT, 0), EAGAIN);
    KT_ERROR(kpio_pipe_read(p.reader, bytes, 100, 0, (uint64_t)kpio_clock_get(0) + 1000000), ETIMEDOUT);
    KT_ERROR(wait_signal(p.reader, KPIO_SIGNAL_PEER_GONE | KPIO_SIGNAL_READABLE, 0, NULL), ETIMEDOUT);
    KT_EQUAL(kpio_pipe_shut(p.reader), 0);
    KT_EQUAL(kpio_pipe_read(p.reader, bytes, 100, 0, 0), 0);
    kt_close(p.reader);
}

// Each goes into the next, up to where there are too many levels; then they end with the last.
KT_TEST(pipes_in_pipes) {
    struct ends p[8];
    unsigned deep = 0;
    for (unsigned i = 0; i < 8; i++) p[i] = make(KPIO_PIPE_STREAM);
    for (unsigned i = 0; i < 7; i++) {
        fill(p[i].reader, 1);
        int64_t result = send(p[i + 1], 1, 1, NULL);
        if (result != 1) {
            KT_EQUAL(result, -EBUSY);
            break;
        }
        deep++;
    }
    KT_EQUAL(deep, 3);  // from a level in the middle upwards
    fill(p[deep].reader, 1);
    KT_ERROR(send(p[0], 1, 1, NULL), EBUSY);  // a circle
    for (unsigned i = 0; i < 8; i++) end(p[i]);
}
