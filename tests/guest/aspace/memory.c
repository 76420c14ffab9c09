// Memory without a handle, and what is said about memory: aspace_advise, aspace_residency, aspace_move.
#include "lib/string.h"
#include "tests/guest/kt/kt.h"

enum { PAGE = 4096, READ_WRITE = KPIO_MAP_READ | KPIO_MAP_WRITE, MAYMOVE = KPIO_MOVE_MAYMOVE, FIXED = MAYMOVE | KPIO_MOVE_FIXED };

static int64_t map(uint64_t pages, uint32_t flags, uint64_t address) {
    return kpio_aspace_map(kt_aspace(), 0, 0, pages * PAGE, flags | KPIO_MAP_ANONYMOUS, address);
}
static uint8_t *make(uint64_t pages) { return (uint8_t *)KT_OK(map(pages, READ_WRITE, 0)); }
static void unmap(const void *at, uint64_t pages) { KT_EQUAL(kpio_aspace_unmap(kt_aspace(), (uint64_t)at, pages * PAGE), 0); }
static int64_t advise(const void *at, uint64_t pages, uint32_t advice) {
    return kpio_aspace_advise(kt_aspace(), (uint64_t)at, pages * PAGE, advice);
}
static int64_t move(const void *at, uint64_t pages, uint64_t new_pages, uint32_t flags, const void *target) {
    return kpio_aspace_move(kt_aspace(), (uint64_t)at, pages * PAGE, new_pages * PAGE, flags, (uint64_t)target);
}
static uint64_t pages_used(void) {
    struct kpio_job_info info;
    KT_EQUAL(kpio_job_info(kt_job(), &info), 0);
    return info.used.pages;
}
static void fill(uint8_t *at, unsigned pages) {
    for (unsigned i = 0; i < pages; i++) at[i * PAGE] = (uint8_t)(i + 1);
}
static void expect(const uint8_t *at, unsigned pages) {
    for (unsigned i = 0; i < pages; i++) KT_EQUAL(((const volatile uint8_t *)at)[i * PAGE], i + 1);
}

KT_TEST(anonymous_memory) {
    uint8_t *at = make(4);
    KT_EQUAL(at[3 * PAGE], 0);
    fill(at, 4);
    uint64_t info[6], used = pages_used();
    KT_EQUAL(kpio_aspace_query(kt_aspace(), (uint64_t)at, info, 6), 6);
    KT_EQUAL(info[2], (uint64_t)READ_WRITE | KPIO_MAP_ANONYMOUS);
    KT_EQUAL(info[3], 0);
    KT_EQUAL(info[5], 4);
    unmap(at + PAGE, 2);
    KT_EQUAL(pages_used(), used - 2);
    KT_EQUAL(at[3 * PAGE], 4);
    unmap(at, 4);
}

KT_TEST(anonymous_arguments) {
    KT_ERROR(map(0, READ_WRITE, 0), EINVAL);
    KT_ERROR(map(1, READ_WRITE | KPIO_MAP_PRIVATE, 0), EINVAL);
    KT_ERROR(map(1, KPIO_MAP_RESERVE, 0), EINVAL);
    KT_ERROR(map(1, READ_WRITE | 1u << 30, 0), EINVAL);
    KT_ERROR(map(1ull << 40, READ_WRITE, 0), EINVAL);
    KT_ERROR(map(1, READ_WRITE | KPIO_MAP_FIXED, (uint64_t)KT_KERNEL_ADDRESS), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_aspace(), 0, PAGE, PAGE, READ_WRITE | KPIO_MAP_ANONYMOUS, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(kt_job(), 0, 0, PAGE, READ_WRITE | KPIO_MAP_ANONYMOUS, 0), EWRONGTYPE);
    KT_ERROR(kpio_aspace_map(0, 0, 0, PAGE, READ_WRITE | KPIO_MAP_ANONYMOUS, 0), EBADF);
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0)), weak = KT_HANDLE(kpio_handle_dup(kt_aspace(), KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, READ_WRITE | KPIO_MAP_ANONYMOUS, 0), EINVAL);
    KT_ERROR(kpio_aspace_map(weak, 0, 0, PAGE, READ_WRITE | KPIO_MAP_ANONYMOUS, 0), EACCES);
    kt_close(weak);
    kt_close(vmo);
}

KT_TEST(terabytes_cost_nothing) {
    uint64_t used = pages_used();
    uint8_t *at = (uint8_t *)KT_OK(map(1ull << 33, 0, 0));  // 32 TiB
    KT_EQUAL(pages_used(), used);
    KT_EQUAL(kpio_aspace_protect(kt_aspace(), (uint64_t)at + (1ull << 44), PAGE, READ_WRITE), 0);
    at[1ull << 44] = 1;
    KT_CHECK(pages_used() <= used + 4);
    unmap(at, 1ull << 33);
}

