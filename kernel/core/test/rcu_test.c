// Deferred freeing: nothing is freed while a CPU may still look at it, and everything is in the end.
#include "kernel/core/rcu.c"

#include "lib/util.h"
#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now, asked;  // the clock; CPUs that were interrupted
uint64_t log_time(void) { return __atomic_load_n(&now, __ATOMIC_RELAXED); }
void arch_send_reschedule(uint64_t mask) { __atomic_fetch_or(&asked, mask, __ATOMIC_RELAXED); }
bool sched_preempt_point(void) {
    sched_yield();
    return false;
}
void sched_sleep_until(uint64_t deadline) {
    (void)deadline;
    sched_yield();
}

struct item {
    struct rcu_head rcu;
    bool freed;
};
static void mark_freed(struct rcu_head *head) { container_of(head, struct item, rcu)->freed = true; }

static void start(uint32_t count) {
    memset(rcu_cpus, 0, sizeof(rcu_cpus));
    now = asked = 0;
    host_cpus_init(count);
}

static void pass(uint32_t cpu) {
    uint32_t self = cpu_id();
    unit_become_cpu(cpu);
    rcu_quiescent();
    unit_become_cpu(self);
}

static void process_often(void) {
    for (unsigned i = 0; i < 100; i++) (void)rcu_process(100);
}

TEST(each_other_cpu_must_pass) {
    struct item item = {};
    start(4);
    rcu_call(&item.rcu, mark_freed);
    process_often();
    CHECK(!item.freed);
    pass(1);
    pass(3);
    process_often();
    CHECK(!item.freed);  // CPU 2 may still read it
    pass(1);
    pass(3);
    process_often();
    CHECK(!item.freed);  // however often the others pass
    pass(2);
    CHECK(!rcu_process(100));
    CHECK(item.freed);
}

TEST(a_lone_cpu_waits_for_nobody) {
    struct item item = {};
    start(1);
    rcu_call(&item.rcu, mark_freed);
    CHECK(!item.freed);  // not before the quiescent point itself
    CHECK(!rcu_process(100));
    CHECK(item.freed);
}

TEST(an_idle_cpu_reads_nothing) {
    struct item item = {};
    start(3);
    cpus[1].in_idle = true;
    rcu_call(&item.rcu, mark_freed);
    process_often();
    CHECK(!item.freed);
    pass(2);
    process_often();
    CHECK(item.freed);
}

TEST(what_comes_during_a_batch_waits_for_the_next) {
    struct item first = {}, second = {};
    start(2);
    rcu_call(&first.rcu, mark_freed);
    (void)rcu_process(100);  // the batch begins
    pass(1);
    rcu_call(&second.rcu, mark_freed);  // CPU 1 may have begun to read it after it passed
    process_often();
    CHECK(first.freed && !second.freed);
    pass(1);
    process_often();
    CHECK(second.freed);
}

TEST(no_more_at_once_than_the_limit) {
    struct item items[10] = {};
    start(1);
    for (unsigned i = 0; i < 10; i++) rcu_call(&items[i].rcu, mark_freed);
    CHECK(rcu_process(4));
    unsigned freed = 0;
    for (unsigned i = 0; i < 10; i++) freed += items[i].freed;
    CHECK_EQ(freed, 4);
    CHECK(rcu_process(4));
    CHECK(!rcu_process(4));
}

TEST(busy_cpus_are_asked_after_a_while) {
    struct item item = {};
    start(3);
    cpus[2].in_idle = true;
    rcu_call(&item.rcu, mark_freed);
    process_often();
    CHECK_EQ(asked, 0);
    now = PATIENCE_NS + 1;
    (void)rcu_process(100);
    CHECK_EQ(asked, 1ull << 1);
    pass(1);
    process_often();
    CHECK(item.freed);
}

TEST(a_long_list_asks_for_its_cpu) {
    static struct item items[LONG_LIST];
    start(2);
    for (unsigned i = 0; i < LONG_LIST - 1; i++) rcu_call(&items[i].rcu, mark_freed);
    CHECK(!cpus[0].need_resched);
    rcu_call(&items[LONG_LIST - 1].rcu, mark_freed);
    CHECK(cpus[0].need_resched);
}

// ---- real readers --------------------------------------------------------------------------------------------------------

enum { READERS = 3, REPLACEMENTS = 3000, ALIVE = 0x600d };
struct box {
    struct rcu_head rcu;
    uint32_t alive;
};
static struct box *shown;
static bool done;
static uint64_t freed_count;

static void free_box(struct rcu_head *head) {
    struct box *box = container_of(head, struct box, rcu);
    box->alive = 0;
    __atomic_fetch_add(&freed_count, 1, __ATOMIC_RELAXED);
    free(box);  // the address sanitizer watches whoever reads it now
}

static void replace_often(void) {
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        struct box *fresh = calloc(1, sizeof(*fresh));
        fresh->alive = ALIVE;
        struct box *old = __atomic_exchange_n(&shown, fresh, __ATOMIC_ACQ_REL);
        rcu_call(&old->rcu, free_box);
        __atomic_fetch_add(&now, PATIENCE_NS / 4, __ATOMIC_RELAXED);
        rcu_quiescent();
        (void)rcu_process(16);
        if (i % 512 == 0) rcu_barrier();
    }
    rcu_barrier();
    __atomic_store_n(&done, true, __ATOMIC_RELEASE);
}

// Reads the same box many times, all in one section.
static uint64_t read_often(void) {
    uint64_t wrong = 0;
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
        const struct box *box = __atomic_load_n(&shown, __ATOMIC_ACQUIRE);
        for (unsigned i = 0; i < 50; i++) wrong += __atomic_load_n(&box->alive, __ATOMIC_RELAXED) != ALIVE;
        if (wrong % 7 == 0) sched_yield();  // where a reader is stopped, in the middle of a section
        wrong += __atomic_load_n(&box->alive, __ATOMIC_RELAXED) != ALIVE;
        rcu_quiescent();
        (void)rcu_process(16);
    }
    return wrong;
}

static uint64_t wrong_reads;
static void run_cpu(uint32_t id) {
    if (id == 0) replace_often();
    else __atomic_fetch_add(&wrong_reads, read_often(), __ATOMIC_RELAXED);
}

TEST(a_grace_period_waits_for_readers) {
    start(READERS + 1);
    done = false;
    freed_count = wrong_reads = 0;
    shown = calloc(1, sizeof(*shown));
    shown->alive = ALIVE;
    host_cpus_run(run_cpu);
    CHECK_EQ(wrong_reads, 0);
    CHECK_EQ(freed_count, REPLACEMENTS);  // the last barrier left nothing behind
    free(shown);
}
