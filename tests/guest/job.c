// Jobs: limits that hold for everything below, and counts that come back.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

static struct kpio_job_limits unlimited(void) {
    return (struct kpio_job_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
}

static kpio_handle new_job(kpio_handle parent, struct kpio_job_limits limits) {
    return KT_HANDLE(kpio_job_create(parent, &limits, "job", 3));
}

KT_CHILD(sleeps) {
    time_sleep_ms(1000000);
    return 0;
}

KT_TEST(info_shows_limits_and_use) {
    struct kpio_job_limits limits = unlimited();
    struct kpio_job_info info;
    limits.handles = 123;
    kpio_handle job = new_job(kt_job(), limits);
    KT_EQUAL(kpio_job_info(job, &info), 0);
    KT_EQUAL(info.limit.handles, 123);
    KT_EQUAL(info.limit.pages, UINT64_MAX);
    KT_EQUAL(info.used.processes, 0);
    KT_EQUAL(strcmp(info.name, "job"), 0);
    kt_close(job);
}

KT_TEST(create_arguments) {
    struct kpio_job_limits limits = unlimited();
    KT_ERROR(kpio_job_create(kt_process(), &limits, "j", 1), EWRONGTYPE);
    KT_ERROR(kpio_job_create(kt_job(), KT_KERNEL_ADDRESS, "j", 1), EFAULT);
    KT_ERROR(kpio_job_create(kt_job(), &limits, KT_UNMAPPED_ADDRESS, 1), EFAULT);
    KT_ERROR(kpio_job_create(kt_job(), &limits, "j", 4096), EINVAL);
    kpio_handle narrow = KT_HANDLE(kpio_handle_dup(kt_job(), KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_job_create(narrow, &limits, "j", 1), EACCES);
    KT_ERROR(kpio_job_set_limits(narrow, &limits), EACCES);
    KT_ERROR(kpio_job_kill(narrow), EACCES);
    kt_close(narrow);
}

KT_TEST(ancestors_limits_hold) {
    struct kpio_job_limits one = unlimited();
    int32_t spaces[2];
    one.processes = 1;
    kpio_handle outer = new_job(kt_job(), one), inner = new_job(outer, unlimited());
    kpio_handle first = KT_HANDLE(kpio_process_create(inner, 0, "a", 1, &spaces[0]));
    KT_ERROR(kpio_process_create(inner, 0, "b", 1, &spaces[1]), ENFILE);
    KT_ERROR(kpio_process_create(outer, 0, "c", 1, &spaces[1]), ENFILE);
    kt_close(spaces[0]);
    kt_close(first);
    kt_close(inner);
    kt_close(outer);
}

KT_TEST(limits_below_use_stop_growth_only) {
    struct kpio_job_limits limits = unlimited();
    struct kpio_job_info info;
    kpio_handle job = new_job(kt_job(), limits), process = kt_spawn_in(job, "sleeps", NULL, 0);
    limits.threads = 1;
    limits.processes = 1;
    KT_EQUAL(kpio_job_set_limits(job, &limits), 0);
    KT_EQUAL(kpio_job_info(job, &info), 0);
    KT_EQUAL(info.used.processes, 1);
    KT_EQUAL(info.used.threads, 1);
    KT_ERROR(kpio_thread_create(process, "t", 1), ENFILE);
    KT_EQUAL(kpio_process_kill(process, 0), 0);
    KT_EQUAL(kt_wait(process), 0);
    KT_EQUAL(kpio_job_info(job, &info), 0);
    KT_EQUAL(info.peak.processes, 1);
    kt_close(job);
}

KT_TEST(list_and_open) {
    uint64_t ids[4] = {0};
    struct kpio_process_info info;
    kpio_handle job = new_job(kt_job(), unlimited()), inner = new_job(job, unlimited());
    kpio_handle process = kt_spawn_in(job, "sleeps", NULL, 0);
    KT_EQUAL(kpio_job_list(job, 0, ids, 4), 1);
    KT_EQUAL(kpio_job_list(job, 1, ids, 4), 1);
    kpio_handle again = KT_HANDLE(kpio_job_open(job, ids[0], KPIO_RIGHT_INSPECT));
    KT_EQUAL(kpio_process_info(again, &info), 0);
    KT_EQUAL(info.id, ids[0]);
    KT_ERROR(kpio_process_kill(again, 0), EACCES);
    KT_ERROR(kpio_job_open(inner, ids[0], KPIO_RIGHT_INSPECT), ENOENT);
    KT_ERROR(kpio_job_list(job, 9, ids, 4), EINVAL);
    KT_ERROR(kpio_job_list(job, 1, KT_KERNEL_ADDRESS, 4), EFAULT);
    kt_close(again);
    KT_EQUAL(kpio_process_kill(process, 0), 0);
    KT_EQUAL(kt_wait(process), 0);
    kt_close(inner);
    kt_close(job);
}

KT_CHILD(eats_handles) {
    for (unsigned i = 0;; i++) {
        int64_t event = kpio_event_create();
        if (event < 0) return event == -ENFILE ? 100 : event;
        if (i > 5000) return -1;
    }
}

KT_TEST(handles_to_exhaustion) {
    struct kpio_job_limits limits = unlimited();
    limits.handles = 64;
    kpio_handle job = new_job(kt_job(), limits);
    KT_EQUAL(kt_wait(kt_spawn_in(job, "eats_handles", NULL, 0)), 100);
    kt_close(job);
}

KT_CHILD(eats_memory) {
    int64_t vmo = kpio_vmo_create(1ull << 30, 0);
    if (vmo < 0) return vmo;
    int64_t result = kpio_vmo_op((kpio_handle)vmo, KPIO_VMO_OP_COMMIT, 0, 1ull << 30);
    return result == -ENOMEM ? 101 : result;
}

KT_TEST(pages_to_exhaustion) {
    struct kpio_job_limits limits = unlimited();
    limits.pages = 2000;
    kpio_handle job = new_job(kt_job(), limits);
    KT_EQUAL(kt_wait(kt_spawn_in(job, "eats_memory", NULL, 0)), 101);
    kt_close(job);
}

KT_CHILD(touches_memory) {
    int64_t vmo = kpio_vmo_create(64ull << 20, 0);
    if (vmo < 0) return vmo;
    int64_t at = kpio_aspace_map(startup_handle("aspace"), (kpio_handle)vmo, 0, 64ull << 20,
                                 KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    for (uint64_t i = 0; i < 64ull << 20; i += 4096) *(volatile char *)(at + (int64_t)i) = 1;
    return 0;
}

KT_TEST(touching_beyond_the_quota_ends_that_process) {
    struct kpio_job_limits limits = unlimited();
    limits.pages = 2000;
    kpio_handle job = new_job(kt_job(), limits);
    KT_EQUAL(kt_wait(kt_spawn_in(job, "touches_memory", NULL, 0)), KPIO_STATUS_FAULT - KPIO_EXC_NO_MEMORY);
    kt_close(job);
}

KT_TEST(terminated_when_empty) {
    kpio_handle job = new_job(kt_job(), unlimited());
    kpio_handle process = kt_spawn_in(job, "sleeps", NULL, 0);
    KT_EQUAL(kpio_job_kill(job), 0);
    KT_EQUAL(wait_terminated(job, kt_soon(), NULL), 0);
    KT_EQUAL(kt_wait(process), -ECANCELED);
    int32_t space;
    int64_t result = kpio_process_create(job, 0, "late", 4, &space);
    KT_CHECK(result < 0);  // a killed job starts nothing any more
    kt_close(job);
}
