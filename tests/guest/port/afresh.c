// Bindings that look afresh (port_watch): packets tell what is, with the caller's own word.
#include "tests/guest/kt/kt.h"

static struct kpio_port_packet packets[8];

struct setting {
    kpio_handle port, reader, writer;
};
static uint8_t bytes[64];

static struct setting make(void) {
    struct setting s;
    s.port = KT_HANDLE(kpio_port_create());
    s.reader = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 4096, &s.writer));
    return s;
}
static void end(struct setting s) {
    kt_close(s.port);
    if (s.reader != 0) kt_close(s.reader);
    if (s.writer != 0) kt_close(s.writer);
}
static int64_t look(struct setting s) { return kpio_port_wait(s.port, packets, 8, 0); }
static void fill(struct setting s, unsigned n) { KT_EQUAL(kpio_pipe_write(s.writer, bytes, n, 0, 0), n); }
static void drain(struct setting s, unsigned n) { KT_EQUAL(kpio_pipe_read(s.reader, bytes, n, 0, 0), n); }
static int64_t watch(struct setting s, uint32_t signals, uint64_t key, uint32_t options, uint64_t data) {
    return kpio_port_watch(s.port, s.reader, signals, key, options, data);
}

KT_TEST(packets_have_the_callers_word) {
    struct setting s = make();
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 7ull << 32 | 5, KPIO_WATCH_LEVEL, 0x123456789abcdef0), 0);
    KT_ERROR(look(s), ETIMEDOUT);
    fill(s, 3);
    for (unsigned i = 0; i < 2; i++) {
        KT_EQUAL(look(s), 1);
        KT_EQUAL(packets[0].key, 7ull << 32 | 5);
        KT_EQUAL(packets[0].signals, KPIO_SIGNAL_READABLE);
        KT_EQUAL(packets[0].kind, KPIO_KIND_PIPE);
        KT_EQUAL(packets[0].value, 0x123456789abcdef0);
    }
    drain(s, 3);
    KT_ERROR(look(s), ETIMEDOUT);
    end(s);
}

KT_TEST(what_is_over_is_not_told) {
    struct setting s = make();
    for (uint32_t mode = KPIO_WATCH_ONCE; mode <= KPIO_WATCH_EDGE; mode++) {
        KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, mode, mode, mode), 0);
        fill(s, 3);
        drain(s, 3);
        KT_ERROR(look(s), ETIMEDOUT);
        fill(s, 1);  // it is still armed
        KT_EQUAL(look(s), 1);
        KT_EQUAL(packets[0].value, mode);
        KT_EQUAL(kpio_port_unbind(s.port, s.reader, mode), 0);
        drain(s, 1);
    }
    end(s);
}

KT_TEST(edge_and_once) {
    struct setting s = make();
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 1, KPIO_WATCH_EDGE, 10), 0);
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 2, KPIO_WATCH_ONCE, 20), 0);
    fill(s, 1);
    KT_EQUAL(look(s), 2);
    KT_ERROR(look(s), ETIMEDOUT);
    fill(s, 1);  // more is another edge
    KT_EQUAL(look(s), 1);
    KT_EQUAL(packets[0].value, 10);
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 2, KPIO_WATCH_ONCE | KPIO_WATCH_CHANGE, 21), 0);
    KT_EQUAL(look(s), 1);
    KT_EQUAL(packets[0].value, 21);
    KT_EQUAL(kpio_port_rearm(s.port, s.reader, 2), 0);
    KT_EQUAL(look(s), 1);
    end(s);
}

KT_TEST(bindings_are_told_apart_by_half_a_key) {
    struct setting s = make();
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 1ull << 32 | 5, KPIO_WATCH_LEVEL, 1), 0);
    KT_ERROR(watch(s, KPIO_SIGNAL_READABLE, 2ull << 32 | 5, KPIO_WATCH_LEVEL, 1), EEXIST);
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 1ull << 32 | 6, KPIO_WATCH_LEVEL, 2), 0);
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 3ull << 32 | 5, KPIO_WATCH_LEVEL | KPIO_WATCH_CHANGE, 4), 0);
    fill(s, 1);
    KT_EQUAL(look(s), 2);
    KT_EQUAL(packets[0].value + packets[1].value, 6);
    KT_EQUAL(kpio_port_unbind(s.port, s.reader, 5), 0);
    KT_ERROR(kpio_port_unbind(s.port, s.reader, 5), ENOENT);
    KT_ERROR(watch(s, KPIO_SIGNAL_READABLE, 5, KPIO_WATCH_LEVEL | KPIO_WATCH_CHANGE, 4), ENOENT);
    KT_EQUAL(look(s), 1);
    KT_EQUAL(packets[0].value, 2);
    end(s);
}