KT_TEST(discarding) {
    uint8_t *at = make(16);
    fill(at, 16);
    uint64_t used = pages_used();
    KT_EQUAL(advise(at + 4 * PAGE, 8, KPIO_ADVISE_DONTNEED), 0);
    KT_EQUAL(pages_used(), used - 8);
    expect(at, 4);
    for (unsigned i = 4; i < 12; i++) KT_EQUAL(at[i * PAGE], 0);
    KT_EQUAL(at[12 * PAGE], 13);
    unmap(at + 2 * PAGE, 1);
    KT_ERROR(advise(at, 16, KPIO_ADVISE_DONTNEED), ENOMEM);
    KT_EQUAL(at[15 * PAGE], 0);
    unmap(at, 16);
    uint8_t *shared = (uint8_t *)KT_OK(map(2, READ_WRITE | KPIO_MAP_LOCAL_SHARE, 0));
    fill(shared, 2);
    KT_EQUAL(advise(shared, 2, KPIO_ADVISE_DONTNEED), 0);
    expect(shared, 2);
    unmap(shared, 2);
}

// A fork keeps what its parent discards.
KT_TEST(discarding_after_fork) {
    kpio_handle space, process = KT_HANDLE(kpio_process_create(kt_job(), 0, (const uint8_t *)"fork", 4, &space));
    uint64_t info[6];
    uint8_t *at = make(8);
    fill(at, 8);
    KT_EQUAL(kpio_aspace_clone(kt_aspace(), space), 0);
    KT_EQUAL(advise(at, 8, KPIO_ADVISE_DONTNEED), 0);
    KT_EQUAL(kpio_aspace_query(kt_aspace(), (uint64_t)at, info, 6), 6);
    KT_EQUAL(info[5], 0);
    KT_EQUAL(kpio_aspace_query(space, (uint64_t)at, info, 6), 6);
    KT_EQUAL(info[5], 8);
    KT_EQUAL(at[0], 0);
    unmap(at, 8);
    kt_close(space);
    kt_close(process);
}

KT_TEST(advice_arguments) {
    uint8_t *at = make(2);
    KT_ERROR(advise(at, 2, 99), EINVAL);
    KT_ERROR(advise(at + 1, 1, KPIO_ADVISE_DONTNEED), EINVAL);
    KT_ERROR(advise(at, 0, KPIO_ADVISE_DONTNEED), EINVAL);
    KT_ERROR(advise(KT_KERNEL_ADDRESS, 1, KPIO_ADVISE_DONTNEED), EINVAL);
    KT_ERROR(advise(KT_UNMAPPED_ADDRESS, 1, KPIO_ADVISE_POPULATE_READ), EFAULT);
    KT_ERROR(advise(KT_UNMAPPED_ADDRESS, 1, KPIO_ADVISE_SYNC), ENOMEM);
    KT_EQUAL(advise(at, 2, KPIO_ADVISE_SYNC), 0);
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_aspace(), KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_aspace_advise(weak, (uint64_t)at, PAGE, KPIO_ADVISE_DONTNEED), EACCES);
    KT_ERROR(kpio_aspace_advise(kt_job(), (uint64_t)at, PAGE, KPIO_ADVISE_DONTNEED), EWRONGTYPE);
    kt_close(weak);
    unmap(at, 2);
}

KT_TEST(populating_and_residency) {
    uint8_t *at = make(300), there[300];
    KT_EQUAL(advise(at + PAGE, 4, KPIO_ADVISE_POPULATE_WRITE), 0);
    KT_EQUAL(advise(at + 298 * PAGE, 2, KPIO_ADVISE_POPULATE_READ), 0);
    KT_EQUAL(kpio_aspace_residency(kt_aspace(), (uint64_t)at, there, 300), 0);
    for (unsigned i = 0; i < 300; i++) KT_EQUAL(there[i], (i >= 1 && i < 5) || i >= 298);
    KT_ERROR(kpio_aspace_residency(kt_aspace(), (uint64_t)at + 1, there, 1), EINVAL);
    KT_ERROR(kpio_aspace_residency(kt_aspace(), (uint64_t)at, there, UINT64_MAX), EINVAL);
    KT_ERROR(kpio_aspace_residency(kt_aspace(), (uint64_t)at, KT_UNMAPPED_ADDRESS, 1), EFAULT);
    KT_ERROR(kpio_aspace_residency(kt_aspace(), (uint64_t)at, KT_KERNEL_ADDRESS, 1), EFAULT);
    KT_ERROR(kpio_aspace_residency(kt_aspace(), (uint64_t)KT_UNMAPPED_ADDRESS, there, 1), ENOMEM);
    unmap(at, 300);
}

