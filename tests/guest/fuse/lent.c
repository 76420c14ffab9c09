// A driver runs on the time slice of who asks it: what it does there besides answering.
#include "tests/guest/fuse/fuse.h"

static kpio_handle calls;

// Of a message that it got before it began; then of one more. Neither has to do with who lends the CPU now.
static int64_t pays_debts(struct fuse_driver *driver, const struct fuse_call *call) {
    (void)driver;
    if (call->header->opcode != FUSE_LOOKUP) return -ENOSYS;
    int64_t message = kpio_ipc_reply_receive(calls, KPIO_MESSAGE(1, 8, 0), KPIO_TIME_NEVER);
    if (message >= 0) message = kpio_ipc_reply(KPIO_MESSAGE(2, 8, 0));
    return message < 0 ? -EIO : -ENOENT;
}

KT_CHILD(debtor) {
    struct fuse_driver d = {.channel = startup_handle("fuse"), .answer = pays_debts};
    calls = startup_handle("calls");
    if (kpio_ipc_receive(calls, KPIO_TIME_NEVER) < 0) return 1;
    (void)fuse_run(&d);
    return 0;
}

static struct mounted m;

static int64_t look_up(void *arg) {
    struct kpio_stat stat;
    (void)arg;
    return kpio_path_stat(m.root, "file", 0, &stat);
}

KT_TEST(a_driver_that_owes_others_answers_all) {
    if (mounted_in_wasm()) kt_skip("a driver in WebAssembly has one thread");
    for (unsigned round = 0; round < 20; round++) {
        struct thread thread;
        int64_t result;
        kpio_handle endpoint = KT_HANDLE(kpio_endpoint_create());
        m.channel = KT_HANDLE(kpio_fuse_create());
        m.root = KT_HANDLE(kpio_fuse_mount(m.channel, 0, "timeout=600"));
        const struct process_grant grants[] = {{"fuse", KT_HANDLE(kpio_fuse_serve(m.channel)), KPIO_RIGHTS_SAME, KPIO_SEND_MOVE},
                                               {"calls", endpoint, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
        m.process = kt_spawn("debtor", grants, 2);
        KT_EQUAL(thread_spawn(&thread, "looks", look_up, NULL, NULL, 0), 0);
        KT_EQUAL(KPIO_MESSAGE_LABEL(KT_OK(kpio_ipc_call(endpoint, KPIO_MESSAGE(9, 8, 0), kt_soon()))), 1);
        KT_EQUAL(KPIO_MESSAGE_LABEL(KT_OK(kpio_ipc_call(endpoint, KPIO_MESSAGE(9, 8, 0), kt_soon()))), 2);
        KT_EQUAL(thread_join(&thread, &result), 0);
        KT_EQUAL(result, -ENOENT);
        mounted_end(&m);
        kt_close(endpoint);
    }
}

// ---- threads of a driver that end while they are asked ----------------------------------------------------------------------

// The one that is asked for "file" ends without an answer; another one gives it later, when the next question comes.
static uint64_t owed;

static int64_t answer_for_others(struct fuse_driver *driver, const struct fuse_call *call) {
    if (call->header->opcode != FUSE_LOOKUP) return -ENOSYS;
    if (strcmp(call->body, "file") == 0) {
        __atomic_store_n(&owed, call->header->unique, __ATOMIC_RELEASE);
        kpio_thread_exit();
    }
    uint64_t unique;
    while ((unique = __atomic_load_n(&owed, __ATOMIC_ACQUIRE)) == 0) time_sleep_ms(1);  // the other thread may have only just been asked
    const struct fuse_out_header late = {sizeof late, -ENOTDIR, unique};
    const struct kpio_io_vector part = {(uint64_t)&late, sizeof late};
    return kpio_fuse_reply(driver->channel, &part, 1) == 0 ? -ENOENT : -EIO;
}

static int64_t run(void *driver) { return fuse_run(driver); }

KT_CHILD(loses_threads) {
    static struct fuse_driver d;
    static struct thread threads[2];
    d = (struct fuse_driver){.channel = startup_handle("fuse"), .answer = answer_for_others};
    for (unsigned i = 0; i < 2; i++)
        if (thread_spawn(&threads[i], "serves", run, &d, NULL, 0) != 0) return 1;
    (void)fuse_run(&d);
    return 0;
}

KT_TEST(a_thread_of_the_driver_ends_while_it_is_asked) {
    if (mounted_in_wasm()) kt_skip("a driver in WebAssembly has one thread");
    struct thread thread;
    struct kpio_stat stat;
    int64_t result;
    mounted_begin_child(&m, "loses_threads", NULL);
    KT_EQUAL(thread_spawn(&thread, "looks", look_up, NULL, NULL, 0), 0);
    for (struct kpio_fuse_info info = {0}; info.replies == 0 || info.sent == 0; info = mounted_info(&m)) time_sleep_ms(1);  // INIT is over
    KT_ERROR(kpio_path_stat(m.root, "other", 0, &stat), ENOENT);
    KT_EQUAL(thread_join(&thread, &result), 0);
    KT_EQUAL(result, -ENOTDIR);
    mounted_end(&m);
}