KT_TEST(they_leave_without_a_word) {
    struct setting s = make();
    for (uint32_t mode = KPIO_WATCH_ONCE; mode <= KPIO_WATCH_EDGE; mode++) KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, mode, mode, 1), 0);
    fill(s, 1);
    kt_close(s.reader);
    s.reader = 0;
    KT_ERROR(look(s), ETIMEDOUT);
    KT_EQUAL(kpio_port_watch(s.port, s.writer, KPIO_SIGNAL_PEER_GONE, 1, KPIO_WATCH_LEVEL, 2), 0);
    KT_EQUAL(look(s), 1);
    KT_EQUAL(packets[0].signals, KPIO_SIGNAL_PEER_GONE);
    end(s);
}

KT_TEST(no_signals_at_first) {
    struct setting s = make();
    KT_EQUAL(watch(s, 0, 1, KPIO_WATCH_LEVEL, 1), 0);
    fill(s, 1);
    KT_ERROR(look(s), ETIMEDOUT);
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 1, KPIO_WATCH_LEVEL | KPIO_WATCH_CHANGE, 1), 0);
    KT_EQUAL(look(s), 1);
    KT_EQUAL(watch(s, 0, 1, KPIO_WATCH_LEVEL | KPIO_WATCH_CHANGE, 1), 0);
    KT_ERROR(look(s), ETIMEDOUT);
    KT_ERROR(watch(s, 1u << 31, 2, KPIO_WATCH_LEVEL, 1), EINVAL);
    KT_ERROR(watch(s, 0, 2, 3, 1), EINVAL);
    KT_ERROR(kpio_port_watch(s.port, kt_system(), 0, 2, 0, 1), EACCES);
    end(s);
}

KT_TEST(settling) {
    struct setting s = make();
    KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, 1, KPIO_WATCH_LEVEL, 1), 0);
    KT_EQUAL(kpio_port_settle(s.port), 0);
    fill(s, 1);
    KT_EQUAL(kpio_port_settle(s.port), 1);
    KT_EQUAL(look(s), 1);
    drain(s, 1);
    KT_EQUAL(kpio_port_settle(s.port), 0);
    KT_ERROR(look(s), ETIMEDOUT);
    KT_EQUAL(kpio_port_post(s.port, 9, 9), 0);
    KT_EQUAL(kpio_port_settle(s.port), 1);  // nothing is taken
    KT_EQUAL(look(s), 1);
    fill(s, 1);
    KT_EQUAL(kpio_port_settle(s.port), 1);  // it is told again
    KT_ERROR(kpio_port_settle(s.reader), EWRONGTYPE);
    end(s);
}

KT_TEST(settling_many) {
    struct setting s = make();
    for (unsigned i = 0; i < 150; i++) KT_EQUAL(watch(s, KPIO_SIGNAL_READABLE, i, KPIO_WATCH_EDGE, i), 0);
    fill(s, 1);
    KT_EQUAL(kpio_port_settle(s.port), 150);
    drain(s, 1);
    KT_EQUAL(kpio_port_settle(s.port), 0);
    end(s);
}

static int64_t nest(kpio_handle outer, kpio_handle inner) {
    return kpio_port_watch(outer, inner, KPIO_SIGNAL_READABLE, 1, KPIO_WATCH_LEVEL, 1);
}

KT_TEST(ports_do_not_lead_back) {
    kpio_handle ports[7];
    for (unsigned i = 0; i < 7; i++) ports[i] = KT_HANDLE(kpio_port_create());
    KT_ERROR(nest(ports[0], ports[0]), ELOOP);
    for (unsigned i = 0; i < 4; i++) {
        KT_EQUAL(nest(ports[i + 1], ports[i]), 0);
        for (unsigned j = 0; j <= i; j++) KT_ERROR(nest(ports[j], ports[i + 1]), ELOOP);
    }
    KT_ERROR(nest(ports[5], ports[4]), ELOOP);  // too many in a row
    KT_EQUAL(nest(ports[5], ports[3]), 0);
    KT_EQUAL(nest(ports[6], ports[5]), -ELOOP);
    // What leaves leads nowhere any more.
    kt_close(ports[2]);
    KT_EQUAL(nest(ports[6], ports[5]), 0);
    KT_EQUAL(nest(ports[0], ports[6]), 0);
    KT_ERROR(nest(ports[3], ports[0]), ELOOP);
    for (unsigned i = 0; i < 7; i++)
        if (i != 2) kt_close(ports[i]);
}

// Many beside each other are no depth.
KT_TEST(ports_watch_many_ports) {
    kpio_handle ports[100], outer = KT_HANDLE(kpio_port_create()), inner = KT_HANDLE(kpio_port_create());
    for (unsigned i = 0; i < 100; i++) {
        ports[i] = KT_HANDLE(kpio_port_create());
        KT_EQUAL(nest(ports[i], inner), 0);
        KT_EQUAL(nest(outer, ports[i]), 0);
    }
    KT_ERROR(nest(inner, outer), ELOOP);
    for (unsigned i = 0; i < 100; i++) kt_close(ports[i]);
    KT_EQUAL(nest(inner, outer), 0);
    kt_close(inner);
    kt_close(outer);
}
