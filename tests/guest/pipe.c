// Pipes: bytes, messages, ends and quotas.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096ul
#define WAIT 0
#define NOWAIT KPIO_PIPE_NOWAIT

struct ends {
    kpio_handle reader, writer;
};
static uint8_t buffer[3 * PAGE], pattern[3 * PAGE];

static struct ends make(uint32_t mode, uint64_t size) {
    struct ends p = {};
    p.reader = KT_HANDLE(kpio_pipe_create(mode, size, &p.writer));
    KT_CHECK(p.writer > 0 && p.writer != p.reader);
    for (unsigned i = 0; i < sizeof(pattern); i++) pattern[i] = (uint8_t)(i * 7 + i / 256);
    memset(buffer, 0, sizeof(buffer));
    return p;
}

static void end(struct ends p) {
    kt_close(p.reader);
    kt_close(p.writer);
}

static bool same(const void *at, uint64_t offset, uint64_t size) { return memcmp(at, pattern + offset, size) == 0; }

// Two pages, of which the second cannot be reached.
static uint8_t *half_mapped(kpio_handle vmo) {
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), 0, 0, 2 * PAGE, KPIO_MAP_RESERVE, 0));
    KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE | KPIO_MAP_FIXED, at));
    return (uint8_t *)at;
}

// ---- streams -----------------------------------------------------------------------------------------------------------

KT_TEST(stream_joins_and_splits) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 10, WAIT, kt_soon()), 10);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern + 10, 20, WAIT, kt_soon()), 20);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, 4, WAIT, kt_soon()), 4);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer + 4, PAGE, WAIT, kt_soon()), 26);
    KT_CHECK(same(buffer, 0, 30));
    KT_ERROR(kpio_pipe_read(p.reader, buffer, 1, NOWAIT, 0), EAGAIN);
    KT_ERROR(kpio_pipe_read(p.reader, buffer, 1, WAIT, time_after_ms(3)), ETIMEDOUT);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 0, WAIT, 0), 0);
    end(p);
}

KT_TEST(stream_wraps_around) {
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    for (uint64_t round = 0, offset; round < 50; round++) {
        offset = round * 131 % PAGE;
        KT_EQUAL(kpio_pipe_write(p.writer, pattern + offset, 3000, NOWAIT, 0), 3000);
        KT_EQUAL(kpio_pipe_read(p.reader, buffer, sizeof(buffer), NOWAIT, 0), 3000);
        KT_CHECK(same(buffer, offset, 3000));
    }
    end(p);
}

KT_TEST(full_pipe) {
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, PAGE - 100, NOWAIT, 0), PAGE - 100);
    KT_ERROR(kpio_pipe_write(p.writer, pattern, 101, NOWAIT, 0), EAGAIN);  // small writes are whole or not at all
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 2 * PAGE, NOWAIT, 0), 100);  // large ones give what fits
    KT_ERROR(kpio_pipe_write(p.writer, pattern, 1, NOWAIT, 0), EAGAIN);
    KT_ERROR(kpio_pipe_write(p.writer, pattern, 1, WAIT, time_after_ms(3)), ETIMEDOUT);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, sizeof(buffer), WAIT, 0), PAGE);
    KT_CHECK(same(buffer, 0, PAGE - 100) && same(buffer + PAGE - 100, 0, 100));
    // A write that has begun says how far it came.
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, PAGE + 1, WAIT, time_after_ms(3)), PAGE);
    end(p);
}

// ---- messages ----------------------------------------------------------------------------------------------------------

static void messages_stay_apart(uint32_t mode) {
    struct ends p = make(mode, PAGE);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 10, WAIT, 0), 10);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 0, WAIT, 0), 0);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern + 10, 20, WAIT, 0), 20);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern + 30, 5, WAIT, 0), 5);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, 0), 10);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, 0), 0);       // an empty one
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, 7, WAIT, 0), 7);          // cut off: the rest of it is gone
    KT_CHECK(same(buffer, 10, 7));
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, 0), 5);
    KT_CHECK(same(buffer, 30, 5));
    KT_ERROR(kpio_pipe_write(p.writer, pattern, PAGE - 3, WAIT, 0), EMSGSIZE);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, PAGE - 4, WAIT, 0), PAGE - 4);
    KT_ERROR(kpio_pipe_write(p.writer, pattern, 0, NOWAIT, 0), EAGAIN);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, 0), PAGE - 4);
    KT_CHECK(same(buffer, 0, PAGE - 4));
    end(p);
}

