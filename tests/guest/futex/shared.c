// Futexes in shared memory: known by the VMO and the place in it, wherever it is mapped.
#include "tests/guest/kt/kt.h"

#define SHARED 1u
#define PAGE 4096ul

static uint64_t map(kpio_handle vmo) {
    return (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
}
static void unmap(uint64_t at) { KT_EQUAL(kpio_aspace_unmap(kt_aspace(), at, PAGE), 0); }

static int64_t wait_shared(void *arg) { return kpio_futex_wait((uint64_t)arg, 0, UINT32_MAX, kt_soon(), SHARED); }

static void start(struct thread *t, uint64_t at) {
    KT_EQUAL(thread_spawn(t, "waiter", wait_shared, (void *)at, NULL, 16384), 0);
    kt_blocked(t->handle);
}
static int64_t join(struct thread *t) {
    int64_t result = 1;
    KT_EQUAL(thread_join(t, &result), 0);
    return result;
}

KT_TEST(two_mappings_one_word) {
    static struct thread waiter;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint64_t first = map(vmo), second = map(vmo);
    start(&waiter, first + 8);
    KT_EQUAL(kpio_futex_wake(second + 8, 1, UINT32_MAX, 0), 0);       // a private word of this process: another one
    KT_EQUAL(kpio_futex_wake(second + 12, 1, UINT32_MAX, SHARED), 0);  // another place
    KT_EQUAL(kpio_futex_wake(second + 8, 1, UINT32_MAX, SHARED), 1);
    KT_EQUAL(join(&waiter), 0);
    unmap(first);
    unmap(second);
    kt_close(vmo);
}

KT_TEST(moved_from_one_memory_to_another) {
    static struct thread a, b, c;
    kpio_handle from = KT_HANDLE(kpio_vmo_create(PAGE, 0)), to = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint64_t at = map(from), target = map(to);
    start(&a, at);
    start(&b, at);
    start(&c, at);
    KT_EQUAL(kpio_futex_requeue(at, 1, target, 1, 0, SHARED), 2);
    KT_EQUAL(join(&a), 0);  // the longest waiting
    KT_EQUAL(kpio_futex_wake(target, 10, UINT32_MAX, SHARED), 1);
    KT_EQUAL(join(&b), 0);
    KT_EQUAL(kpio_futex_wake(at, 10, UINT32_MAX, SHARED), 1);
    KT_EQUAL(join(&c), 0);
    unmap(at);
    unmap(target);
    kt_close(from);
    kt_close(to);
}

// Who waits keeps the memory; the balance of the case shows that nobody does afterwards.
KT_TEST(memory_that_goes_while_somebody_waits) {
    static struct thread waiter;
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint64_t at = map(vmo);
    start(&waiter, at);
    unmap(at);
    kt_close(vmo);
    KT_ERROR(kpio_futex_wake(at, 1, UINT32_MAX, SHARED), EFAULT);
    KT_EQUAL(kpio_thread_interrupt(waiter.handle, 1), 0);
    KT_EQUAL(join(&waiter), -EINTR);
}

KT_TEST(requeue_arguments) {
    static uint32_t word, target;
    uint64_t at = (uint64_t)&word, to = (uint64_t)&target;
    KT_ERROR(kpio_futex_requeue(at + 1, 1, to, 1, 0, 0), EINVAL);
    KT_ERROR(kpio_futex_requeue(at, 1, to + 2, 1, 0, 0), EINVAL);
    KT_ERROR(kpio_futex_requeue(at, 1, to, 1, 0, 0x10), EINVAL);
    KT_ERROR(kpio_futex_requeue((uint64_t)KT_KERNEL_ADDRESS, 1, to, 1, 0, 0), EFAULT);
    KT_ERROR(kpio_futex_requeue(at, 1, (uint64_t)KT_KERNEL_ADDRESS, 1, 0, 0), EFAULT);
    KT_ERROR(kpio_futex_requeue((uint64_t)KT_UNMAPPED_ADDRESS, 1, to, 1, 0, SHARED), EFAULT);
    KT_ERROR(kpio_futex_requeue(at, 1, (uint64_t)KT_UNMAPPED_ADDRESS, 1, 0, SHARED), EFAULT);
    KT_ERROR(kpio_futex_requeue(at, 1, to, 1, 1, 0), EAGAIN);
    KT_EQUAL(kpio_futex_requeue(at, 1, to, 1, 0, 0), 0);
    KT_EQUAL(kpio_futex_requeue(at, 1, at, 1, 0, 0), 0);
}

#define ROUNDS 200
KT_CHILD(answers_each_turn) {
    int64_t at = kpio_aspace_map(startup_handle("aspace"), startup_handle("vmo"), 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    uint32_t *turn = (uint32_t *)at;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == 2 * i)
            if (kpio_futex_wait((uint64_t)turn, 2 * i, UINT32_MAX, kt_soon(), SHARED) == -ETIMEDOUT) return -ETIMEDOUT;
        __atomic_store_n(turn, 2 * i + 2, __ATOMIC_RELEASE);
        (void)kpio_futex_wake((uint64_t)turn, 1, UINT32_MAX, SHARED);
    }
    return 0;
}

KT_TEST(turns_between_processes) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint32_t *turn = (uint32_t *)map(vmo);
    struct process_grant grant = {"vmo", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle child = kt_spawn("answers_each_turn", &grant, 1);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        __atomic_store_n(turn, 2 * i + 1, __ATOMIC_RELEASE);
        (void)kpio_futex_wake((uint64_t)turn, 1, UINT32_MAX, SHARED);
        while (__atomic_load_n(turn, __ATOMIC_ACQUIRE) == 2 * i + 1)
            KT_CHECK(kpio_futex_wait((uint64_t)turn, 2 * i + 1, UINT32_MAX, kt_soon(), SHARED) != -ETIMEDOUT);
    }
    KT_EQUAL(kt_wait(child), 0);
    unmap((uint64_t)turn);
    kt_close(vmo);
}

KT_CHILD(waits_for_ever) {
    int64_t at = kpio_aspace_map(startup_handle("aspace"), startup_handle("vmo"), 0, PAGE, KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    __atomic_store_n((uint32_t *)(at + 64), 1, __ATOMIC_RELEASE);
    return kpio_futex_wait((uint64_t)at, 0, UINT32_MAX, KPIO_TIME_NEVER, SHARED);
}

KT_TEST(a_process_that_dies_waiting) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(PAGE, 0));
    uint64_t at = map(vmo);
    struct process_grant grant = {"vmo", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    kpio_handle child = kt_spawn("waits_for_ever", &grant, 1);
    while (__atomic_load_n((uint32_t *)(at + 64), __ATOMIC_ACQUIRE) == 0) time_sleep_ms(1);
    time_sleep_ms(5);
    KT_EQUAL(kpio_process_kill(child, 3), 0);
    KT_EQUAL(kt_wait(child), 3);
    KT_EQUAL(kpio_futex_wake(at, 10, UINT32_MAX, SHARED), 0);
    unmap(at);
    kt_close(vmo);
}
