// VMOs: memory as an object.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

#define PAGE 4096u
static uint8_t buffer[3 * PAGE], other[3 * PAGE];

KT_TEST(reads_zero_at_first) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    memset(buffer, 0xff, sizeof(buffer));
    KT_EQUAL(kpio_vmo_read(vmo, 100, buffer, PAGE), PAGE);
    for (unsigned i = 0; i < PAGE; i++) KT_CHECK(buffer[i] == 0);
    kt_close(vmo);
}

KT_TEST(written_is_read) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4 * PAGE, 0));
    for (unsigned i = 0; i < sizeof(buffer); i++) buffer[i] = (uint8_t)kt_random();
    KT_EQUAL(kpio_vmo_write(vmo, 777, buffer, sizeof(buffer)), sizeof(buffer));
    KT_EQUAL(kpio_vmo_read(vmo, 777, other, sizeof(other)), sizeof(other));
    KT_EQUAL(memcmp(buffer, other, sizeof(other)), 0);
    kt_close(vmo);
}

KT_TEST(short_at_the_end) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    KT_EQUAL(kpio_vmo_read(vmo, PAGE - 10, buffer, 100), 10);
    KT_EQUAL(kpio_vmo_write(vmo, PAGE - 10, buffer, 100), 10);
    KT_EQUAL(kpio_vmo_read(vmo, PAGE, buffer, 100), 0);
    KT_EQUAL(kpio_vmo_read(vmo, 0, buffer, 0), 0);
    kt_close(vmo);
}

KT_TEST(offsets_do_not_wrap) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    int64_t result = kpio_vmo_read(vmo, UINT64_MAX - 8, buffer, 16);
    KT_CHECK(result <= 0);
    result = kpio_vmo_write(vmo, UINT64_MAX, buffer, 2);
    KT_CHECK(result <= 0);
    KT_ERROR(kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, UINT64_MAX - PAGE + 1, 2 * PAGE), EINVAL);
    kt_close(vmo);
}

KT_TEST(create_arguments) {
    KT_ERROR(kpio_vmo_create(0, 0), EINVAL);
    KT_ERROR(kpio_vmo_create(UINT64_MAX, 0), EINVAL);
    KT_ERROR(kpio_vmo_create(PAGE, 1u << 31), EINVAL);
}

KT_TEST(bad_pointers) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    KT_ERROR(kpio_vmo_read(vmo, 0, KT_KERNEL_ADDRESS, 8), EFAULT);
    KT_ERROR(kpio_vmo_read(vmo, 0, KT_UNMAPPED_ADDRESS, 8), EFAULT);
    KT_ERROR(kpio_vmo_write(vmo, 0, KT_NULL_PAGE, 8), EFAULT);
    KT_ERROR(kpio_vmo_write(vmo, 0, (void *)(UINT64_MAX - 4), 8), EFAULT);
    KT_ERROR(kpio_vmo_info(vmo, KT_KERNEL_ADDRESS), EFAULT);
    kt_close(vmo);
}

KT_TEST(rights) {
    struct kpio_vmo_info info;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, KPIO_VMO_RESIZABLE));
    kpio_handle reader = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHT_READ));
    KT_EQUAL(kpio_vmo_read(reader, 0, buffer, 8), 8);
    KT_ERROR(kpio_vmo_write(reader, 0, buffer, 8), EACCES);
    KT_ERROR(kpio_vmo_resize(reader, 2 * PAGE), EACCES);
    KT_ERROR(kpio_vmo_op(reader, KPIO_VMO_OP_ZERO, 0, PAGE), EACCES);
    KT_ERROR(kpio_vmo_info(reader, &info), EACCES);
    KT_ERROR(kpio_vmo_clone(reader, KPIO_CLONE_SNAPSHOT, 0, PAGE), EACCES);
    KT_ERROR(kpio_aspace_map(kt_aspace(), reader, 0, PAGE, KPIO_MAP_READ, 0), EACCES);
    KT_ERROR(kpio_vmo_read(kt_job(), 0, buffer, 8), EWRONGTYPE);
    kt_close(reader);
    kt_close(vmo);
}