KT_TEST(datagrams) { messages_stay_apart(KPIO_PIPE_DATAGRAM); }
KT_TEST(seqpackets) { messages_stay_apart(KPIO_PIPE_SEQPACKET); }

// ---- bad input -----------------------------------------------------------------------------------------------------------

KT_TEST(create_arguments) {
    kpio_handle other = -1;
    KT_ERROR(kpio_pipe_create(4, 0, &other), EINVAL);
    KT_ERROR(kpio_pipe_create(0, (1 << 20) + 1, &other), EINVAL);
    KT_ERROR(kpio_pipe_create(0, UINT64_MAX, &other), EINVAL);
    KT_ERROR(kpio_pipe_create(0, 0, KT_KERNEL_ADDRESS), EFAULT);
    KT_ERROR(kpio_pipe_create(0, 0, KT_UNMAPPED_ADDRESS), EFAULT);
    KT_EQUAL(other, -1);
    end(make(0, 1 << 20));
}

KT_TEST(wrong_end_type_or_right) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    kpio_handle deaf = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_pipe_read(p.writer, buffer, 1, NOWAIT, 0), EACCES);
    KT_ERROR(kpio_pipe_write(p.reader, buffer, 1, NOWAIT, 0), EACCES);
    KT_ERROR(kpio_pipe_read(deaf, buffer, 1, NOWAIT, 0), EACCES);
    KT_ERROR(kpio_pipe_read(kt_job(), buffer, 1, NOWAIT, 0), EWRONGTYPE);
    KT_ERROR(kpio_pipe_write(0, buffer, 1, NOWAIT, 0), EBADF);
    KT_ERROR(kpio_pipe_read(p.reader, buffer, 1, 8, 0), EINVAL);
    KT_ERROR(kpio_pipe_write(p.writer, buffer, 1, KPIO_PIPE_PEEK, 0), EINVAL);
    KT_ERROR(kpio_pipe_read(p.reader, buffer, 1, KPIO_PIPE_SEND_HANDLES(1), 0), EINVAL);
    KT_ERROR(kpio_pipe_write(p.writer, buffer, 1, KPIO_PIPE_TAKE_HANDLES, 0), EINVAL);
    KT_ERROR(kpio_pipe_write(p.writer, buffer, 1, KPIO_PIPE_SEND_HANDLES(5), 0), EINVAL);
    kt_close(deaf);
    end(p);
}

static void bad_memory(uint32_t mode) {
    struct ends p = make(mode, 0);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint8_t *half = half_mapped(vmo);
    KT_ERROR(kpio_pipe_write(p.writer, KT_KERNEL_ADDRESS, 10, NOWAIT, 0), EFAULT);
    KT_ERROR(kpio_pipe_write(p.writer, KT_UNMAPPED_ADDRESS, 10, NOWAIT, 0), EFAULT);
    KT_ERROR(kpio_pipe_write(p.writer, half + PAGE - 10, 20, NOWAIT, 0), EFAULT);
    KT_ERROR(kpio_pipe_read(p.reader, buffer, 1, NOWAIT, 0), EAGAIN);  // nothing of it was written
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 20, NOWAIT, 0), 20);
    KT_ERROR(kpio_pipe_read(p.reader, KT_NULL_PAGE, 20, NOWAIT, 0), EFAULT);
    KT_ERROR(kpio_pipe_read(p.reader, KT_KERNEL_ADDRESS, 20, NOWAIT, 0), EFAULT);
    KT_ERROR(kpio_pipe_read(p.reader, half + PAGE - 10, 20, NOWAIT, 0), EFAULT);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, 20, NOWAIT, 0), 20);     // nothing of it was lost
    KT_CHECK(same(buffer, 0, 20));
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)half, 2 * PAGE), 0);
    kt_close(vmo);
    end(p);
}

