// Futexes: sleeping on a word of memory.
#include "tests/guest/kt/kt.h"

static uint32_t word, target;

static int64_t wait_on_word(void *arg) {
    return kpio_futex_wait((uint64_t)&word, 0, (uint32_t)(uint64_t)arg, kt_soon(), 0);
}

static void start(struct thread *threads, unsigned count, uint32_t mask) {
    for (unsigned i = 0; i < count; i++)
        KT_EQUAL(thread_spawn(&threads[i], "waiter", wait_on_word, (void *)(uint64_t)mask, NULL, 16384), 0);
    kt_all_blocked(threads, count);
}

static void join(struct thread *threads, unsigned count, int64_t expected) {
    for (unsigned i = 0; i < count; i++) {
        int64_t result = 1;
        KT_EQUAL(thread_join(&threads[i], &result), 0);
        KT_EQUAL(result, expected);
    }
}

KT_TEST(wake_some_then_all) {
    enum { COUNT = 5 };
    static struct thread threads[COUNT];
    word = 0;
    start(threads, COUNT, UINT32_MAX);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 2, UINT32_MAX, 0), 2);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, UINT32_MAX, UINT32_MAX, 0), COUNT - 2);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, UINT32_MAX, UINT32_MAX, 0), 0);
    join(threads, COUNT, 0);
}

KT_TEST(masks_choose_waiters) {
    static struct thread a, b;
    word = 0;
    start(&a, 1, 1);
    start(&b, 1, 2);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 10, 4, 0), 0);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 10, 2, 0), 1);
    join(&b, 1, 0);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 10, 1, 0), 1);
    join(&a, 1, 0);
}

KT_TEST(requeue_moves_waiters) {
    enum { COUNT = 4 };
    static struct thread threads[COUNT];
    word = target = 0;
    start(threads, COUNT, UINT32_MAX);
    KT_ERROR(kpio_futex_requeue((uint64_t)&word, 1, (uint64_t)&target, 10, 7, 0), EAGAIN);
    KT_OK(kpio_futex_requeue((uint64_t)&word, 1, (uint64_t)&target, 10, 0, 0));
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 10, UINT32_MAX, 0), 0);
    KT_EQUAL(kpio_futex_wake((uint64_t)&target, 10, UINT32_MAX, 0), COUNT - 1);
    join(threads, COUNT, 0);
}

KT_TEST(an_interrupt_ends_the_wait) {
    static struct thread thread;
    word = 0;
    start(&thread, 1, UINT32_MAX);
    KT_EQUAL(kpio_thread_interrupt(thread.handle, 1), 0);
    join(&thread, 1, -EINTR);
}

// More than the kernel looks at in one go.
#define HUNDREDS 150
static struct thread hundreds[HUNDREDS];

KT_TEST(hundreds_are_moved_and_woken) {
    word = target = 0;
    start(hundreds, HUNDREDS, UINT32_MAX);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 100, 0, 0), -EINVAL);
    KT_EQUAL(kpio_futex_requeue((uint64_t)&word, 1, (uint64_t)&target, 1000, 0, 0), HUNDREDS);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 1000, UINT32_MAX, 0), 0);
    KT_EQUAL(kpio_futex_wake((uint64_t)&target, 1000, UINT32_MAX, 0), HUNDREDS - 1);
    join(hundreds, HUNDREDS, 0);
}

enum { INHERIT = 2 };
static int64_t wait_inheriting(void *arg) {
    return kpio_futex_wait((uint64_t)&word, word, UINT32_MAX, KPIO_TIME_NEVER, INHERIT);
}

// Who is woken owns the word from then on; its end without a word of thanks tells those that it left behind.
KT_TEST(hundreds_wait_for_the_next_owner) {
    unsigned woken = 0, orphans = 0;
    word = (uint32_t)thread_self()->thread_id;
    for (unsigned i = 0; i < HUNDREDS; i++)
        KT_EQUAL(thread_spawn(&hundreds[i], "waiter", wait_inheriting, NULL, NULL, 16384), 0);
    kt_all_blocked(hundreds, HUNDREDS);
    KT_EQUAL(kpio_futex_wake((uint64_t)&word, 2, UINT32_MAX, INHERIT), 2);
    for (unsigned i = 0; i < HUNDREDS; i++) {
        int64_t result = 1;
        KT_EQUAL(thread_join(&hundreds[i], &result), 0);
        woken += result == 0;
        orphans += result == -EOWNERDEAD;
    }
    KT_EQUAL(woken, 2);
    KT_EQUAL(orphans, HUNDREDS - 2);
}

KT_TEST(arguments) {
    word = 3;
    KT_ERROR(kpio_futex_wait((uint64_t)&word, 2, UINT32_MAX, KPIO_TIME_NEVER, 0), EAGAIN);
    KT_ERROR(kpio_futex_wait((uint64_t)&word + 2, 3, UINT32_MAX, 0, 0), EINVAL);
    KT_ERROR(kpio_futex_wait((uint64_t)&word, 3, 0, 0, 0), EINVAL);
    KT_ERROR(kpio_futex_wait((uint64_t)&word, 3, 1, 0, 0x80), EINVAL);
    KT_ERROR(kpio_futex_wait((uint64_t)KT_KERNEL_ADDRESS, 3, 1, 0, 0), EFAULT);
    KT_ERROR(kpio_futex_wait((uint64_t)KT_UNMAPPED_ADDRESS, 3, 1, 0, 0), EFAULT);
    KT_ERROR(kpio_futex_wake((uint64_t)&word + 1, 1, 1, 0), EINVAL);
    KT_ERROR(kpio_futex_wait((uint64_t)&word, 3, 1, time_after_ms(3), 0), ETIMEDOUT);
}

KT_CHILD(wakes_shared) {
    int64_t at = kpio_aspace_map(startup_handle("aspace"), startup_handle("vmo"), 0, 4096,
                                 KPIO_MAP_READ | KPIO_MAP_WRITE, 0);
    if (at < 0) return at;
    for (uint64_t deadline = kt_soon(); time_now() < deadline;) {
        int64_t woken = kpio_futex_wake((uint64_t)at, 1, UINT32_MAX, 1);
        if (woken != 0) return woken;
        time_sleep_ms(2);
    }
    return -1;
}

KT_TEST(shared_between_processes) {
    kpio_handle vmo = KT_HANDLE(kpio_vmo_create(4096, 0));
    uint64_t at = (uint64_t)KT_OK(kpio_aspace_map(kt_aspace(), vmo, 0, 4096, KPIO_MAP_READ | KPIO_MAP_WRITE, 0));
    struct process_grant grant = {"vmo", vmo, KPIO_RIGHTS_SAME, KPIO_SEND_COPY};
    *(volatile uint32_t *)at = 0;
    kpio_handle child = kt_spawn("wakes_shared", &grant, 1);
    KT_EQUAL(kpio_futex_wait(at, 0, UINT32_MAX, kt_soon(), 1), 0);
    KT_EQUAL(kt_wait(child), 1);
    KT_EQUAL(kpio_aspace_unmap(kt_aspace(), at, 4096), 0);
    kt_close(vmo);
}
