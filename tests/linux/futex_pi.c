// Futexes that know their owner: who gets them, and what the next one learns of an owner's end.
#include "tests/linux/lt.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

// <linux/futex.h>, which a C library need not have.
enum { FUTEX_LOCK_PI = 6, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_WAIT_REQUEUE_PI = 11, FUTEX_CMP_REQUEUE_PI, FUTEX_LOCK_PI2 };
#define FUTEX_PRIVATE_FLAG 128
#define FUTEX_WAITERS      0x80000000u
#define FUTEX_OWNER_DIED   0x40000000u
#define TID                0x3fffffffu

static volatile uint32_t lock, condition;

static long futex(volatile void *word, int operation, uint32_t value, const void *timeout, volatile void *second, uint32_t third) {
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, timeout, second, third);
}
static uint32_t own_id(void) { return (uint32_t)syscall(SYS_gettid); }

static struct timespec after(clockid_t clock, long ms) {
    struct timespec now;
    clock_gettime(clock, &now);
    now.tv_nsec += ms % 1000 * 1000000;
    now.tv_sec += ms / 1000 + now.tv_nsec / 1000000000;
    now.tv_nsec %= 1000000000;
    return now;
}

struct waiter {
    pthread_t thread;
    _Atomic uint32_t tid;
    uint32_t word;  // that it found when it had the lock
    long result;
    int error, order;
    int (*what)(struct waiter *w);
};
static _Atomic int order;

static void *wait_for_lock(void *arg) {
    struct waiter *w = arg;
    w->tid = own_id();
    w->result = w->what(w);
    w->error = errno;
    w->word = lock;
    w->order = order++;
    if (w->result == 0 && (lock & TID) == own_id()) (void)futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
    return NULL;
}

static void start(struct waiter *w, int (*what)(struct waiter *)) {
    *w = (struct waiter){.what = what};
    LT_EQUAL(pthread_create(&w->thread, NULL, wait_for_lock, w), 0);
    while (w->tid == 0) sched_yield();
}
// Until somebody has said in the word that he waits, and probably does.
static void expect_waiter(long ms) {
    while (!(lock & FUTEX_WAITERS)) sched_yield();
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}
static void end(struct waiter *w) { LT_EQUAL(pthread_join(w->thread, NULL), 0); }

static int take(struct waiter *w) {
    (void)w;
    return (int)futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}
static int take_by_clock(struct waiter *w) {
    struct timespec until = after(CLOCK_MONOTONIC, LT_HANG_MS);
    (void)w;
    return (int)futex(&lock, FUTEX_LOCK_PI2, 0, &until, NULL, 0);
}

static void own_it(void) {
    lock = 0;
    order = 0;
    LT_EQUAL(futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0), 0);
    LT_EQUAL(lock, own_id());
}

static _Atomic int keep;
static int take_and_keep(struct waiter *w) {
    int result = take(w);
    while (keep) sched_yield();
    return result;
}

// Whoever waits has it before the call that gives it back returns: nobody comes in between. One that has not come to wait yet takes
// it by itself: then again, with more time.
LT_TEST(it_is_handed_over) {
    int handed = 0;
    for (long ms = 1; ms < LT_HANG_MS && !handed; ms *= 3) {
        struct waiter w;
        keep = 1;
        own_it();
        start(&w, take_and_keep);
        expect_waiter(ms);
        LT_EQUAL(lock, own_id() | FUTEX_WAITERS);
        LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
        handed = futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0) == -1;
        if (handed) LT_EQUAL(lock, w.tid | FUTEX_WAITERS);
        else LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
        keep = 0;
        end(&w);
        LT_EQUAL(w.result, 0);
        LT_EQUAL(w.word & TID, w.tid);
        LT_EQUAL(lock, 0);
    }
    LT_EQUAL(handed, 1);
}

LT_TEST(from_one_to_the_next) {
    struct waiter w[4];
    for (int round = 0; round < 10; round++) {
        own_it();
        for (int i = 0; i < 4; i++) start(&w[i], i % 2 == 0 ? take_by_clock : take);
        expect_waiter(1);
        LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
        for (int i = 0; i < 4; i++) {
            end(&w[i]);
            LT_EQUAL(w[i].result, 0);
            LT_EQUAL(w[i].word & TID, w[i].tid);
        }
        LT_EQUAL(lock, 0);
    }
}

