// Looking without taking, sizes, and several pieces of memory.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096ul
#define NOWAIT KPIO_PIPE_NOWAIT
#define PEEK (KPIO_PIPE_NOWAIT | KPIO_PIPE_PEEK)

struct ends {
    kpio_handle reader, writer;
};
static uint8_t data[3 * PAGE], got[3 * PAGE];

static struct ends make(uint32_t mode, uint64_t size) {
    struct ends p = {};
    p.reader = KT_HANDLE(kpio_pipe_create(mode, size, &p.writer));
    for (unsigned i = 0; i < sizeof(data); i++) data[i] = (uint8_t)(i * 13 + i / 251);
    memset(got, 0, sizeof(got));
    return p;
}
static void end(struct ends p) {
    kt_close(p.reader);
    kt_close(p.writer);
}
static struct kpio_pipe_info info_of(kpio_handle pipe) {
    struct kpio_pipe_info info;
    KT_EQUAL(kpio_pipe_info(pipe, &info), 0);
    return info;
}

// ---- peeking -------------------------------------------------------------------------------------------------------------

KT_TEST(peeking_leaves_a_stream) {
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    KT_ERROR(kpio_pipe_read(p.reader, got, 1, PEEK, 0), EAGAIN);
    for (unsigned round = 0; round < 3; round++) {  // the last one wraps
        KT_EQUAL(kpio_pipe_write(p.writer, data, 1500, NOWAIT, 0), 1500);
        KT_EQUAL(kpio_pipe_read(p.reader, got, 10, PEEK, 0), 10);
        KT_EQUAL(kpio_pipe_read(p.reader, got, PAGE, PEEK, 0), 1500);
        KT_CHECK(memcmp(got, data, 1500) == 0);
        KT_EQUAL(info_of(p.reader).readable, 1500);
        KT_EQUAL(kpio_pipe_read(p.reader, got, PAGE, NOWAIT, 0), 1500);
        KT_CHECK(memcmp(got, data, 1500) == 0);
    }
    kt_close(p.writer);
    KT_EQUAL(kpio_pipe_read(p.reader, got, 1, PEEK, 0), 0);
    kt_close(p.reader);
}

KT_TEST(a_cut_message_tells_its_length) {
    struct ends p = make(KPIO_PIPE_DATAGRAM, 0);
    KT_EQUAL(kpio_pipe_write(p.writer, data, 300, NOWAIT, 0), 300);
    KT_EQUAL(kpio_pipe_write(p.writer, data, 40, NOWAIT, 0), 40);
    KT_EQUAL(info_of(p.writer).next, 300);
    KT_EQUAL(kpio_pipe_read(p.reader, got, 10, PEEK, 0), 10);
    KT_EQUAL(thread_self()->message_bytes, 300);
    KT_EQUAL(kpio_pipe_read(p.reader, got, 200, NOWAIT, 0), 200);
    KT_EQUAL(thread_self()->message_bytes, 300);
    KT_EQUAL(info_of(p.reader).next, 40);
    KT_EQUAL(kpio_pipe_read(p.reader, got, 2 * PAGE, NOWAIT, 0), 40);  // the long way
    KT_EQUAL(thread_self()->message_bytes, 40);
    KT_EQUAL(info_of(p.reader).next, 0);
    end(p);
}

KT_TEST(peeking_leaves_handles) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    kpio_handle event = KT_HANDLE(kpio_event_create());
    thread_self()->handles[0] = (struct kpio_message_handle){.handle = event, .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_MOVE};
    KT_EQUAL(kpio_pipe_write(p.writer, data, 5, NOWAIT | KPIO_PIPE_SEND_HANDLES(1), 0), 5);
    KT_EQUAL(kpio_pipe_read(p.reader, got, 5, PEEK | KPIO_PIPE_TAKE_HANDLES, 0), 5);
    KT_EQUAL(thread_self()->handles[0].kind, KPIO_KIND_NONE);
    KT_EQUAL(kpio_pipe_read(p.reader, got, 5, NOWAIT | KPIO_PIPE_TAKE_HANDLES, 0), 5);
    KT_EQUAL(thread_self()->handles[0].kind, KPIO_KIND_EVENT);
    kt_close(thread_self()->handles[0].handle);
    end(p);
}

// ---- sizes -----------------------------------------------------------------------------------------------------------------

KT_TEST(info) {
    struct ends p = make(KPIO_PIPE_STREAM, 2 * PAGE);
    kpio_handle deaf = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHT_READ));
    struct kpio_pipe_info info;
    KT_EQUAL(kpio_pipe_write(p.writer, data, 100, NOWAIT, 0), 100);
    info = info_of(p.reader);
    KT_CHECK(info.mode == KPIO_PIPE_STREAM && info.capacity == 2 * PAGE && info.readable == 100 && info.room == 2 * PAGE - 100);
    KT_ERROR(kpio_pipe_info(deaf, &info), EACCES);
    KT_ERROR(kpio_pipe_info(kt_job(), &info), EWRONGTYPE);
    KT_ERROR(kpio_pipe_info(0, &info), EBADF);
    KT_ERROR(kpio_pipe_info(p.reader, KT_KERNEL_ADDRESS), EFAULT);
    kt_close(deaf);
    end(p);
}

