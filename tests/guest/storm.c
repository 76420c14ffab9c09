// Storms: much of everything at once, up to the limits and back. Each case is compared for free pages, handles and objects
// before and after, as all are; so what a storm leaves behind is found. The long form (kpio.long) goes on for longer.
#include "tests/guest/kt/kt.h"

static struct kpio_job_limits unlimited(void) {
    return (struct kpio_job_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
}

static kpio_handle make_job(struct kpio_job_limits limits) {
    return KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"storm", 5));
}

// Ends everything in the job and waits until it is gone.
static void end_job(kpio_handle job) {
    KT_EQUAL(kpio_job_kill(job), 0);
    KT_EQUAL(wait_terminated(job, kt_soon(), NULL), 0);
    kt_close(job);
}

static uint64_t used_processes(kpio_handle job) {
    struct kpio_job_info info;
    KT_EQUAL(kpio_job_info(job, &info), 0);
    return info.used.processes;
}

KT_CHILD(sleeps) {
    time_sleep_ms(1000000);
    return 0;
}

// ---- processes -----------------------------------------------------------------------------------------------------------

KT_TEST(empty_processes_up_to_the_limit) {
    enum { LIMIT = 300 };
    static kpio_handle process[LIMIT + 1], space[LIMIT + 1];
    struct kpio_job_limits limits = unlimited();
    limits.processes = LIMIT;
    kpio_handle job = make_job(limits);
    for (unsigned round = 0; round < 2; round++) {
        unsigned count = 0;
        int64_t made;
        while ((made = kpio_process_create(job, 0, "empty", 5, &space[count])) > 0) process[count++] = (kpio_handle)made;
        KT_EQUAL(made, -ENFILE);
        KT_EQUAL(count, LIMIT);
        for (unsigned i = 0; i < count; i++) {
            kt_close(space[i]);
            kt_close(process[i]);
        }
        KT_EQUAL(wait_terminated(job, kt_soon(), NULL), 0);  // nobody could start them any more
    }
    kt_close(job);
}

KT_TEST(running_processes_up_to_the_limit) {
    unsigned most = kt_long() ? 200 : 40;
    struct kpio_job_limits limits = unlimited();
    limits.processes = most;
    kpio_handle job = make_job(limits);
    for (unsigned i = 0; i < most; i++) kt_close(kt_spawn_in(job, "sleeps", NULL, 0));
    KT_EQUAL(used_processes(job), most);
    kpio_handle space;
    KT_ERROR(kpio_process_create(job, 0, "more", 4, &space), ENFILE);
    end_job(job);
}

// Every process of the job makes processes; the job is killed meanwhile.
KT_CHILD(makes_processes) {
    kpio_handle job = startup_handle("job"), space;
    for (;;) {
        int64_t made = kpio_process_create(job, 0, "made", 4, &space);
        if (made == -EDESTROYED) continue;  // this process is about to end, too
        if (made < 0) return made;
        (void)kpio_handle_close((uint64_t)space);
        (void)kpio_handle_close((uint64_t)made);
    }
}

