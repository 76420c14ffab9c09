// Futexes, and what the C library makes of them.
#include "tests/linux/lt.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

// <linux/futex.h>, which a C library need not have.
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_LOCK_PI, FUTEX_UNLOCK_PI, FUTEX_TRYLOCK_PI,
       FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET };
enum { FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256 };
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
struct robust_list {
    struct robust_list *next;
};
struct robust_list_head {
    struct robust_list list;
    long futex_offset;
    struct robust_list *list_op_pending;
};

static long futex(volatile void *at, int op, unsigned value, const void *timeout, volatile void *second, unsigned third) {
    return syscall(SYS_futex, at, op, value, timeout, second, third);
}
static long long now(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}
static struct timespec at(clockid_t clock, long long later) {
    long long ns = now(clock) + later;
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

LT_TEST(arguments) {
    uint32_t words[2] = {1, 0};
    struct timespec bad = {.tv_nsec = 1000000000}, negative = {.tv_sec = -1};
    LT_ERRNO(futex(words, FUTEX_WAIT, 2, NULL, NULL, 0), EAGAIN);
    LT_ERRNO(futex((char *)words + 1, FUTEX_WAIT, 1, NULL, NULL, 0), EINVAL);
    LT_ERRNO(futex(LT_BAD_ADDRESS, FUTEX_WAIT, 1, NULL, NULL, 0), EFAULT);
    LT_ERRNO(futex(words, FUTEX_WAIT, 1, &bad, NULL, 0), EINVAL);
    LT_ERRNO(futex(words, FUTEX_WAIT, 1, &negative, NULL, 0), EINVAL);
    LT_ERRNO(futex(words, FUTEX_WAIT, 1, LT_BAD_ADDRESS, NULL, 0), EFAULT);
    LT_ERRNO(futex(words, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0), EINVAL);
    LT_ERRNO(futex(words, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0), EINVAL);
    LT_ERRNO(futex(words, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, NULL, NULL, 0), ENOSYS);
    LT_ERRNO(futex(words, 99, 1, NULL, NULL, 0), ENOSYS);
    LT_ERRNO(futex((char *)words + 2, FUTEX_WAKE, 1, NULL, NULL, 0), EINVAL);
    LT_EQUAL(futex(words, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    LT_ERRNO(futex(words, FUTEX_CMP_REQUEUE, 1, (void *)1, &words[1], 2), EAGAIN);
    LT_ERRNO(futex(words, FUTEX_REQUEUE, -1, (void *)1, &words[1], 0), EINVAL);
}

LT_TEST(time_outs) {
    uint32_t word = 1;
    struct timespec little = {.tv_nsec = 20000000}, none = {0}, until;
    long long before = now(CLOCK_MONOTONIC);
    LT_ERRNO(futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, &little, NULL, 0), ETIMEDOUT);
    LT_CHECK(now(CLOCK_MONOTONIC) - before >= 20000000);
    LT_ERRNO(futex(&word, FUTEX_WAIT, 1, &none, NULL, 0), ETIMEDOUT);
    before = now(CLOCK_MONOTONIC);
    until = at(CLOCK_MONOTONIC, 20000000);
    LT_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 1, &until, NULL, ~0u), ETIMEDOUT);
    LT_CHECK(now(CLOCK_MONOTONIC) - before >= 20000000);
    before = now(CLOCK_REALTIME);
    until = at(CLOCK_REALTIME, 20000000);
    LT_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &until, NULL, ~0u), ETIMEDOUT);
    LT_CHECK(now(CLOCK_REALTIME) - before >= 20000000);
    until = (struct timespec){.tv_sec = 1};  // long ago
    LT_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &until, NULL, ~0u), ETIMEDOUT);
}

// ---- waiters ----------------------------------------------------------------------------------------------------------------

