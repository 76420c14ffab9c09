// FIFOs: pipes that a path leads to. Their sides come and go.
#include "tests/guest/fs_conformance/fs.h"

#define FIFO 0010600u
#define NEVER KPIO_TIME_NEVER
#define OPENS(result) ((uint32_t)((result) >> 32))
#define END(result) ((kpio_handle)(uint32_t)(result))

static kpio_handle make(void) {
    if (!fs_has_modes()) kt_skip("no FIFOs");
    kpio_handle dir = fs_begin();
    KT_EQUAL(kpio_path_make(dir, "fifo", FIFO, 0, 0), 0);
    return dir;
}
static int64_t reader_of(kpio_handle dir) { return KT_OK(kpio_fifo_open(dir, "fifo", 0, KPIO_RIGHT_READ)); }
static int64_t writer_of(kpio_handle dir) { return KT_OK(kpio_fifo_open(dir, "fifo", 0, KPIO_RIGHT_WRITE)); }

KT_TEST(fifo_sides_come_and_go) {
    uint8_t byte = 0;
    kpio_handle dir = make();
    KT_ERROR(kpio_fifo_open(dir, "fifo", KPIO_FIFO_NEED_PEER, KPIO_RIGHT_WRITE), ENXIO);
    int64_t reader = reader_of(dir);
    KT_EQUAL(OPENS(reader), 0);
    KT_EQUAL(kpio_pipe_read(END(reader), &byte, 1, KPIO_PIPE_NOWAIT, NEVER), 0);
    KT_ERROR(kpio_pipe_await(END(reader), OPENS(reader), 0), EAGAIN);
    int64_t writer = KT_OK(kpio_fifo_open(dir, "fifo", KPIO_FIFO_NEED_PEER, KPIO_RIGHT_WRITE));
    KT_EQUAL(OPENS(writer), 0);  // but the one that is there
    KT_EQUAL(kpio_pipe_await(END(reader), OPENS(reader), 0), 0);
    KT_ERROR(kpio_pipe_read(END(reader), &byte, 1, KPIO_PIPE_NOWAIT, NEVER), EAGAIN);
    KT_EQUAL(kpio_pipe_write(END(writer), (const uint8_t *)"x", 1, 0, NEVER), 1);
    kt_close(END(writer));
    KT_EQUAL(kpio_pipe_read(END(reader), &byte, 1, 0, NEVER), 1);
    KT_EQUAL(byte, 'x');
    KT_EQUAL(kpio_pipe_read(END(reader), &byte, 1, 0, NEVER), 0);
    KT_EQUAL(kpio_pipe_await(END(reader), OPENS(reader), 0), 0);  // it has been there
    KT_ERROR(kpio_pipe_await(END(reader), 1, 0), EAGAIN);
    writer = writer_of(dir);
    kt_close(END(reader));
    KT_ERROR(kpio_pipe_write(END(writer), (const uint8_t *)"x", 1, 0, NEVER), EPIPE);
    reader = reader_of(dir);
    KT_EQUAL(kpio_pipe_write(END(writer), (const uint8_t *)"y", 1, 0, NEVER), 1);
    kt_close(END(writer));
    kt_close(END(reader));
    reader = reader_of(dir);  // what was left went with the last end
    KT_EQUAL(OPENS(reader), 0);
    KT_EQUAL(kpio_pipe_read(END(reader), &byte, 1, KPIO_PIPE_NOWAIT, NEVER), 0);
    kt_close(END(reader));
    fs_end();
}

// Whoever has the other side at the opening was met, even if it has gone before that is asked.
KT_TEST(fifo_peer_that_goes_at_once) {
    kpio_handle dir = make();
    for (unsigned writes = 0; writes < 2; writes++) {
        int64_t first = writes ? writer_of(dir) : reader_of(dir), second = writes ? reader_of(dir) : writer_of(dir);
        kt_close(END(first));
        KT_EQUAL(kpio_pipe_await(END(second), OPENS(second), 0), 0);
        kt_close(END(second));
    }
    fs_end();
}

