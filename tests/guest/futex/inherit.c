// Futexes whose word names their owner: who waits lends the owner its urgency, and learns of its death.
#include "tests/guest/kt/kt.h"

#define INHERIT 2u
#define NOBODY 0x3fffffffu
#define ONE_CPU 1u

static uint32_t word, other_word;
static volatile bool held, release, placed, spinning, stop;

static uint32_t own_id(void) { return (uint32_t)thread_self()->thread_id; }
static int64_t wait_for(uint32_t *at, uint64_t deadline) {
    return kpio_futex_wait((uint64_t)at, __atomic_load_n(at, __ATOMIC_RELAXED), UINT32_MAX, deadline, INHERIT);
}

static void schedule(struct thread *t, uint32_t class_, uint32_t priority) {
    KT_EQUAL(kpio_thread_set_schedule(t->handle, class_, priority, ONE_CPU), 0);
}

static void wait_for_cpu_0(const struct thread *t) {
    struct kpio_thread_info info = {.cpu = 1};
    for (uint64_t deadline = kt_soon(); info.cpu != 0 && time_now() < deadline; time_sleep_ms(1))
        KT_EQUAL(kpio_thread_info(t->handle, &info), 0);
    KT_EQUAL(info.cpu, 0);
}

static void start(struct thread *t, int64_t (*run)(void *), void *arg) {
    KT_EQUAL(thread_spawn(t, "thread", run, arg, NULL, 0), 0);
}

static int64_t join(struct thread *t) {
    int64_t result = 1;
    KT_EQUAL(thread_join(t, &result), 0);
    return result;
}

// ---- urgency --------------------------------------------------------------------------------------------------------------

// Holds the word until it runs again.
static int64_t hold(void *arg) {
    __atomic_store_n(&word, own_id(), __ATOMIC_RELEASE);
    held = true;
    while (!release) (void)kpio_thread_yield();
    __atomic_store_n(&word, 0, __ATOMIC_RELEASE);
    return kpio_futex_wake((uint64_t)&word, 1, UINT32_MAX, INHERIT);
}

static int64_t spin(void *arg) {
    while (!placed) (void)kpio_thread_yield();
    (void)kpio_thread_yield();  // from here on it is where it was placed
    spinning = true;
    while (!stop) __asm__ volatile("" ::: "memory");
    return 0;
}

static int64_t wait_inheriting(void *arg) { return wait_for(&word, kt_soon()); }
static int64_t wait_plainly(void *arg) {
    return kpio_futex_wait((uint64_t)&word, word, UINT32_MAX, time_after_ms(100), 0);
}

// An owner of the idle class never runs beside one that spins: unless a waiter lends it its real-time priority.
static int64_t owner_beside_a_spinner(int64_t (*wait)(void *)) {
    static struct thread owner, spinner, waiter;
    word = 0;
    held = release = placed = spinning = stop = false;
    start(&owner, hold, NULL);
    while (!held) time_sleep_ms(1);
    schedule(&owner, KPIO_SCHED_IDLE, 0);
    wait_for_cpu_0(&owner);
    start(&spinner, spin, NULL);
    schedule(&spinner, KPIO_SCHED_FAIR, 10000);
    placed = true;
    while (!spinning) time_sleep_ms(1);
    release = true;
    start(&waiter, wait, NULL);
    schedule(&waiter, KPIO_SCHED_REALTIME, 50);
    int64_t result = join(&waiter);
    stop = true;
    (void)join(&spinner);
    (void)join(&owner);
    return result;
}

KT_TEST(a_waiter_lends_its_priority) {
    KT_EQUAL(owner_beside_a_spinner(wait_inheriting), 0);
}

KT_TEST(without_inheritance_it_does_not) {
    KT_ERROR(owner_beside_a_spinner(wait_plainly), ETIMEDOUT);
}

