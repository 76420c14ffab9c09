// Processes: creation, start, end, and what they leave behind.
#include "tests/guest/kt/kt.h"

KT_CHILD(ends_with_5) { return 5; }
KT_CHILD(loops) {
    for (;;) __asm__ volatile("" : : : "memory");
    return 0;
}
KT_CHILD(sleeps) {
    time_sleep_ms(1000000);
    return 0;
}
static int64_t read_at(uint64_t address) {
    int64_t value;
    __asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
    return value;
}
KT_CHILD(reads_null) { return read_at(0x10); }
KT_CHILD(reads_kernel) { return read_at(0xffffffff80000000ull); }
KT_CHILD(privileged) {
    __asm__ volatile("cli");
    return 0;
}
KT_CHILD(divides_by_zero) {
    int zero = 0, result = 1;
    __asm__ volatile("cltd\n\tidivl %1" : "+a"(result) : "r"(zero) : "rdx");
    return result;
}
KT_CHILD(has_nothing_it_was_not_given) {
    return startup_handle("system") == 0 && startup_handle("job") == 0 && startup_handle("initrd") == 0 ? 0 : 1;
}

KT_TEST(exit_status) { KT_EQUAL(kt_wait(kt_spawn("ends_with_5", NULL, 0)), 5); }

KT_TEST(a_process_has_only_what_it_was_given) { KT_EQUAL(kt_wait(kt_spawn("has_nothing_it_was_not_given", NULL, 0)), 0); }

KT_TEST(kill_one_that_loops) {
    kpio_handle process = kt_spawn("loops", NULL, 0);
    time_sleep_ms(5);
    KT_EQUAL(kpio_process_kill(process, 33), 0);
    KT_EQUAL(kt_wait(process), 33);
}

KT_TEST(kill_one_that_sleeps) {
    kpio_handle process = kt_spawn("sleeps", NULL, 0);
    time_sleep_ms(5);
    KT_EQUAL(kpio_process_kill(process, 34), 0);
    KT_EQUAL(kt_wait(process), 34);
}

static int64_t spin(void *arg) {
    for (;;) __asm__ volatile("" : : : "memory");
    return 0;
}
static int64_t sleep_on(void *arg) {
    time_sleep_ms(1000000);
    return 0;
}

// Nobody can name the process any more; a handle on its thread keeps neither of them, nor what they are charged with.
KT_TEST(a_thread_that_never_ran_does_not_outlive_its_process) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    struct kpio_job_info info = {0};
    kpio_handle space, job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"nobody", 6));
    kpio_handle process = KT_HANDLE(kpio_process_create(job, 0, (const uint8_t *)"nobody", 6, &space));
    kpio_handle thread = KT_HANDLE(kpio_thread_create(process, (const uint8_t *)"never", 5));
    kt_close(space);
    kt_close(process);
    KT_EQUAL(wait_terminated(thread, kt_soon(), NULL), 0);
    KT_EQUAL(wait_terminated(job, kt_soon(), NULL), 0);
    KT_EQUAL(kpio_job_info(job, &info), 0);
    KT_EQUAL(info.used.threads, 0);
    KT_EQUAL(info.used.processes, 0);
    kt_close(thread);
    kt_close(job);
}

// One of its threads was killed before and waits for the CPU that this one has.
KT_CHILD(ends_beside_a_killed_thread) {
    static struct thread first, second;
    kpio_handle self = startup_handle("thread");
    if (kpio_thread_set_schedule(self, KPIO_SCHED_FAIR, 1024, 1) != 0) return 1;
    if (thread_spawn(&first, "first", spin, NULL, NULL, 0) != 0) return 2;
    if (kpio_thread_set_schedule(first.handle, KPIO_SCHED_FAIR, 1024, 1) != 0) return 3;
    if (thread_spawn(&second, "second", sleep_on, NULL, NULL, 0) != 0) return 4;
    time_sleep_ms(5);
    if (kpio_thread_kill(first.handle) != 0) return 5;
    return 36;
}

KT_TEST(all_threads_end_with_their_process) {
    for (unsigned i = 0; i < 5; i++) KT_EQUAL(kt_wait(kt_spawn("ends_beside_a_killed_thread", NULL, 0)), 36);
}

KT_TEST(faults_end_the_process_only) {
    KT_EQUAL(kt_wait(kt_spawn("reads_null", NULL, 0)), KPIO_STATUS_FAULT - 14);
    KT_EQUAL(kt_wait(kt_spawn("reads_kernel", NULL, 0)), KPIO_STATUS_FAULT - 14);
    KT_EQUAL(kt_wait(kt_spawn("privileged", NULL, 0)), KPIO_STATUS_FAULT - 13);
    KT_EQUAL(kt_wait(kt_spawn("divides_by_zero", NULL, 0)), KPIO_STATUS_FAULT - 0);
}