KT_TEST(moving) {
    uint8_t *at = make(8), *to = make(20);
    fill(at, 8);
    uint64_t used = pages_used();
    KT_EQUAL(move(at, 8, 12, FIXED, to), (int64_t)to);
    expect(to, 8);
    KT_EQUAL(pages_used(), used);
    KT_EQUAL(to[11 * PAGE], 0);
    KT_ERROR(kpio_random_get(at, 1), EFAULT);
    KT_EQUAL(move(to, 12, 8, 0, NULL), (int64_t)to);
    KT_EQUAL(move(to, 8, 10, 0, NULL), (int64_t)to);  // the gap that shrinking left
    KT_EQUAL(to[9 * PAGE], 0);
    KT_ERROR(move(to, 10, 13, 0, NULL), ENOSPC);      // where the rest of what was there is
    uint8_t *moved = (uint8_t *)KT_OK(move(to, 10, 5000, MAYMOVE, NULL));
    expect(moved, 8);
    KT_EQUAL(moved[4999 * PAGE], 0);
    unmap(moved, 5000);
    unmap(to, 20);
}

KT_TEST(moving_shared_memory) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4 * PAGE, 0));
    uint8_t *at = (uint8_t *)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, 2 * PAGE, READ_WRITE, 0)), byte;
    fill(at, 2);
    uint8_t *moved = (uint8_t *)KT_OK(move(at, 2, 4, MAYMOVE, NULL));
    fill(moved, 4);
    KT_EQUAL(kpio_vmo_read(vmo, 3 * PAGE, &byte, 1), 1);
    KT_EQUAL(byte, 4);
    KT_OK(kpio_handle_revoke(vmo, 0));
    kpio_handle copy = KT_HANDLE(kpio_handle_dup(vmo, KPIO_RIGHTS_SAME));
    uint8_t *again = (uint8_t *)KT_OK(kpio_aspace_map(kt_aspace(), copy, 0, PAGE, READ_WRITE, 0));
    again[0] = 1;
    uint8_t *to = make(1);
    KT_EQUAL(move(again, 1, 1, FIXED, to), (int64_t)to);
    KT_OK(kpio_handle_revoke(vmo, 0));  // it is still the handle's child
    KT_CHECK(kpio_random_get(to, 1) < 0);
    unmap(moved, 4);
    unmap(to, 1);
    kt_close(vmo);
}

KT_TEST(moving_arguments) {
    uint8_t *at = make(4);
    KT_ERROR(move(at, 0, 4, MAYMOVE, NULL), EINVAL);
    KT_ERROR(move(at, 4, 0, MAYMOVE, NULL), EINVAL);
    KT_ERROR(move(at, 4, 4, KPIO_MOVE_FIXED, KT_UNMAPPED_ADDRESS), EINVAL);
    KT_ERROR(move(at, 4, 4, FIXED, at + 2 * PAGE), EINVAL);
    KT_ERROR(move(at, 4, 4, FIXED, KT_KERNEL_ADDRESS), EINVAL);
    KT_ERROR(move(at, 4, 4, 1u << 5, NULL), EINVAL);
    KT_ERROR(move(KT_KERNEL_ADDRESS, 4, 8, MAYMOVE, NULL), EINVAL);
    KT_ERROR(move(at, 4, 1ull << 36, MAYMOVE, NULL), EINVAL);
    KT_ERROR(move(KT_UNMAPPED_ADDRESS, 1, 2, MAYMOVE, NULL), EFAULT);
    KT_ERROR(kpio_aspace_move(kt_job(), (uint64_t)at, PAGE, 2 * PAGE, MAYMOVE, 0), EWRONGTYPE);
    kpio_handle weak = KT_HANDLE(kpio_handle_dup(kt_aspace(), KPIO_RIGHT_INSPECT));
    KT_ERROR(kpio_aspace_move(weak, (uint64_t)at, PAGE, 2 * PAGE, MAYMOVE, 0), EACCES);
    kt_close(weak);
    unmap(at, 4);
}

// Two threads move the same memory to and fro while this one replaces, discards and unmaps it.
static uint8_t *volatile places[2];
static volatile bool stop;
static int64_t mover(void *arg) {
    while (!places[1] && !stop) time_sleep_ms(1);
    while (!stop) {
        (void)move(places[0], 4, 4, FIXED, places[1]);
        (void)move(places[1], 4, 4, FIXED, places[0]);
    }
    return 0;
}

KT_TEST(moving_in_a_crowd) {
    static struct thread threads[2];
    stop = false;
    places[1] = NULL;
    // First their stacks, so that nothing else comes to lie where the area has holes.
    for (unsigned i = 0; i < 2; i++) KT_EQUAL(thread_spawn(&threads[i], "mover", mover, NULL, NULL, 16384), 0);
    uint8_t *area = make(16);
    places[0] = area;
    places[1] = area + 8 * PAGE;
    for (unsigned i = 0; i < 300; i++) {
        unmap(area + i % 16 * PAGE, 1);
        KT_OK(map(4, READ_WRITE | KPIO_MAP_FIXED | KPIO_MAP_POPULATE, (uint64_t)places[i % 2]));
        (void)advise(area, 16, KPIO_ADVISE_DONTNEED);
    }
    stop = true;
    for (unsigned i = 0; i < 2; i++) KT_EQUAL(thread_join(&threads[i], NULL), 0);
    unmap(area, 16);
}
