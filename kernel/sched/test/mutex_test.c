// Locks that sleep, with real concurrency: every CPU of the host machine runs one thread, which "sleeps" by spinning until
// it is woken.
// links: tests/unit/machine_host.c
#include "kernel/sched/mutex.c"
#include "abi/gen/errors.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#include <string.h>
#include <unistd.h>

enum { CPUS = 4, ROUNDS = 4000 };

static struct thread threads[CPUS];

void wait_queue_init(struct wait_queue *q, const char *name) {
    spin_init(&q->lock, name);
    list_init(&q->waiters);
}
uint32_t wait_queue_wake_locked(struct wait_queue *q, uint32_t count, int64_t result) {
    uint32_t woken = 0;
    for (; woken < count && !list_is_empty(&q->waiters); woken++)
        wait_wake_locked(container_of(list_pop_front(&q->waiters), struct thread, wait.node), result);
    return woken;
}
void sched_wake(struct thread *t) { __atomic_store_n(&t->state, THREAD_RUNNING, __ATOMIC_RELEASE); }
void sched_schedule(void) {
    while (__atomic_load_n(&current_thread()->state, __ATOMIC_ACQUIRE) == THREAD_BLOCKED) (void)usleep(0);
}

void wait_queue_unlink(struct thread *t) { list_remove(&t->wait.node); }
// Now and then the waiter is killed, or interrupted too early.
int64_t wait_block_killable(nanos_t deadline) {
    struct thread *t = current_thread();
    (void)deadline;
    for (unsigned i = 0; __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == THREAD_BLOCKED; i++) {
        (void)usleep(0);
        struct spinlock *lock = i % 16 == 7 ? __atomic_load_n(&t->wait.lock, __ATOMIC_ACQUIRE) : NULL;
        if (lock == NULL) continue;
        spin_lock(lock);
        if (t->wait.lock == lock) {
            t->wait.unlink(t);
            wait_claim_locked(t, i % 3 == 0 ? -EINTR : -ECANCELED);
            t->state = THREAD_RUNNING;
        }
        spin_unlock(lock);
    }
    return t->wait.result;
}

static void begin(void) {
    host_cpus_init(CPUS);
    for (unsigned i = 0; i < CPUS; i++) {
        threads[i] = (struct thread){.state = THREAD_RUNNING};
        cpus[i].current = &threads[i];
    }
}

// ---- one owner at a time -------------------------------------------------------------------------------------------------

static struct mutex mutex;
static uint64_t count;
static uint32_t inside;

static void add_under_mutex(uint32_t id) {
    (void)id;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 3 != 0 || !mutex_trylock(&mutex)) mutex_lock(&mutex);
        CHECK(mutex_is_held(&mutex));
        CHECK_EQ(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0u);
        count++;
        if (i % 64 == 0) (void)usleep(0);
        __atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
        mutex_unlock(&mutex);
    }
}

TEST(mutex_has_one_owner) {
    begin();
    mutex_init(&mutex, "test");
    count = 0;
    host_cpus_run(add_under_mutex);
    CHECK_EQ(count, (uint64_t)CPUS * ROUNDS);
    CHECK(mutex.owner == NULL && list_is_empty(&mutex.queue.waiters));
}

static void add_killable(uint32_t id) {
    (void)id;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 3 == 0) mutex_lock(&mutex);
        else if (mutex_lock_killable(&mutex) != 0) continue;
        CHECK(mutex_is_held(&mutex));
        CHECK_EQ(__atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED), 0u);
        if (i % 64 == 0) (void)usleep(0);
        __atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
        mutex_unlock(&mutex);
    }
}

TEST(a_killed_waiter_of_a_mutex_leaves_it_to_others) {
    begin();
    mutex_init(&mutex, "test");
    host_cpus_run(add_killable);
    CHECK(mutex.owner == NULL && list_is_empty(&mutex.queue.waiters));
}

// ---- readers and writers -------------------------------------------------------------------------------------------------

static struct rw_mutex rw;
static uint64_t twin[2];
static uint32_t readers_inside, writers_inside;

