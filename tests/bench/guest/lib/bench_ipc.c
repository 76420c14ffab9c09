// IPC between processes and between threads: a call and its reply, the server answering with as many bytes as it got.
#include "lib/string.h"
#include "tests/bench/guest/lib/bench.h"
#include "tests/bench/guest/lib/kernel_benches.h"

struct ipc_context {
    kpio_handle endpoint;
    uint64_t message, deadline;
};

static int64_t echo(void *arg) {
    kpio_handle endpoint = *(kpio_handle *)arg;
    int64_t header = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    while (header >= 0) header = kpio_ipc_reply_receive(endpoint, (uint64_t)header, KPIO_TIME_NEVER);
    return header;
}

int role_ipc_echo(void) {
    kpio_handle endpoint = startup_handle("endpoint");
    return (int)echo(&endpoint);
}

static void operate(void *arg, uint32_t batch) {
    const struct ipc_context *c = arg;
    kpio_handle endpoint = c->endpoint;
    uint64_t message = c->message, deadline = c->deadline;
    for (uint32_t i = 0; i < batch; i++)
        if (kpio_ipc_call(endpoint, message, deadline) < 0) bench_fail("ipc", "call", -EIO);
}

static void run(const char *name, kpio_handle endpoint, uint32_t bytes, uint64_t deadline) {
    struct ipc_context context = {endpoint, KPIO_MESSAGE(1, bytes, 0), deadline};
    memset(thread_message(), 0x5a, KPIO_MESSAGE_MAX);
    // One call first: the server may not have come to its receive yet.
    (void)bench_check(name, kpio_ipc_call(endpoint, context.message, deadline));
    bench_run(&(struct bench){.name = name, .unit = "insns", .windows = 100, .batch = 64, .operate = operate,
                              .context = &context});
}

void bench_ipc(void) {
    kpio_handle endpoint = (kpio_handle)bench_check("endpoint", kpio_endpoint_create());
    struct process_grant grant = {"endpoint", endpoint, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle server = bench_spawn("ipc_echo", &grant, 1);
    run("ipc_call_cross", endpoint, 0, KPIO_TIME_NEVER);
    run("ipc_call_cross_64", endpoint, 64, KPIO_TIME_NEVER);
    run("ipc_call_cross_deadline", endpoint, 0, time_after_ms(3600000));
    run("ipc_call_4k", endpoint, 4096, KPIO_TIME_NEVER);
    bench_reap(server);
    (void)kpio_handle_close((uint64_t)endpoint);
}

void bench_ipc_same(void) {
    static struct thread server;
    kpio_handle endpoint = (kpio_handle)bench_check("endpoint", kpio_endpoint_create());
    (void)bench_check("ipc_call_same", thread_spawn(&server, "echo", echo, &endpoint, NULL, 0));
    run("ipc_call_same", endpoint, 0, KPIO_TIME_NEVER);
    (void)kpio_thread_kill(server.handle);
    (void)bench_check("ipc_call_same", thread_join(&server, NULL));
    (void)kpio_handle_close((uint64_t)endpoint);
}