KT_TEST(committed_pages_are_counted) {
    struct kpio_vmo_info info;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(16 * PAGE, 0));
    KT_EQUAL(kpio_vmo_info(vmo, &info), 0);
    KT_EQUAL(info.size, 16 * PAGE);
    KT_EQUAL(info.committed_pages, 0);
    KT_EQUAL(kpio_vmo_write(vmo, 5 * PAGE, "x", 1), 1);
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, 8 * PAGE, 4 * PAGE), 0);
    KT_EQUAL(kpio_vmo_info(vmo, &info), 0);
    KT_EQUAL(info.committed_pages, 5);
    KT_EQUAL(kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, 0, 16 * PAGE), 0);
    KT_EQUAL(kpio_vmo_info(vmo, &info), 0);
    KT_EQUAL(info.committed_pages, 0);
    KT_EQUAL(kpio_vmo_read(vmo, 5 * PAGE, buffer, 1), 1);
    KT_EQUAL(buffer[0], 0);
    kt_close(vmo);
}

KT_TEST(resize_grows_and_shrinks) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, KPIO_VMO_RESIZABLE));
    KT_EQUAL(kpio_vmo_resize(vmo, 4 * PAGE), 0);
    KT_EQUAL(kpio_vmo_write(vmo, 3 * PAGE, "abc", 3), 3);
    KT_EQUAL(kpio_vmo_resize(vmo, PAGE), 0);
    KT_EQUAL(kpio_vmo_resize(vmo, 4 * PAGE), 0);
    KT_EQUAL(kpio_vmo_read(vmo, 3 * PAGE, buffer, 3), 3);
    KT_CHECK(buffer[0] == 0 && buffer[2] == 0);
    kt_close(vmo);
}

KT_TEST(fixed_size_stays) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    KT_ERROR(kpio_vmo_resize(vmo, 2 * PAGE), EPERM);
    kt_close(vmo);
}

KT_TEST(snapshot_keeps_the_past) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    KT_EQUAL(kpio_vmo_write(vmo, 0, "old", 3), 3);
    kpio_handle copy = KT_HANDLE(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 0, 2 * PAGE));
    KT_EQUAL(kpio_vmo_write(vmo, 0, "new", 3), 3);
    KT_EQUAL(kpio_vmo_read(copy, 0, buffer, 3), 3);
    KT_EQUAL(memcmp(buffer, "old", 3), 0);
    KT_EQUAL(kpio_vmo_write(copy, 0, "own", 3), 3);
    KT_EQUAL(kpio_vmo_read(vmo, 0, buffer, 3), 3);
    KT_EQUAL(memcmp(buffer, "new", 3), 0);
    kt_close(vmo);
    KT_EQUAL(kpio_vmo_read(copy, 0, buffer, 3), 3);
    KT_EQUAL(memcmp(buffer, "own", 3), 0);
    kt_close(copy);
}

KT_TEST(clone_arguments) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(2 * PAGE, 0));
    KT_ERROR(kpio_vmo_clone(vmo, 9, 0, PAGE), EINVAL);
    KT_ERROR(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 0, 0), EINVAL);
    KT_ERROR(kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, 1, PAGE), EINVAL);
    int64_t result = kpio_vmo_clone(vmo, KPIO_CLONE_SNAPSHOT, UINT64_MAX - PAGE + 1, 2 * PAGE);
    KT_CHECK(result == -EOVERFLOW || result == -EINVAL);
    kt_close(vmo);
}

KT_TEST(a_jobs_page_limit_holds) {
    struct kpio_job_limits limits = {64, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, "small", 5));
    int32_t aspace = 0;
    // A process in that job would be charged; what this process creates is charged to its own job.
    kpio_handle process = KT_HANDLE(kpio_process_create(job, 0, "p", 1, &aspace));
    struct kpio_job_info info;
    KT_EQUAL(kpio_job_info(job, &info), 0);
    KT_EQUAL(info.limit.pages, 64);
    KT_EQUAL(kpio_process_kill(process, 0), 0);
    kt_close(aspace);
    kt_close(process);
    kt_close(job);
}

