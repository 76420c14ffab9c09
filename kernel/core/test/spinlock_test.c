// Spin locks on real threads: exclusion, that a waiting CPU which does not run holds nobody up, and that one which has
// waited long is not passed.
#include "kernel/core/spinlock.c"

#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

static struct spinlock lock;
static uint64_t counter, order;

static void count(uint32_t id) {
    for (unsigned i = 0; i < 20000; i++) {
        if (i % 8 != 0) spin_lock(&lock);
        else while (!spin_trylock(&lock)) cpu_relax();
        counter++;
        spin_unlock(&lock);
    }
}

TEST(spin_lock_excludes) {
    host_cpus_init(4);
    spin_init(&lock, "test");
    counter = 0;
    host_cpus_run(count);
    CHECK_EQ(counter, 80000);
    CHECK_EQ(lock.state, 0);
    CHECK_EQ(lock.first, lock.next);
}

TEST(spin_lock_passes_a_waiter_that_does_not_run) {
    spin_init(&lock, "test");
    lock.next++;  // it stands in line and takes no step
    for (unsigned i = 0; i < 3; i++) {
        spin_lock(&lock);
        spin_unlock(&lock);
        CHECK(spin_trylock(&lock));
        spin_unlock(&lock);
    }
}

// CPU 0 lets go only once the other has lost its patience, and wants the lock again at once.
static void take_turns(uint32_t id) {
    if (id == 1) {
        while (__atomic_load_n(&order, __ATOMIC_ACQUIRE) == 0) cpu_relax();
        spin_lock(&lock);
        CHECK_EQ(order, 1);
        order = 2;
        spin_unlock(&lock);
        return;
    }
    spin_lock(&lock);
    __atomic_store_n(&order, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&lock.urgent, __ATOMIC_ACQUIRE)) cpu_relax();
    spin_unlock(&lock);
    spin_lock(&lock);
    CHECK_EQ(order, 2);
    spin_unlock(&lock);
}

TEST(spin_lock_does_not_pass_one_that_waited_long) {
    host_cpus_init(2);
    spin_init(&lock, "test");
    order = 0;
    host_cpus_run(take_turns);
    CHECK_EQ(order, 2);
    CHECK_EQ(lock.state, 0);
}
