// Waking others: an event whose waiter is in another process, and a futex between two threads.
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

// ---- event_wake: the waiter is more urgent, so that it runs and waits again before event_signal returns --------------
int role_event_waiter(void) {
    kpio_handle event = startup_handle("event");
    int64_t result = kpio_thread_set_schedule(startup_handle("thread"), KPIO_SCHED_REALTIME, 50, 0);
    while (result >= 0) result = kpio_event_wait(event, 1, 1, KPIO_TIME_NEVER);
    return (int)result;
}

static void signal_event(void *context, uint32_t batch) {
    kpio_handle event = *(kpio_handle *)context;
    for (uint32_t i = 0; i < batch; i++)
        if (kpio_event_signal(event, 0, 1) < 0) bench_fail("event_wake", "signal", -EIO);
}

void bench_event_wake(void) {
    kpio_handle event = (kpio_handle)bench_check("event", kpio_event_create());
    struct process_grant grant = {"event", event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle waiter = bench_spawn("event_waiter", &grant, 1);
    time_sleep_ms(20);
    // The waiter takes each bit before the signal returns, or this is not what it claims to measure.
    (void)bench_check("event_wake", kpio_event_signal(event, 0, 1));
    if (bench_check("event_wake", kpio_event_signal(event, 0, 0)) != 0)
        bench_fail("event_wake", "the waiter did not run at once", -EIO);
    bench_run(&(struct bench){.name = "event_wake", .unit = "insns", .windows = 100, .batch = 64,
                              .operate = signal_event, .context = &event});
    bench_reap(waiter);
    (void)kpio_handle_close((uint64_t)event);
}

// ---- futex_pingpong: whose turn it is, in one word --------------------------------------------------------------------
static uint32_t turn;
static bool over;

static void pass_turn(uint32_t mine, uint32_t other) {
    __atomic_store_n(&turn, other, __ATOMIC_SEQ_CST);
    (void)kpio_futex_wake((uint64_t)&turn, 1, UINT32_MAX, 0);
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != mine)
        (void)kpio_futex_wait((uint64_t)&turn, other, UINT32_MAX, KPIO_TIME_NEVER, 0);
}

static int64_t partner(void *arg) {
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != 1)
        (void)kpio_futex_wait((uint64_t)&turn, 0, UINT32_MAX, KPIO_TIME_NEVER, 0);
    while (!over) pass_turn(1, 0);
    __atomic_store_n(&turn, 0, __ATOMIC_SEQ_CST);
    (void)kpio_futex_wake((uint64_t)&turn, 1, UINT32_MAX, 0);
    return 0;
}

static void ping(void *context, uint32_t batch) {
    for (uint32_t i = 0; i < batch; i++) pass_turn(0, 1);
}

void bench_futex(void) {
    static struct thread other;
    (void)bench_check("futex_pingpong", thread_spawn(&other, "partner", partner, NULL, NULL, 0));
    bench_run(&(struct bench){.name = "futex_pingpong", .unit = "insns", .windows = 100, .batch = 64, .operate = ping});
    over = true;
    pass_turn(0, 1);
    (void)bench_check("futex_pingpong", thread_join(&other, NULL));
}