// ---- a commit that fails ------------------------------------------------------------------------------------------------

#define RACED_PAGES 400ul
#define READ_PAGES 40ul
static volatile uint64_t *raced;
static volatile bool stop;
static volatile unsigned started;  // threads whose stacks are there

// The quota is used up now and then: what faults meanwhile tries again.
static bool again(struct kpio_exception_frame *frame, void *context) { return frame->kind == KPIO_EXC_NO_MEMORY; }

// Finds what was not there to be found: the memory that it reads is never written.
static int64_t read_all(void *arg) {
    if (exception_set(again, NULL, arg, 32768) != 0) return 2;
    __atomic_fetch_add(&started, 1, __ATOMIC_RELAXED);
    for (uint64_t i = 0; !stop; i++)
        if (raced[i % READ_PAGES * 512] != 0) {
            stop = true;
            return 1;
        }
    return 0;
}

// Pages of somebody's secrets.
static int64_t write_elsewhere(void *arg) {
    static const uint64_t secret[512] = {[0 ... 511] = 0x5ec2e75ec2e75ec2};
    __atomic_fetch_add(&started, 1, __ATOMIC_RELAXED);
    while (!stop) {
        int64_t vmo = kpio_vmo_create(4096 * 16, 0);
        for (unsigned page = 0; vmo > 0 && page < 16; page++)
            (void)kpio_vmo_write((kpio_handle)vmo, page * 4096, secret, sizeof(secret));
        if (vmo > 0) (void)kpio_handle_close((uint64_t)vmo);
    }
    return 0;
}

KT_CHILD(commits_more_than_it_may) {
    static struct thread readers[2], writer;
    static uint8_t stacks[3][32768] __attribute__((aligned(64)));
    for (unsigned i = 0; i < sizeof(stacks); i += 4096) ((volatile uint8_t *)stacks)[i] = 1;  // there when they are needed
    kpio_handle vmo = (kpio_handle)kpio_vmo_create(RACED_PAGES * 4096, 0);
    int64_t at = kpio_aspace_map(startup_handle("aspace"), vmo, 0, RACED_PAGES * 4096, KPIO_MAP_READ, 0);
    if (at < 0 || exception_set(again, NULL, stacks[2], sizeof(stacks[2])) != 0) return 4;
    raced = (volatile uint64_t *)at;
    for (unsigned i = 0; i < 2; i++)
        if (thread_spawn(&readers[i], "reader", read_all, stacks[i], NULL, 0) != 0) return 5;
    if (thread_spawn(&writer, "writer", write_elsewhere, NULL, NULL, 0) != 0) return 6;
    while (started < 3) (void)kpio_thread_yield();
    int64_t result = -ENOMEM, found = 0;
    for (uint64_t end = time_after_ms(2000); time_now() < end && result == -ENOMEM && !stop;) {
        (void)kpio_vmo_op(vmo, KPIO_VMO_OP_DECOMMIT, 0, RACED_PAGES * 4096);
        result = kpio_vmo_op(vmo, KPIO_VMO_OP_COMMIT, 0, RACED_PAGES * 4096);
    }
    stop = true;
    for (unsigned i = 0; i < 2; i++) {
        int64_t one = 0;
        (void)thread_join(&readers[i], &one);
        found |= one;
    }
    (void)thread_join(&writer, NULL);
    return result == -ENOMEM ? found : 7;
}

KT_TEST(a_commit_that_fails_leaves_no_page_mapped) {
    struct kpio_job_limits limits = {300, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    kpio_handle job = KT_HANDLE(kpio_job_create(kt_job(), &limits, (const uint8_t *)"few pages", 9));
    KT_EQUAL(kt_wait(kt_spawn_in(job, "commits_more_than_it_may", NULL, 0)), 0);
    kt_close(job);
}
