// Back and forth between two threads: a number through two counters, a byte through two pipes, a wait for two objects.
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

// ---- counter_pingpong: two threads of one process, each adds to one counter and reads the other ---------------------------
static kpio_handle counters[2];
static volatile bool over;

static void pass(kpio_handle to, kpio_handle from) {
    uint64_t value;
    if (kpio_counter_add(to, 1, 0, KPIO_TIME_NEVER) != 0 || kpio_counter_read(from, &value, 0, KPIO_TIME_NEVER) != 0 || value != 1)
        bench_fail("counter_pingpong", "pass", -EIO);
}

static int64_t partner(void *arg) {
    uint64_t value;
    (void)bench_check("counter_pingpong", kpio_counter_read(counters[0], &value, 0, KPIO_TIME_NEVER));
    while (!over) pass(counters[1], counters[0]);
    return 0;
}

static void pass_often(void *context, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) pass(counters[0], counters[1]);
}

void bench_counter(void) {
    static struct thread other;
    for (unsigned i = 0; i < 2; i++) counters[i] = (kpio_handle)bench_check("counter", kpio_counter_create(0, 0));
    (void)bench_check("counter_pingpong", thread_spawn(&other, "partner", partner, NULL, NULL, 0));
    bench_run(&(struct bench){.name = "counter_pingpong", .unit = "insns", .windows = 100, .batch = 64, .operate = pass_often});
    over = true;
    (void)bench_check("counter_pingpong", kpio_counter_add(counters[0], 1, 0, KPIO_TIME_NEVER));
    (void)bench_check("counter_pingpong", thread_join(&other, NULL));
    for (unsigned i = 0; i < 2; i++) (void)kpio_handle_close((uint64_t)counters[i]);
}

// ---- pipe_pingpong: a byte to another process and back -------------------------------------------------------------------
struct ends {
    kpio_handle reader, writer;
};

static void send_byte(kpio_handle writer) {
    uint8_t byte = 1;
    if (kpio_pipe_write(writer, &byte, 1, 0, KPIO_TIME_NEVER) != 1) bench_fail("pipe_pingpong", "write", -EIO);
}

static bool receive_byte(kpio_handle reader) {
    uint8_t byte;
    return kpio_pipe_read(reader, &byte, 1, 0, KPIO_TIME_NEVER) == 1;
}

int role_pipe_echo(void) {
    kpio_handle reader = startup_handle("reader"), writer = startup_handle("writer");
    while (receive_byte(reader)) send_byte(writer);
    return 0;
}

static void send_and_receive(void *context, uint32_t batch) {
    const struct ends *ends = context;
    for (uint32_t i = 0; i < batch; i++) {
        send_byte(ends->writer);
        if (!receive_byte(ends->reader)) bench_fail("pipe_pingpong", "read", -EIO);
    }
}

void bench_pipe(void) {
    struct ends there, back, mine;
    there.reader = (kpio_handle)bench_check("pipe", kpio_pipe_create(KPIO_PIPE_STREAM, 0, &there.writer));
    back.reader = (kpio_handle)bench_check("pipe", kpio_pipe_create(KPIO_PIPE_STREAM, 0, &back.writer));
    struct process_grant grants[] = {{"reader", there.reader, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
                                     {"writer", back.writer, KPIO_RIGHTS_SAME, KPIO_SEND_MOVE}};
    kpio_handle echo = bench_spawn("pipe_echo", grants, 2);
    mine = (struct ends){back.reader, there.writer};
    bench_run(&(struct bench){.name = "pipe_pingpong", .unit = "insns", .windows = 100, .batch = 64,
                              .operate = send_and_receive, .context = &mine});
    bench_reap(echo);
    (void)kpio_handle_close((uint64_t)mine.reader);
    (void)kpio_handle_close((uint64_t)mine.writer);
}

// ---- wait_many_wake: as event_wake, but the waiter waits for one of two events ---------------------------------------------
int role_many_waiter(void) {
    kpio_handle first = startup_handle("first"), second = startup_handle("second");
    int64_t result = kpio_thread_set_schedule(startup_handle("thread"), KPIO_SCHED_REALTIME, 50, 0);
    while (result >= 0) {
        struct kpio_wait_item items[2] = {{.handle = first, .signals = 1}, {.handle = second, .signals = 1}};
        result = kpio_handle_wait_many(items, 2, KPIO_TIME_NEVER);
        if (result == 1) result = kpio_event_signal(second, 1, 0);
    }
    return (int)result;
}

static void signal_second(void *context, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++)
        if (kpio_event_signal(*(kpio_handle *)context, 0, 1) < 0) bench_fail("wait_many_wake", "signal", -EIO);
}

void bench_wait_many(void) {
    kpio_handle first = (kpio_handle)bench_check("event", kpio_event_create());
    kpio_handle second = (kpio_handle)bench_check("event", kpio_event_create());
    struct process_grant grants[] = {{"first", first, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                     {"second", second, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    kpio_handle waiter = bench_spawn("many_waiter", grants, 2);
    time_sleep_ms(20);
    (void)bench_check("wait_many_wake", kpio_event_signal(second, 0, 1));
    if (bench_check("wait_many_wake", kpio_event_signal(second, 0, 0)) != 0)
        bench_fail("wait_many_wake", "the waiter did not run at once", -EIO);
    bench_run(&(struct bench){.name = "wait_many_wake", .unit = "insns", .windows = 100, .batch = 64,
                              .operate = signal_second, .context = &second});
    bench_reap(waiter);
    (void)kpio_handle_close((uint64_t)first);
    (void)kpio_handle_close((uint64_t)second);
}