KT_TEST(a_page_that_faults_midway_in_a_stream) { bad_memory(KPIO_PIPE_STREAM); }
KT_TEST(a_page_that_faults_midway_in_a_message) { bad_memory(KPIO_PIPE_SEQPACKET); }

// ---- ends --------------------------------------------------------------------------------------------------------------

KT_TEST(end_of_file_after_the_rest) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 10, WAIT, 0), 10);
    kt_close(p.writer);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, kt_soon()), 10);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, kt_soon()), 0);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, NOWAIT, 0), 0);
    kt_close(p.reader);
}

KT_TEST(no_reader) {
    struct ends p = make(KPIO_PIPE_STREAM, 0);
    kpio_handle again = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHTS_SAME));
    kt_close(p.reader);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 10, WAIT, 0), 10);  // somebody can still read
    kt_close(again);
    KT_ERROR(kpio_pipe_write(p.writer, pattern, 10, WAIT, kt_soon()), EPIPE);
    KT_ERROR(kpio_pipe_write(p.writer, pattern, 10, NOWAIT, 0), EPIPE);
    kt_close(p.writer);
}

struct waiter {
    struct thread thread;
    kpio_handle pipe;
    uint64_t size;
    uint8_t memory[64];
};
static int64_t read_once(void *arg) {
    struct waiter *w = arg;
    return kpio_pipe_read(w->pipe, w->memory, w->size, WAIT, kt_soon());
}
static int64_t write_once(void *arg) {
    struct waiter *w = arg;
    return kpio_pipe_write(w->pipe, pattern, w->size, WAIT, kt_soon());
}

static void start(struct waiter *w, kpio_handle pipe, uint64_t size, int64_t (*run)(void *)) {
    w->pipe = pipe;
    w->size = size;
    KT_EQUAL(thread_spawn(&w->thread, "waiter", run, w, NULL, 0), 0);
    kt_blocked(w->thread.handle);
}

static int64_t join(struct waiter *w) {
    int64_t result = 0;
    KT_EQUAL(thread_join(&w->thread, &result), 0);
    return result;
}

KT_TEST(waiters_wake_for_what_they_wait_for) {
    static struct waiter w;
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    start(&w, p.reader, 64, read_once);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 5, WAIT, 0), 5);
    KT_EQUAL(join(&w), 5);
    KT_CHECK(same(w.memory, 0, 5));
    start(&w, p.writer, 2 * PAGE, write_once);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer, PAGE, WAIT, kt_soon()), PAGE);
    KT_EQUAL(kpio_pipe_read(p.reader, buffer + PAGE, PAGE, WAIT, kt_soon()), PAGE);
    KT_CHECK(same(buffer, 0, 2 * PAGE));
    KT_EQUAL(join(&w), 2 * PAGE);
    start(&w, p.reader, 64, read_once);
    kt_close(p.writer);
    KT_EQUAL(join(&w), 0);
    kt_close(p.reader);
    p = make(KPIO_PIPE_SEQPACKET, PAGE);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, 4000, WAIT, 0), 4000);
    start(&w, p.writer, 200, write_once);
    kt_close(p.reader);
    KT_EQUAL(join(&w), -EPIPE);
    kt_close(p.writer);
}

KT_TEST(waits_end_with_their_handle) {
    static struct waiter w;
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    kpio_handle mine = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHTS_SAME));
    start(&w, mine, 64, read_once);
    kt_close(mine);
    KT_EQUAL(join(&w), -ECANCELED);
    mine = KT_HANDLE(kpio_handle_dup(p.reader, KPIO_RIGHTS_SAME));
    start(&w, mine, 64, read_once);
    KT_EQUAL(kpio_handle_revoke(p.reader, 0), 1);
    KT_EQUAL(join(&w), -ECANCELED);
    start(&w, p.reader, 64, read_once);
    KT_EQUAL(kpio_thread_interrupt(w.thread.handle, 1), 0);
    KT_EQUAL(join(&w), -EINTR);
    end(p);
}