static void check_read(void) {
    CHECK_EQ(__atomic_load_n(&writers_inside, __ATOMIC_RELAXED), 0u);
    CHECK_EQ(twin[0], twin[1]);
}

static void read_and_write(uint32_t id) {
    for (int i = 0; i < ROUNDS; i++) {
        if ((i + (int)id) % 4 != 0) {
            rw_mutex_lock_shared(&rw);
            __atomic_fetch_add(&readers_inside, 1, __ATOMIC_RELAXED);
            check_read();
            __atomic_fetch_sub(&readers_inside, 1, __ATOMIC_RELAXED);
            rw_mutex_unlock_shared(&rw);
            continue;
        }
        rw_mutex_lock(&rw);
        CHECK_EQ(__atomic_fetch_add(&writers_inside, 1, __ATOMIC_RELAXED), 0u);
        CHECK_EQ(__atomic_load_n(&readers_inside, __ATOMIC_RELAXED), 0u);
        twin[0]++;
        if (i % 64 == 0) (void)usleep(0);
        twin[1]++;
        __atomic_fetch_sub(&writers_inside, 1, __ATOMIC_RELAXED);
        if (i % 8 == 0) {
            rw_mutex_downgrade(&rw);
            check_read();
            rw_mutex_unlock_shared(&rw);
        } else {
            rw_mutex_unlock(&rw);
        }
    }
}

TEST(rw_mutex_keeps_writers_apart) {
    begin();
    rw_mutex_init(&rw, "test");
    twin[0] = twin[1] = 0;
    host_cpus_run(read_and_write);
    CHECK_EQ(twin[0], twin[1]);
    CHECK_EQ(rw.readers, 0u);
    CHECK(!rw.writing && list_is_empty(&rw.queue.waiters));
}

static void read_and_write_killable(uint32_t id) {
    for (int i = 0; i < ROUNDS; i++) {
        bool write = (i + (int)id) % 4 == 0;
        if ((write ? rw_mutex_lock_killable(&rw) : rw_mutex_lock_shared_killable(&rw)) != 0) continue;
        if (write) {
            CHECK_EQ(__atomic_fetch_add(&writers_inside, 1, __ATOMIC_RELAXED), 0u);
            CHECK_EQ(__atomic_load_n(&readers_inside, __ATOMIC_RELAXED), 0u);
            twin[0]++;
            if (i % 16 == 0) (void)usleep(0);
            twin[1]++;
            __atomic_fetch_sub(&writers_inside, 1, __ATOMIC_RELAXED);
            rw_mutex_unlock(&rw);
        } else {
            __atomic_fetch_add(&readers_inside, 1, __ATOMIC_RELAXED);
            check_read();
            if (i % 16 == 0) (void)usleep(0);
            __atomic_fetch_sub(&readers_inside, 1, __ATOMIC_RELAXED);
            rw_mutex_unlock_shared(&rw);
        }
    }
}

TEST(a_killed_waiter_of_an_rw_mutex_lets_others_pass) {
    begin();
    rw_mutex_init(&rw, "test");
    twin[0] = twin[1] = 0;
    host_cpus_run(read_and_write_killable);
    CHECK_EQ(rw.readers, 0u);
    CHECK(!rw.writing && list_is_empty(&rw.queue.waiters));
}

// ---- completions on the waiter's stack --------------------------------------------------------------------------------------

static struct completion *posted[CPUS / 2];

static void wait_or_signal(uint32_t id) {
    struct completion **slot = &posted[id / 2];
    for (int i = 0; i < ROUNDS; i++) {
        if (id % 2 == 0) {
            struct completion done;
            completion_init(&done, "test");
            __atomic_store_n(slot, &done, __ATOMIC_RELEASE);
            completion_wait(&done);
            CHECK(done.done && !spin_is_locked(&done.queue.lock));
            memset(&done, 0xee, sizeof done);
        } else {
            struct completion *c;
            while ((c = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQUIRE)) == NULL) (void)usleep(0);
            completion_signal(c);
        }
    }
}

TEST(completion_is_left_alone_once_its_waiter_goes_on) {
    begin();
    host_cpus_run(wait_or_signal);
}