// Sleeps meanwhile: with what it inherits it would leave no time for the others.
static int64_t hold_asleep(void *arg) {
    __atomic_store_n(&word, own_id(), __ATOMIC_RELEASE);
    held = true;
    while (!release) time_sleep_ms(1);
    __atomic_store_n(&word, 0, __ATOMIC_RELEASE);
    return kpio_futex_wake((uint64_t)&word, 1, UINT32_MAX, INHERIT);
}

static int64_t wait_then_note(void *arg) {
    static uint32_t order;
    int64_t result = wait_for(&word, kt_soon());
    *(uint32_t *)arg = __atomic_add_fetch(&order, 1, __ATOMIC_RELAXED);
    if (result == 0) (void)kpio_futex_wake((uint64_t)&word, 1, UINT32_MAX, INHERIT);  // it is the owner now
    return result;
}

KT_TEST(the_most_urgent_is_woken_first) {
    static struct thread owner, fair, urgent;
    static uint32_t fair_at, urgent_at;
    word = 0;
    held = release = false;
    start(&owner, hold_asleep, NULL);
    while (!held) time_sleep_ms(1);
    start(&fair, wait_then_note, &fair_at);
    kt_blocked(fair.handle);
    start(&urgent, wait_then_note, &urgent_at);
    kt_blocked(urgent.handle);
    schedule(&urgent, KPIO_SCHED_REALTIME, 10);  // while it waits
    release = true;                              // the owner wakes one
    KT_EQUAL(join(&urgent), 0);
    KT_EQUAL(join(&owner), 1);
    KT_EQUAL(join(&fair), 0);
    KT_CHECK(urgent_at < fair_at);
}

// ---- owners that end, and circles -----------------------------------------------------------------------------------------

static int64_t hold_and_end(void *arg) {
    __atomic_store_n(&word, own_id(), __ATOMIC_RELEASE);
    held = true;
    while (!release) (void)kpio_thread_yield();
    return 0;
}

KT_TEST(the_owner_ends) {
    static struct thread owner, waiter;
    held = release = false;
    start(&owner, hold_and_end, NULL);
    while (!held) time_sleep_ms(1);
    start(&waiter, wait_inheriting, NULL);
    kt_blocked(waiter.handle);
    release = true;
    KT_EQUAL(join(&waiter), -EOWNERDEAD);
    KT_EQUAL(join(&owner), 0);
    KT_ERROR(wait_for(&word, kt_soon()), ENOENT);  // the id names nobody now
}

KT_TEST(owners_that_are_none) {
    word = NOBODY;
    KT_ERROR(wait_for(&word, kt_soon()), ENOENT);
    word = 0;
    KT_ERROR(wait_for(&word, kt_soon()), ENOENT);
    word = (uint32_t)thread_self()->process_id;  // stands for its first thread, which is this one
    KT_ERROR(wait_for(&word, kt_soon()), EDEADLK);
    word = own_id();
    KT_ERROR(wait_for(&word, kt_soon()), EDEADLK);
    word = own_id() | 3u << 30;  // the upper two bits are the program's
    KT_ERROR(wait_for(&word, kt_soon()), EDEADLK);
}

static int64_t own_and_wait(void *arg) {
    __atomic_store_n(&word, own_id(), __ATOMIC_RELEASE);
    return wait_for(&other_word, kt_soon());
}

KT_TEST(a_circle_of_two) {
    static struct thread other;
    word = 0;
    other_word = own_id();
    start(&other, own_and_wait, NULL);
    kt_blocked(other.handle);
    KT_ERROR(wait_for(&word, kt_soon()), EDEADLK);
    KT_EQUAL(kpio_futex_wake((uint64_t)&other_word, 1, UINT32_MAX, INHERIT), 1);
    KT_EQUAL(join(&other), 0);
}