enum { WRITERS = 4, RECORD = 24, RECORDS = 200 };
static int64_t write_records(void *arg) {
    struct waiter *w = arg;
    uint8_t record[RECORD];
    memset(record, (int)w->size, sizeof(record));
    for (unsigned i = 0; i < RECORDS; i++)
        if (kpio_pipe_write(w->pipe, record, RECORD, WAIT, kt_soon()) != RECORD) return -1;
    return 0;
}

KT_TEST(writes_of_many_are_not_mixed) {
    static struct waiter w[WRITERS];
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    unsigned seen[WRITERS + 1] = {0};
    for (unsigned i = 0; i < WRITERS; i++) {
        w[i].pipe = p.writer;
        w[i].size = i + 1;
        KT_EQUAL(thread_spawn(&w[i].thread, "writer", write_records, &w[i], NULL, 0), 0);
    }
    for (unsigned i = 0; i < WRITERS * RECORDS; i++) {
        for (unsigned got = 0; got < RECORD;)
            got += (unsigned)KT_OK(kpio_pipe_read(p.reader, buffer + got, RECORD - got, WAIT, kt_soon()));
        for (unsigned b = 1; b < RECORD; b++) KT_EQUAL(buffer[b], buffer[0]);
        KT_CHECK(buffer[0] >= 1 && buffer[0] <= WRITERS);
        seen[buffer[0]]++;
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        KT_EQUAL(join(&w[i]), 0);
        KT_EQUAL(seen[i + 1], RECORDS);
    }
    end(p);
}

KT_CHILD(counts_bytes) {
    uint8_t bytes[1000];
    int64_t sum = 0, got;
    while ((got = kpio_pipe_read(startup_handle("pipe"), bytes, sizeof(bytes), WAIT, kt_soon())) > 0) sum += got;
    return got < 0 ? got : sum;
}

KT_TEST(between_processes) {
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    struct process_grant grant = {"pipe", p.reader, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE};
    kpio_handle child = kt_spawn("counts_bytes", &grant, 1);
    for (unsigned i = 0; i < 20; i++)
        KT_EQUAL(kpio_pipe_write(p.writer, pattern, sizeof(pattern), WAIT, kt_soon()), sizeof(pattern));
    kt_close(p.writer);
    KT_EQUAL(kt_wait(child), 20 * sizeof(pattern));
}

// ---- ports and quotas ----------------------------------------------------------------------------------------------------

KT_TEST(signals) {
    struct ends p = make(KPIO_PIPE_STREAM, PAGE);
    uint32_t value;
    KT_ERROR(wait_signal(p.reader, KPIO_SIGNAL_READABLE | KPIO_SIGNAL_PEER_GONE, 0, &value), ETIMEDOUT);
    KT_EQUAL(wait_signal(p.writer, KPIO_SIGNAL_WRITABLE, 0, &value), 0);
    KT_EQUAL(kpio_pipe_write(p.writer, pattern, PAGE, WAIT, 0), PAGE);
    KT_ERROR(wait_signal(p.writer, KPIO_SIGNAL_WRITABLE, 0, &value), ETIMEDOUT);
    KT_EQUAL(wait_signal(p.reader, KPIO_SIGNAL_READABLE, 0, &value), 0);
    KT_EQUAL(value, PAGE);
    kt_close(p.writer);
    KT_EQUAL(wait_signal(p.reader, KPIO_SIGNAL_PEER_GONE, 0, &value), 0);
    kt_close(p.reader);
}

KT_CHILD(makes_until_it_cannot) {
    static kpio_handle made[64];
    int64_t result = 0;
    unsigned count = 0;
    while (count < 64) {
        kpio_handle other = 0;
        result = kpio_pipe_create(0, 65536, &other);
        if (result < 0) break;
        made[count++] = (kpio_handle)result;
    }
    if (result != -ENFILE || count < 4) return (int64_t)count * 1000 - result;
    (void)kpio_handle_close((uint64_t)made[0]);  // the pipe lives on with its other end
    kpio_handle other;
    return kpio_pipe_create(0, 65536, &other) == -ENFILE ? 0 : 2;
}

KT_TEST(quota_of_kernel_memory) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, 600000, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"pipes", 5));
    KT_EQUAL(kt_wait(kt_spawn_in(job, "makes_until_it_cannot", NULL, 0)), 0);
    kt_close(job);
}