KT_TEST(another_size) {
    for (uint32_t mode = KPIO_PIPE_STREAM; mode <= KPIO_PIPE_SEQPACKET; mode++) {
        struct ends p = make(mode, PAGE);
        KT_EQUAL(kpio_pipe_write(p.writer, data, 3000, NOWAIT, 0), 3000);
        KT_EQUAL(kpio_pipe_read(p.reader, got, 3000, NOWAIT, 0), 3000);
        KT_EQUAL(kpio_pipe_write(p.writer, data, 2500, NOWAIT, 0), 2500);  // wraps
        KT_EQUAL(kpio_pipe_resize(p.writer, 3 * PAGE), 4 * PAGE);
        KT_EQUAL(kpio_pipe_write(p.writer, data + 2500, 6000, NOWAIT, 0), 6000);
        KT_ERROR(kpio_pipe_resize(p.reader, PAGE), EBUSY);
        KT_EQUAL(info_of(p.reader).capacity, 4 * PAGE);
        KT_EQUAL(kpio_pipe_read(p.reader, got, 2500, NOWAIT, 0), 2500);
        KT_EQUAL(kpio_pipe_resize(p.reader, 6005), 2 * PAGE);
        KT_EQUAL(kpio_pipe_read(p.reader, got + 2500, sizeof(got) - 2500, NOWAIT, 0), 6000);
        KT_CHECK(memcmp(got, data, 8500) == 0);
        KT_EQUAL(kpio_pipe_resize(p.reader, 1), PAGE);
        end(p);
    }
}

KT_TEST(sizes_that_are_none) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    kpio_handle deaf = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_pipe_resize(p.reader, 0), EINVAL);
    KT_ERROR(kpio_pipe_resize(p.reader, (1 << 20) + 1), EINVAL);
    KT_ERROR(kpio_pipe_resize(p.reader, UINT64_MAX), EINVAL);
    KT_ERROR(kpio_pipe_resize(deaf, PAGE), EACCES);
    KT_ERROR(kpio_pipe_resize(kt_job(), PAGE), EWRONGTYPE);
    KT_ERROR(kpio_pipe_resize(0, PAGE), EBADF);
    KT_EQUAL(kpio_pipe_resize(p.reader, 1 << 20), 1 << 20);
    kt_close(deaf);
    end(p);
}

KT_CHILD(grows_beyond_its_quota) {
    kpio_handle writer, reader = (kpio_handle)kpio_pipe_create(0, PAGE, &writer);
    if (kpio_pipe_resize(reader, 1 << 20) != -ENFILE) return 1;
    return kpio_pipe_write(writer, data, 10, NOWAIT, 0) == 10 && kpio_pipe_resize(writer, 2 * PAGE) == 2 * PAGE ? 0 : 2;
}
KT_TEST(quota_of_a_size) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 200000, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"pipes", 5));
    KT_EQUAL(kt_wait(kt_spawn_in(job, "grows_beyond_its_quota", NULL, 0)), 0);
    kt_close(job);
}