static volatile uint32_t word_a, word_b;
static _Atomic int waiting, woken;
struct waiter {
    pthread_t thread;
    unsigned mask;
    volatile pid_t tid;
    long result;
};
static void *wait_on_a(void *argument) {
    struct waiter *w = argument;
    w->tid = (pid_t)syscall(SYS_gettid);
    waiting++;
    w->result = futex(&word_a, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, w->mask);
    woken++;
    return NULL;
}
static void start(struct waiter *w, int count, unsigned mask) {
    waiting = woken = 0;
    word_a = word_b = 0;
    for (int i = 0; i < count; i++) {
        w[i].mask = mask != 0 ? mask : 1u << i;
        LT_EQUAL(pthread_create(&w[i].thread, NULL, wait_on_a, &w[i]), 0);
    }
    while (waiting < count) sched_yield();
    for (int i = 0; i < count; i++) lt_asleep(w[i].tid);
}
static void finish(struct waiter *w, int count) {
    for (int i = 0; i < count; i++) {
        LT_EQUAL(pthread_join(w[i].thread, NULL), 0);
        LT_EQUAL(w[i].result, 0);
    }
}

LT_TEST(wake_counts) {
    struct waiter w[5];
    start(w, 5, ~0u);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 2, NULL, NULL, 0), 2);
    while (woken < 2) sched_yield();
    LT_EQUAL(futex(&word_a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0), 3);
    finish(w, 5);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 0);
}

LT_TEST(wake_by_mask) {
    struct waiter w[4];
    start(w, 4, 0);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0x10), 0);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0x4), 1);
    pthread_join(w[2].thread, NULL);
    LT_EQUAL(woken, 1);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, ~0u), 3);
    w[2].thread = w[3].thread;
    finish(w, 3);
}

LT_TEST(requeue) {
    struct waiter w[6];
    start(w, 6, ~0u);
    LT_EQUAL(futex(&word_a, FUTEX_CMP_REQUEUE | FUTEX_PRIVATE_FLAG, 1, (void *)3, &word_b, 0), 4);
    while (woken < 1) sched_yield();
    LT_EQUAL(futex(&word_b, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0), 3);
    LT_EQUAL(futex(&word_a, FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0, (void *)INT_MAX, &word_b, 0), 2);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0), 0);
    LT_EQUAL(futex(&word_b, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, NULL, NULL, 0), 2);
    finish(w, 6);
}

#define WAKE_OP(op, oparg, cmp, cmparg) (((op) & 15) << 28 | ((cmp) & 15) << 24 | ((oparg) & 0xfff) << 12 | ((cmparg) & 0xfff))
LT_TEST(wake_op) {
    struct waiter w[2];
    volatile uint32_t other = 10;
    start(w, 2, ~0u);
    LT_EQUAL(futex(&other, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, (void *)1, &word_a, WAKE_OP(0, 0, 1, 0)), 0);  // == 0 is not != 0
    LT_EQUAL(futex(&other, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, (void *)1, &word_a, WAKE_OP(1, 5, 0, 0)), 1);  // adds 5, was 0
    LT_EQUAL(word_a, 5);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 1, (void *)1, &other, WAKE_OP(4 | 8, 3, 4, 100)), 1);  // xor 1 << 3
    LT_EQUAL(other, 2);
    finish(w, 2);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE_OP, 1, (void *)1, &other, WAKE_OP(0, -1, 0, 0)), 0);
    LT_EQUAL(other, 0xffffffffu);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE_OP, 1, (void *)1, &other, WAKE_OP(3, 0xf, 2, 0)), 0);  // and-not; was below 0
    LT_EQUAL(other, 0xfffffff0u);
    LT_ERRNO(futex(&word_a, FUTEX_WAKE_OP, 1, (void *)1, LT_BAD_ADDRESS, 0), EFAULT);
}

// A private and a shared wait do not meet, a shared one meets another mapping of the memory.
LT_TEST(shared_words) {
    struct waiter w;
    start(&w, 1, ~0u);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
    LT_EQUAL(futex(&word_a, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0), 1);
    finish(&w, 1);
}

// ---- ping-pong ------------------------------------------------------------------------------------------------------------------