KT_TEST(bad_fifos) {
    kpio_handle dir = make(), weak = KT_HANDLE(kpio_handle_dup(dir, KPIO_RIGHT_READ | KPIO_RIGHT_INSPECT)), pipe[2];
    fs_write_text(dir, "file", "text");
    KT_ERROR(kpio_fifo_open(dir, "file", 0, KPIO_RIGHT_READ), EINVAL);
    KT_ERROR(kpio_fifo_open(dir, ".", 0, KPIO_RIGHT_READ), EINVAL);
    KT_ERROR(kpio_fifo_open(dir, "none", 0, KPIO_RIGHT_READ), ENOENT);
    KT_ERROR(kpio_fifo_open(dir, NULL, 0, KPIO_RIGHT_READ), EFAULT);
    KT_ERROR(kpio_fifo_open(dir, "fifo", 0, KPIO_RIGHT_READ | KPIO_RIGHT_WRITE), EINVAL);
    KT_ERROR(kpio_fifo_open(dir, "fifo", 0, 0), EINVAL);
    KT_ERROR(kpio_fifo_open(dir, "fifo", 1u << 9, KPIO_RIGHT_READ), EINVAL);
    KT_ERROR(kpio_fifo_open(weak, "fifo", 0, KPIO_RIGHT_WRITE), EACCES);
    KT_ERROR(kpio_fifo_open(kt_job(), "fifo", 0, KPIO_RIGHT_READ), EWRONGTYPE);
    KT_ERROR(kpio_fifo_open(0, "fifo", 0, KPIO_RIGHT_READ), EBADF);
    KT_ERROR(kpio_path_open(dir, "fifo", 0, 0, KPIO_RIGHT_READ), ENXIO);
    pipe[0] = KT_HANDLE(kpio_pipe_create(KPIO_PIPE_STREAM, 0, &pipe[1]));
    KT_ERROR(kpio_pipe_await(pipe[0], 0, 0), EINVAL);
    KT_ERROR(kpio_pipe_await(kt_job(), 0, 0), EWRONGTYPE);
    KT_ERROR(kpio_pipe_await(0, 0, 0), EBADF);
    kt_close(pipe[0]);
    kt_close(pipe[1]);
    kt_close(weak);
    fs_end();
}

// A name may go while the pipe lives; the file system stays mounted for it.
KT_TEST(fifo_without_a_name) {
    uint8_t byte = 0;
    kpio_handle dir = make();
    int64_t reader = reader_of(dir), writer = writer_of(dir);
    KT_EQUAL(kpio_path_unlink(dir, "fifo", 0), 0);
    KT_EQUAL(kpio_path_make(dir, "fifo", FIFO, 0, 0), 0);
    int64_t other = reader_of(dir);
    KT_EQUAL(kpio_pipe_write(END(writer), (const uint8_t *)"x", 1, 0, NEVER), 1);
    KT_EQUAL(kpio_pipe_read(END(other), &byte, 1, KPIO_PIPE_NOWAIT, NEVER), 0);
    KT_EQUAL(kpio_pipe_read(END(reader), &byte, 1, 0, NEVER), 1);
    kt_close(END(other));
    fs_leave();
    KT_EQUAL(kpio_pipe_write(END(writer), (const uint8_t *)"y", 1, 0, NEVER), 1);
    KT_EQUAL(kpio_pipe_read(END(reader), &byte, 1, 0, NEVER), 1);
    kt_close(END(writer));
    kt_close(END(reader));
    fs_await_end();
}

// Ends are made and go while others are made: what is written arrives, and waits end.
#define ROUNDS 400u
static kpio_handle shared;
static int64_t write_rounds(void *arg) {
    for (unsigned i = 0; i < ROUNDS; i++) {
        int64_t end = kpio_fifo_open(shared, "fifo", 0, KPIO_RIGHT_WRITE);
        if (end < 0) return end;
        int64_t error = kpio_pipe_await(END(end), OPENS(end), NEVER);
        if (error == 0) error = kpio_pipe_write(END(end), (const uint8_t *)"x", 1, 0, NEVER);
        (void)kpio_handle_close((uint32_t)end);
        if (error < 0 && error != -EPIPE) return error;
    }
    return 0;
}
static int64_t read_rounds(void *stop) {
    while (!__atomic_load_n((uint32_t *)stop, __ATOMIC_ACQUIRE)) {
        uint8_t bytes[8];
        int64_t end = kpio_fifo_open(shared, "fifo", 0, KPIO_RIGHT_READ);
        if (end < 0) return end;
        int64_t got = kpio_pipe_read(END(end), bytes, sizeof bytes, KPIO_PIPE_NOWAIT, NEVER);
        for (int64_t i = 0; i < got; i++)
            if (bytes[i] != 'x') return -EIO;
        (void)kpio_handle_close((uint32_t)end);
        if (got < 0 && got != -EAGAIN) return got;
        (void)kpio_thread_yield();
    }
    return 0;
}

KT_TEST(fifo_storm) {
    static uint32_t stop;
    struct thread writers[3], readers[2];
    int64_t result;
    if (fs_is_far()) kt_skip("each open costs a trip");
    shared = make();
    for (unsigned i = 0; i < 2; i++) KT_EQUAL(thread_spawn(&readers[i], "reader", read_rounds, &stop, NULL, 0), 0);
    for (unsigned i = 0; i < 3; i++) KT_EQUAL(thread_spawn(&writers[i], "writer", write_rounds, NULL, NULL, 0), 0);
    for (unsigned i = 0; i < 3; i++) {
        KT_EQUAL(thread_join(&writers[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < 2; i++) {
        KT_EQUAL(thread_join(&readers[i], &result), 0);
        KT_EQUAL(result, 0);
    }
    fs_end();
}