KT_TEST(info_before_and_after_its_end) {
    struct kpio_process_info info = {0};
    kpio_handle process = kt_spawn("sleeps", NULL, 0);
    KT_EQUAL(kpio_process_info(process, &info), 0);
    KT_EQUAL(info.state, KPIO_PROCESS_RUNNING);
    KT_EQUAL(info.threads, 1);
    KT_CHECK(info.handles >= 3);
    KT_EQUAL(kpio_process_kill(process, (uint64_t)-7), 0);
    KT_EQUAL(wait_terminated(process, kt_soon(), NULL), 0);
    KT_EQUAL(kpio_process_info(process, &info), 0);
    KT_EQUAL(info.state, KPIO_PROCESS_DEAD);
    KT_EQUAL(info.status, -7);
    KT_EQUAL(info.threads, 0);
    KT_EQUAL(info.handles, 0);
    KT_EQUAL(kpio_process_kill(process, 8), 0);  // a second end changes nothing
    KT_EQUAL(kpio_process_info(process, &info), 0);
    KT_EQUAL(info.status, -7);
    kt_close(process);
}

KT_TEST(create_and_drop) {
    int32_t aspace = 0;
    kpio_handle process = KT_HANDLE(kpio_process_create(kt_job(), 0, "never", 5, &aspace));
    KT_CHECK(aspace > 0);
    kt_close(aspace);
    kt_close(process);
}

KT_TEST(create_arguments) {
    int32_t aspace = 0;
    KT_ERROR(kpio_process_create(kt_process(), 0, "p", 1, &aspace), EWRONGTYPE);
    KT_ERROR(kpio_process_create(kt_job(), 0x80, "p", 1, &aspace), EINVAL);
    KT_ERROR(kpio_process_create(kt_job(), 0, "p", 1000, &aspace), EINVAL);
    KT_ERROR(kpio_process_create(kt_job(), 0, KT_KERNEL_ADDRESS, 1, &aspace), EFAULT);
    KT_ERROR(kpio_process_create(kt_job(), 0, "p", 1, KT_KERNEL_ADDRESS), EFAULT);
    KT_ERROR(kpio_process_create(kt_job(), 0, "p", 1, KT_UNMAPPED_ADDRESS), EFAULT);
    kpio_handle narrow = KT_HANDLE(kpio_handle_dup(kt_job(), KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_process_create(narrow, 0, "p", 1, &aspace), EACCES);
    kt_close(narrow);
}

KT_TEST(start_arguments) {
    int32_t aspace = 0;
    kpio_handle process = KT_HANDLE(kpio_process_create(kt_job(), 0, "p", 1, &aspace));
    kpio_handle thread = KT_HANDLE(kpio_thread_create(process, "t", 1));
    KT_ERROR(kpio_process_start(process, thread, 0xffff800000000000ull, 0x20000, 0), EINVAL);
    KT_ERROR(kpio_process_start(thread, thread, 0x10000, 0x20000, 0), EWRONGTYPE);
    KT_ERROR(kpio_process_start(process, process, 0x10000, 0x20000, 0), EWRONGTYPE);
    // Nothing is mapped at its entry: it dies of that alone.
    KT_EQUAL(kpio_process_start(process, thread, 0x10000, 0x20000, 0), 0);
    int64_t again = kpio_process_start(process, thread, 0x10000, 0x20000, 0);
    KT_CHECK(again == -EALREADY);
    kt_close(thread);
    kt_close(aspace);
    KT_EQUAL(kt_wait(process), KPIO_STATUS_FAULT - 14);
}

KT_TEST(killing_the_job_kills_all) {
    struct kpio_job_limits none = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &none, "doomed", 6));
    kpio_handle inner = KT_HANDLE(kpio_job_create(job, &none, "inner", 5));
    kpio_handle a = kt_spawn_in(job, "sleeps", NULL, 0), b = kt_spawn_in(inner, "loops", NULL, 0);
    KT_EQUAL(kpio_job_kill(job), 0);
    KT_EQUAL(kt_wait(a), -ECANCELED);
    KT_EQUAL(kt_wait(b), -ECANCELED);
    kt_close(inner);
    kt_close(job);
}

KT_TEST(a_job_limits_processes) {
    struct kpio_job_limits limits = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, 2};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, "two", 3));
    int32_t spaces[3] = {0};
    kpio_handle first = KT_HANDLE(kpio_process_create(job, 0, "a", 1, &spaces[0]));
    kpio_handle second = KT_HANDLE(kpio_process_create(job, 0, "b", 1, &spaces[1]));
    KT_ERROR(kpio_process_create(job, 0, "c", 1, &spaces[2]), ENFILE);
    kt_close(spaces[0]);
    kt_close(first);
    kt_close(spaces[1]);
    kt_close(second);
    kt_close(job);
}

KT_TEST(handles_of_a_process) {
    static struct kpio_handle_info infos[16];
    kpio_handle process = kt_spawn("sleeps", NULL, 0);
    int64_t count = KT_OK(kpio_process_handles(process, infos, 16));
    KT_EQUAL(count, 4);  // process, aspace, thread, console
    KT_ERROR(kpio_process_handles(process, KT_KERNEL_ADDRESS, 16), EFAULT);
    KT_EQUAL(kpio_process_kill(process, 0), 0);
    KT_EQUAL(kt_wait(process), 0);
}

KT_TEST(a_storm_of_processes) {
    for (unsigned i = 0; i < (kt_long() ? 1000u : 30u); i++) KT_EQUAL(kt_wait(kt_spawn("ends_with_5", NULL, 0)), 5);
}