KT_TEST(a_deadline_and_an_interrupt_end_it) {
    static struct thread owner, waiter;
    held = release = false;
    start(&owner, hold_and_end, NULL);
    while (!held) time_sleep_ms(1);
    KT_ERROR(wait_for(&word, time_after_ms(3)), ETIMEDOUT);
    start(&waiter, wait_inheriting, NULL);
    kt_blocked(waiter.handle);
    KT_EQUAL(kpio_thread_interrupt(waiter.handle, 1), 0);
    KT_EQUAL(join(&waiter), -EINTR);
    KT_ERROR(kpio_futex_requeue((uint64_t)&word, 1, (uint64_t)&other_word, 1, word, INHERIT), EINVAL);
    release = true;
    KT_EQUAL(join(&owner), 0);
}

// ---- handing over ---------------------------------------------------------------------------------------------------------

static int64_t hand_over(uint32_t value, uint32_t bits) { return kpio_futex_hand_over((uint64_t)&word, value, bits, INHERIT); }

static uint32_t got[3];
static int64_t wait_then_hand_on(void *arg) {
    int64_t result = wait_for(&word, kt_soon());
    if (result != 1) return result;
    got[*(unsigned *)arg] = __atomic_load_n(&word, __ATOMIC_RELAXED);
    return 10 + hand_over(own_id() | 3u << 30, 1u << 30);
}

// The third comes last but is the most urgent; the others follow in the order in which they came.
KT_TEST(a_word_is_handed_over_in_order) {
    static struct thread waiters[3];
    static const unsigned numbers[] = {0, 1, 2};
    word = own_id() | 1u << 31;
    for (unsigned i = 0; i < 3; i++) {
        start(&waiters[i], wait_then_hand_on, (void *)&numbers[i]);
        kt_blocked(waiters[i].handle);
    }
    schedule(&waiters[2], KPIO_SCHED_REALTIME, 10);
    KT_EQUAL(hand_over(own_id(), 0), -EAGAIN);
    KT_EQUAL(hand_over(own_id() | 1u << 31, 1u << 30), 1);
    KT_EQUAL(join(&waiters[2]), 11);
    KT_EQUAL(join(&waiters[0]), 11);
    KT_EQUAL(join(&waiters[1]), 10);  // nobody waited any more
    for (unsigned i = 0; i < 3; i++) KT_EQUAL(got[i] >> 30, 3);
    KT_EQUAL(word, 1u << 30);
}

// Its end, with what it was given, is told to those that wait for it then.
static int64_t wait_and_end(void *arg) { return wait_for(&word, kt_soon()); }
KT_TEST(the_next_owner_ends) {
    static struct thread first, second;
    word = own_id() | 1u << 31;
    start(&first, wait_and_end, NULL);
    kt_blocked(first.handle);
    start(&second, wait_and_end, NULL);
    kt_blocked(second.handle);
    KT_EQUAL(hand_over(word, 0), 1);
    KT_EQUAL(join(&first), 1);
    KT_EQUAL(join(&second), -EOWNERDEAD);
}

KT_TEST(nobody_to_hand_it_to) {
    static struct thread plain;
    word = own_id();
    KT_EQUAL(hand_over(own_id(), 0), 0);
    KT_EQUAL(word, 0);
    KT_EQUAL(hand_over(0, 5), 0);
    KT_EQUAL(word, 5);
    KT_EQUAL(hand_over(4, 0), -EAGAIN);
    KT_EQUAL(kpio_futex_hand_over((uint64_t)&word, 5, 0, 0), -EINVAL);
    KT_EQUAL(kpio_futex_hand_over((uint64_t)&word + 1, 5, 0, INHERIT), -EINVAL);
    KT_EQUAL(kpio_futex_hand_over((uint64_t)KT_UNMAPPED_ADDRESS, 5, 0, INHERIT), -EFAULT);
    KT_EQUAL(kpio_futex_hand_over((uint64_t)KT_KERNEL_ADDRESS, 5, 0, INHERIT), -EFAULT);
    start(&plain, wait_plainly, NULL);
    kt_blocked(plain.handle);
    KT_EQUAL(hand_over(5, 0), -EINVAL);  // who waits does not know of owners
    KT_EQUAL(word, 5);
    (void)kpio_futex_wake((uint64_t)&word, 1, UINT32_MAX, 0);
    (void)join(&plain);
}