// Bytes go through whole and in order while both sides are at work, whatever size the pipe has at the moment.
static struct ends raced;
static uint32_t stop;
static int64_t write_count(void *arg) {
    uint8_t own[700];
    uint64_t count = 0;
    while (count == 0 || !__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        uint64_t n = count * 37 % sizeof(own) + 1;
        for (uint64_t i = 0; i < n; i++) own[i] = (uint8_t)(count + i);
        int64_t result = kpio_pipe_write(raced.writer, own, n, 0, kt_soon());
        if (result != (int64_t)n) return -1;
        count += n;
    }
    return (int64_t)count;
}
static int64_t read_count(void *arg) {
    uint8_t own[5000];
    uint64_t count = 0;
    for (;;) {
        int64_t n = kpio_pipe_read(raced.reader, own, count % 7 == 0 ? sizeof(own) : 333, 0, kt_soon());
        if (n <= 0) return n < 0 ? n : (int64_t)count;
        for (int64_t i = 0; i < n; i++)
            if (own[i] != (uint8_t)(count + (uint64_t)i)) return -2;
        count += (uint64_t)n;
    }
}
KT_TEST(resizing_against_both_sides) {
    static struct thread threads[2];
    int64_t written = 0, read = 0;
    raced = make(KPIO_PIPE_STREAM, PAGE);
    stop = 0;
    KT_EQUAL(thread_spawn(&threads[0], "writer", write_count, NULL, NULL, 0), 0);
    KT_EQUAL(thread_spawn(&threads[1], "reader", read_count, NULL, NULL, 0), 0);
    for (uint64_t until = time_after_ms(kt_long() ? 5000 : 300); time_now() < until;) {
        int64_t result = kpio_pipe_resize(kt_random() % 2 ? raced.reader : raced.writer, PAGE << kt_random() % 5);
        KT_CHECK(result > 0 || result == -EBUSY || result == -EAGAIN);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    KT_EQUAL(thread_join(&threads[0], &written), 0);
    kt_close(raced.writer);
    KT_EQUAL(thread_join(&threads[1], &read), 0);
    KT_CHECK(written > 0);
    KT_EQUAL(read, written);
    kt_close(raced.reader);
}

// ---- several pieces -----------------------------------------------------------------------------------------------------------

static struct kpio_io_vector parts[KPIO_IO_VECTORS_MAX + 1];
static struct kpio_io_vector piece(void *at, uint64_t size) { return (struct kpio_io_vector){(uint64_t)at, size}; }

KT_TEST(pieces) {
    for (uint32_t mode = KPIO_PIPE_STREAM; mode <= KPIO_PIPE_SEQPACKET; mode++) {
        struct ends p = make(mode, PAGE);
        for (unsigned round = 0; round < 5; round++) {
            parts[0] = piece(data, 100);
            parts[1] = piece(NULL, 0);
            parts[2] = piece(data + 100, 1);
            parts[3] = piece(data + 101, 1400);
            KT_EQUAL(kpio_pipe_write_vector(p.writer, parts, 4, NOWAIT, 0), 1501);
            parts[0] = piece(got, 99);
            parts[1] = piece(got + 99, 1000);
            parts[3] = piece(got + 1099, 1);
            parts[2] = piece(got + 1100, 3000);
            KT_EQUAL(kpio_pipe_read_vector(p.reader, parts, 3, NOWAIT, 0), 1501);
            KT_CHECK(memcmp(got, data, 1099) == 0 && memcmp(got + 1100, data + 1099, 402) == 0);
        }
        end(p);
    }
}

KT_TEST(as_many_pieces_as_may_be) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    for (unsigned i = 0; i <= KPIO_IO_VECTORS_MAX; i++) parts[i] = piece(data + i * 3, 3);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, KPIO_IO_VECTORS_MAX + 1, NOWAIT, 0), EINVAL);
    KT_EQUAL(kpio_pipe_write_vector(p.writer, parts, KPIO_IO_VECTORS_MAX, NOWAIT, 0), 3 * KPIO_IO_VECTORS_MAX);
    KT_EQUAL(kpio_pipe_read(p.reader, got, sizeof(got), NOWAIT, 0), 3 * KPIO_IO_VECTORS_MAX);
    KT_CHECK(memcmp(got, data, 3 * KPIO_IO_VECTORS_MAX) == 0);
    KT_EQUAL(kpio_pipe_write_vector(p.writer, parts, 0, NOWAIT, 0), 0);
    end(p);
}

KT_TEST(bad_pieces) {
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    parts[0] = piece(data, 10);
    parts[1] = piece(KT_UNMAPPED_ADDRESS, 10);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, 2, NOWAIT, 0), EFAULT);
    KT_EQUAL(info_of(p.reader).readable, 0);  // nothing of it was written
    parts[1] = piece(KT_KERNEL_ADDRESS, 10);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, 2, NOWAIT, 0), EFAULT);
    parts[1] = piece(data, UINT64_MAX - 5);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, 2, NOWAIT, 0), EINVAL);
    KT_ERROR(kpio_pipe_write_vector(p.writer, KT_UNMAPPED_ADDRESS, 2, NOWAIT, 0), EFAULT);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, UINT64_MAX, NOWAIT, 0), EINVAL);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, 1, 16, 0), EINVAL);
    KT_ERROR(kpio_pipe_write_vector(p.reader, parts, 1, NOWAIT, 0), EACCES);
    KT_ERROR(kpio_pipe_read_vector(p.writer, parts, 1, NOWAIT, 0), EACCES);
    KT_ERROR(kpio_pipe_read_vector(kt_job(), parts, 1, NOWAIT, 0), EWRONGTYPE);
    KT_ERROR(kpio_pipe_read_vector(0, parts, 1, NOWAIT, 0), EBADF);
    parts[1] = piece(data, PAGE - 5);  // together more than fits, so that only a part may go
    KT_EQUAL(kpio_pipe_write_vector(p.writer, parts, 2, NOWAIT, 0), PAGE);
    KT_ERROR(kpio_pipe_write_vector(p.writer, parts, 1, NOWAIT, 0), EAGAIN);
    end(p);
}