static volatile uint32_t turn;
static void *pong(void *rounds) {
    for (long i = 0; i < (long)rounds; i++) {
        while (turn != 1) futex(&turn, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
        turn = 0;
        futex(&turn, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    }
    return NULL;
}
LT_TEST(ping_pong) {
    pthread_t thread;
    turn = 0;
    LT_EQUAL(pthread_create(&thread, NULL, pong, (void *)5000), 0);
    for (int i = 0; i < 5000; i++) {
        turn = 1;
        futex(&turn, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
        while (turn != 0) futex(&turn, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    }
    pthread_join(thread, NULL);
}

// ---- mutexes, conditions ----------------------------------------------------------------------------------------------------------

static pthread_mutex_t mutex;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter;
static void *add(void *unused) {
    for (int i = 0; i < 5000; i++) {
        if (pthread_mutex_lock(&mutex) != 0) return (void *)1;
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return unused;
}
static void contend(int protocol) {
    pthread_t threads[6];
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    LT_EQUAL(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    LT_EQUAL(pthread_mutex_init(&mutex, &attributes), 0);
    counter = 0;
    for (int i = 0; i < 6; i++) LT_EQUAL(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < 6; i++) {
        void *result;
        pthread_join(threads[i], &result);
        LT_CHECK(result == NULL);
    }
    LT_EQUAL(counter, 30000);
    pthread_mutex_destroy(&mutex);
}
LT_TEST(mutex_contended) { contend(PTHREAD_PRIO_NONE); }
LT_TEST(mutex_with_inheritance_contended) { contend(PTHREAD_PRIO_INHERIT); }

static int produced;
static void *consume(void *wanted) {
    long got = 0;
    pthread_mutex_lock(&mutex);
    while (got < (long)wanted) {
        while (produced == 0) pthread_cond_wait(&condition, &mutex);
        produced--;
        got++;
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}
LT_TEST(conditions) {
    pthread_t threads[4];
    pthread_mutex_init(&mutex, NULL);
    produced = 0;
    for (int i = 0; i < 4; i++) LT_EQUAL(pthread_create(&threads[i], NULL, consume, (void *)500), 0);
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&mutex);
        produced++;
        if (i % 3 == 0) pthread_cond_broadcast(&condition);
        else pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    LT_EQUAL(produced, 0);
}

// ---- locks with inheritance ---------------------------------------------------------------------------------------------------------

LT_TEST(pi_words) {
    volatile uint32_t lock = 0, tid = (uint32_t)syscall(SYS_gettid);
    struct timespec until = at(CLOCK_REALTIME, LT_HANG_MS * 1000000ll);
    LT_ERRNO(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), EPERM);
    LT_EQUAL(futex(&lock, FUTEX_LOCK_PI, 0, &until, NULL, 0), 0);
    LT_EQUAL(lock, tid);
    LT_ERRNO(futex(&lock, FUTEX_LOCK_PI, 0, &until, NULL, 0), EDEADLK);
    LT_ERRNO(futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK);
    LT_EQUAL(futex(&lock, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), 0);
    LT_EQUAL(lock, 0);
    LT_EQUAL(futex(&lock, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), 0);
    LT_EQUAL(lock, tid);
    lock = 0x3ffffff0;  // nobody
    LT_ERRNO(futex(&lock, FUTEX_LOCK_PI, 0, &until, NULL, 0), ESRCH);
    LT_ERRNO(futex((char *)&lock + 2, FUTEX_LOCK_PI, 0, &until, NULL, 0), EINVAL);
    LT_ERRNO(futex(LT_BAD_ADDRESS, FUTEX_LOCK_PI, 0, &until, NULL, 0), EFAULT);
}

static volatile uint32_t pi_lock;
static volatile int pi_held, pi_release;
static void *hold_pi(void *unused) {
    futex(&pi_lock, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
    pi_held = 1;
    while (!pi_release) usleep(1000);
    futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
    return unused;
}
static void *release_later(void *unused) {
    usleep(40000);
    pi_release = 1;
    return unused;
}
LT_TEST(pi_waiting) {
    pthread_t holder, releaser;
    struct timespec until;
    pi_lock = 0, pi_held = pi_release = 0;
    LT_EQUAL(pthread_create(&holder, NULL, hold_pi, NULL), 0);
    while (!pi_held) sched_yield();
    until = at(CLOCK_REALTIME, 20000000);
    LT_ERRNO(futex(&pi_lock, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, &until, NULL, 0), ETIMEDOUT);
    LT_ERRNO(futex(&pi_lock, FUTEX_TRYLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), EAGAIN);
    LT_ERRNO(futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), EPERM);
    LT_EQUAL(pthread_create(&releaser, NULL, release_later, NULL), 0);
    LT_EQUAL(futex(&pi_lock, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), 0);
    LT_EQUAL(pi_lock & 0x3fffffff, syscall(SYS_gettid));
    LT_EQUAL(futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), 0);
    pthread_join(holder, NULL);
    pthread_join(releaser, NULL);
}

// The main thread holds the lock: its id is the process's, too.
static void *take_pi(void *unused) {
    (void)unused;
    return (void *)futex(&pi_lock, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
}
LT_TEST(pi_owned_by_the_main_thread) {
    pthread_t thread;
    void *result;
    pi_lock = 0;
    LT_EQUAL(futex(&pi_lock, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), 0);
    LT_EQUAL(pthread_create(&thread, NULL, take_pi, NULL), 0);
    while (!(pi_lock & 0x80000000)) usleep(1000);
    usleep(20000);
    LT_EQUAL(futex(&pi_lock, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0), 0);
    pthread_join(thread, &result);
    LT_CHECK(result == NULL);
    LT_CHECK((pi_lock & 0x3fffffff) != 0);
}

// ---- robust mutexes -------------------------------------------------------------------------------------------------------------------

static void *lock_and_end(void *unused) {
    pthread_mutex_lock(&mutex);
    return unused;
}
static volatile int has_it;
static void *lock_until_awaited(void *waiter) {
    pthread_mutex_lock(&mutex);
    has_it = 1;
    while (has_it != 2) sched_yield();
    lt_asleep(*(pid_t *)waiter);
    return NULL;
}
static void make_robust(int protocol) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    LT_EQUAL(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    LT_EQUAL(pthread_mutexattr_setprotocol(&attributes, protocol), 0);
    LT_EQUAL(pthread_mutex_init(&mutex, &attributes), 0);
}
static void robust(int protocol) {
    pthread_t thread;
    make_robust(protocol);
    LT_EQUAL(pthread_create(&thread, NULL, lock_and_end, NULL), 0);
    pthread_join(thread, NULL);
    LT_EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
    LT_EQUAL(pthread_mutex_consistent(&mutex), 0);
    LT_EQUAL(pthread_mutex_unlock(&mutex), 0);
    // One that waits while the owner ends.
    pid_t self = (pid_t)syscall(SYS_gettid);
    has_it = 0;
    LT_EQUAL(pthread_create(&thread, NULL, lock_until_awaited, &self), 0);
    while (has_it == 0) sched_yield();
    LT_EQUAL(pthread_mutex_trylock(&mutex), EBUSY);
    has_it = 2;
    LT_EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
    LT_EQUAL(pthread_mutex_consistent(&mutex), 0);
    LT_EQUAL(pthread_mutex_unlock(&mutex), 0);
    pthread_join(thread, NULL);
    // Not repaired: nobody gets it any more.
    LT_EQUAL(pthread_create(&thread, NULL, lock_and_end, NULL), 0);
    pthread_join(thread, NULL);
    LT_EQUAL(pthread_mutex_lock(&mutex), EOWNERDEAD);
    LT_EQUAL(pthread_mutex_unlock(&mutex), 0);
    LT_EQUAL(pthread_mutex_lock(&mutex), ENOTRECOVERABLE);
    pthread_mutex_destroy(&mutex);
}
LT_TEST(robust_mutex) { robust(PTHREAD_PRIO_NONE); }
LT_TEST(robust_mutex_with_inheritance) { robust(PTHREAD_PRIO_INHERIT); }

// The thread ends by the bare system call: only the kernel's list says what it held.
static struct {
    struct robust_list_head head;
    struct robust_list entry;
    volatile uint32_t word;
} held;
static void *end_with_list(void *unused) {
    held.head.list.next = &held.entry;
    held.head.futex_offset = (long)&held.word - (long)&held.entry;
    held.head.list_op_pending = NULL;
    held.entry.next = &held.head.list;
    held.word = (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS;
    syscall(SYS_set_robust_list, &held.head, sizeof held.head);
    return unused;
}
LT_TEST(robust_list) {
    pthread_t thread;
    LT_EQUAL(pthread_create(&thread, NULL, end_with_list, NULL), 0);
    pthread_join(thread, NULL);
    LT_EQUAL(held.word, FUTEX_WAITERS | FUTEX_OWNER_DIED);
}