KT_TEST(a_job_killed_while_processes_are_born) {
    enum { MAKERS = 4 };
    for (unsigned round = 0; round < (kt_long() ? 300u : 25u); round++) {
        kpio_handle job = make_job(unlimited());
        struct process_grant grant = {"job", job, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
        for (unsigned i = 0; i < MAKERS; i++) kt_close(kt_spawn_in(job, "makes_processes", &grant, 1));
        for (uint64_t until = time_now() + kt_random() % 8000000; time_now() < until;) (void)kpio_thread_yield();
        end_job(job);
    }
}

// ---- threads -------------------------------------------------------------------------------------------------------------

#define THREADS_LIMIT 200
static uint32_t never;

static int64_t wait_for_ever(void *arg) { return kpio_futex_wait((uint64_t)&never, 0, UINT32_MAX, KPIO_TIME_NEVER, 0); }

KT_CHILD(makes_threads) {
    static struct thread threads[THREADS_LIMIT];
    int result = 0;
    unsigned count = 0;
    while (count < THREADS_LIMIT && (result = thread_spawn(&threads[count], "one of many", wait_for_ever, NULL, NULL, 8192)) == 0)
        count++;
    if (result != -ENFILE || count != THREADS_LIMIT - 1) return (int64_t)count;  // the first thread is one of them
    int64_t unstarted = kpio_thread_create(startup_handle("process"), "no more", 7);
    if (unstarted != -ENFILE) return -1;
    return -2;  // and all of them end with the process
}

KT_TEST(threads_up_to_the_limit) {
    struct kpio_job_limits limits = unlimited();
    limits.threads = THREADS_LIMIT;
    kpio_handle job = make_job(limits);
    for (unsigned round = 0; round < 3; round++) {
        kpio_handle child = kt_spawn_in(job, "makes_threads", NULL, 0);
        int64_t status = 0;
        KT_EQUAL(wait_terminated(child, kt_soon(), &status), 0);  // CPUs wait for each other 200 times
        KT_EQUAL(status, -2);
        kt_close(child);
    }
    kt_close(job);
}

static int64_t make_and_kill_threads(void *arg) {
    for (uint64_t end = time_after_ms(kt_long() ? 30000 : 1000); time_now() < end;) {
        struct thread thread;
        if (thread_spawn(&thread, "short", wait_for_ever, NULL, NULL, 8192) != 0) return 1;
        if (kpio_thread_kill(thread.handle) != 0 || thread_join(&thread, NULL) != 0) return 2;
    }
    return 0;
}

KT_TEST(threads_killed_as_they_start) {
    enum { MAKERS = 4 };
    static struct thread makers[MAKERS];
    for (unsigned i = 0; i < MAKERS; i++) KT_EQUAL(thread_spawn(&makers[i], "maker", make_and_kill_threads, NULL, NULL, 0), 0);
    for (unsigned i = 0; i < MAKERS; i++) {
        int64_t result = 1;
        KT_EQUAL(thread_join(&makers[i], &result), 0);
        KT_EQUAL(result, 0);
    }
}

// ---- calls ---------------------------------------------------------------------------------------------------------------

enum { SERVERS = 3, CLIENTS = 6 };

static int64_t serve(void *arg) {
    kpio_handle endpoint = startup_handle("endpoint");
    int64_t message = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
    for (;;) {
        if (message == -EBADF) return 0;
        if (message < 0) {
            message = kpio_ipc_receive(endpoint, KPIO_TIME_NEVER);
            continue;
        }
        for (uint32_t i = 0; i < KPIO_MESSAGE_HANDLES(message); i++)
            if (thread_self()->handles[i].handle > 0) (void)kpio_handle_close((uint64_t)thread_self()->handles[i].handle);
        message = kpio_ipc_reply_receive(endpoint, KPIO_MESSAGE(2, KPIO_MESSAGE_BYTES(message), 0), KPIO_TIME_NEVER);
    }
}

KT_CHILD(server) {
    static struct thread second;
    if (thread_spawn(&second, "second", serve, NULL, NULL, 0) != 0) return 1;
    return serve(NULL);
}

// Calls with payload and handles until it is killed; any answer but the documented ones ends it.
KT_CHILD(client) {
    kpio_handle endpoint = startup_handle("endpoint"), event = (kpio_handle)kpio_event_create();
    for (uint64_t i = 0;; i++) {
        message_handle(0, event, KPIO_RIGHTS_SAME, KPIO_SEND_COPY);
        uint64_t deadline = i % 4 == 0 ? time_now() + 200000 : KPIO_TIME_NEVER;
        int64_t result = kpio_ipc_call(endpoint, KPIO_MESSAGE(1, i * 61 % 4097, i % 3 == 0), deadline);
        bool known = result >= 0 || result == -EPIPE || result == -ETIMEDOUT;
        if (!known) return result;
        if (result >= 0 && KPIO_MESSAGE_BYTES(result) != i * 61 % 4097) return 1;
        if (result >= 0) (void)kpio_event_signal(startup_handle("progress"), 0, 1);
    }
}

KT_TEST(calls_across_cpus_with_kills) {
    kpio_handle job = make_job(unlimited()), endpoint = KT_HANDLE(kpio_endpoint_create());
    kpio_handle progress = KT_HANDLE(kpio_event_create()), process[SERVERS + CLIENTS] = {0};
    struct process_grant grants[] = {{"endpoint", endpoint, KPIO_RIGHTS_SAME, KPIO_SEND_COPY},
                                     {"progress", progress, KPIO_RIGHTS_SAME, KPIO_SEND_COPY}};
    for (unsigned i = 0; i < SERVERS + CLIENTS; i++) process[i] = kt_spawn_in(job, i < SERVERS ? "server" : "client", grants, 2);
    unsigned kills = 0;
    for (uint64_t end = time_after_ms(kt_long() ? 60000 : 3000); kills == 0 || time_now() < end; kills++) {
        time_sleep_ms(kt_random() % 4);
        unsigned victim = (unsigned)(kt_random() % (SERVERS + CLIENTS));
        struct kpio_process_info info;
        KT_EQUAL(kpio_process_info(process[victim], &info), 0);
        if (info.state == KPIO_PROCESS_DEAD) kt_fail(__FILE__, __LINE__, "%s ended with %d", info.name, info.status);
        KT_EQUAL(kpio_process_kill(process[victim], 77), 0);
        KT_EQUAL(kt_wait(process[victim]), 77);
        process[victim] = kt_spawn_in(job, victim < SERVERS ? "server" : "client", grants, 2);
    }
    KT_EQUAL(kpio_event_signal(progress, 1, 0), 0);
    KT_EQUAL(kpio_event_wait(progress, 1, 0, kt_soon()), 1);  // the last ones still get answers
    for (unsigned i = 0; i < SERVERS + CLIENTS; i++) kt_close(process[i]);
    end_job(job);
    kt_close(endpoint);
    kt_close(progress);
    kt_note("%u processes killed", kills);
}