LT_TEST(time_outs) {
    struct timespec until = after(CLOCK_MONOTONIC, LT_HANG_MS), bad = {.tv_nsec = 1000000000};
    struct waiter w;
    own_it();
    LT_ERRNO(futex(&lock, FUTEX_LOCK_PI2, 0, &bad, NULL, 0), EINVAL);
    LT_ERRNO(futex(&lock, FUTEX_LOCK_PI2, 0, &until, NULL, 0), EDEADLK);
    start(&w, take_by_clock);
    LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
    end(&w);
    LT_EQUAL(w.result, 0);
}

// ---- owners that end ------------------------------------------------------------------------------------------------------------

static _Atomic int held, go;
static void *hold_and_end(void *unused) {
    (void)futex(&lock, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
    held = 1;
    while (!go) sched_yield();
    return unused;
}
LT_TEST(an_owner_that_ends) {
    struct waiter w[2];
    pthread_t owner;
    lock = 0;
    held = go = order = 0;
    LT_EQUAL(pthread_create(&owner, NULL, hold_and_end, NULL), 0);
    while (!held) sched_yield();
    for (int i = 0; i < 2; i++) start(&w[i], take);
    for (int i = 0; i < 2; i++) lt_asleep(w[i].tid);
    go = 1;
    LT_EQUAL(pthread_join(owner, NULL), 0);
    for (int i = 0; i < 2; i++) end(&w[i]);
    int first = w[0].order == 0 ? 0 : 1;
    LT_EQUAL(w[0].result, 0);
    LT_EQUAL(w[1].result, 0);
    LT_EQUAL(w[first].word & (TID | FUTEX_OWNER_DIED), w[first].tid | FUTEX_OWNER_DIED);
    LT_EQUAL(w[!first].word & TID, w[!first].tid);
    LT_EQUAL(lock & TID, 0);
}

LT_TEST(taken_from_a_dead_one) {
    lock = FUTEX_OWNER_DIED;
    LT_EQUAL(futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), 0);
    LT_EQUAL(lock, own_id() | FUTEX_OWNER_DIED);
    LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
    LT_EQUAL(lock, 0);
}

// ---- from a word to a lock ----------------------------------------------------------------------------------------------------------

static int take_after_condition(struct waiter *w) {
    (void)w;
    return (int)futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, NULL, &lock, 0);
}
static int take_after_condition_by(struct waiter *w) {
    struct timespec until = after(CLOCK_MONOTONIC, LT_HANG_MS);
    (void)w;
    return (int)futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, &until, &lock, 0);
}

LT_TEST(arguments_of_requeue_pi) {
    struct timespec until = after(CLOCK_MONOTONIC, 10);
    void *const one = (void *)1;
    condition = 7;
    lock = 0;
    LT_ERRNO(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, NULL, &condition, 0), EINVAL);
    LT_ERRNO(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 8, NULL, &lock, 0), EAGAIN);
    LT_ERRNO(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 7, &until, &lock, 0), ETIMEDOUT);
    LT_ERRNO(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, one, &condition, 7), EINVAL);
    LT_ERRNO(futex(&condition, FUTEX_CMP_REQUEUE_PI, 2, one, &lock, 7), EINVAL);
    LT_ERRNO(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, one, &lock, 8), EAGAIN);
    LT_EQUAL(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, one, &lock, 7), 0);
    LT_EQUAL(lock, 0);
}

LT_TEST(waiters_of_a_condition_get_the_lock) {
    struct waiter w[3];
    own_it();
    condition = 7;
    for (int i = 0; i < 3; i++) start(&w[i], i == 1 ? take_after_condition_by : take_after_condition);
    for (int moved = 0; moved < 3;) moved += (int)LT_OK(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)100, &lock, 7));
    condition = 8;
    LT_EQUAL(lock & TID, own_id());
    LT_EQUAL(order, 0);
    LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
    for (int i = 0; i < 3; i++) {
        end(&w[i]);
        LT_EQUAL(w[i].result, 0);
        LT_EQUAL(w[i].word & TID, w[i].tid);
    }
    // The lock is free: the one that is woken has it.
    condition = 7;
    start(&w[0], take_after_condition);
    start(&w[1], take_after_condition);
    for (int woken = 0; woken < 2;) woken += (int)LT_OK(futex(&condition, FUTEX_CMP_REQUEUE_PI, 1, (void *)0, &lock, 7));
    for (int i = 0; i < 2; i++) {
        end(&w[i]);
        LT_EQUAL(w[i].result, 0);
        LT_EQUAL(w[i].word & TID, w[i].tid);
    }
    LT_EQUAL(lock & TID, 0);
}
