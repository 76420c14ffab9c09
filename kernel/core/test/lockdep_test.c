// The lock-order checker: what it lets pass, and what it stops, though nothing hung.
#define CONFIG_LOCKDEP 1
#include "kernel/core/lockdep.c"

#include "tests/unit/kernel_host.h"
#include "tests/unit/machine_host.h"
#include "tests/unit/unit.h"

#include <stdio.h>

void backtrace_print(uint64_t rip, uint64_t rbp) { (void)rip, (void)rbp; }

// Forgets all that was learned, and that a violation was reported.
static void start_over(void) {
    memset(classes, 0, sizeof(classes));
    memset(order_from, 0, sizeof(order_from));
    memset(cpu_held, 0, sizeof(cpu_held));
    memset(known_names, 0, sizeof(known_names));
    class_count = 0;
    off = false;
    host_cpus_init(4);
}

static struct spinlock a, b, c, d, twin[2];

static void make_locks(void) {
    start_over();
    spin_init(&a, "a");
    spin_init(&b, "b");
    spin_init(&c, "c");
    spin_init(&d, "d");
    for (unsigned i = 0; i < 2; i++) spin_init(&twin[i], "twin");
}

static void nest(struct spinlock *outer, struct spinlock *inner) {
    lockdep_acquire(outer);
    lockdep_acquire(inner);
    lockdep_release(inner);
    lockdep_release(outer);
}

TEST(one_order_is_no_matter) {
    make_locks();
    for (unsigned i = 0; i < 3; i++) {
        nest(&a, &b);
        nest(&b, &c);
        nest(&a, &c);
        nest(&d, &a);
    }
    CHECK_EQ(lockdep_held(), 0);
}

TEST(an_inversion) {
    make_locks();
    nest(&a, &b);
    lockdep_acquire(&b);
    CHECK_PANICS(lockdep_acquire(&a));
}

TEST(an_inversion_through_others) {
    make_locks();
    nest(&a, &b);
    nest(&c, &d);
    nest(&b, &c);  // now a before d, though they never met
    lockdep_acquire(&d);
    CHECK_PANICS(lockdep_acquire(&a));
}

TEST(an_inversion_on_another_cpu) {
    make_locks();
    nest(&a, &b);
    unit_become_cpu(2);
    lockdep_acquire(&b);
    CHECK_PANICS(lockdep_acquire(&a));
    unit_become_cpu(0);
}

TEST(another_cpus_locks_do_not_count) {
    make_locks();
    nest(&a, &b);
    lockdep_acquire(&b);
    unit_become_cpu(1);
    lockdep_acquire(&a);
    CHECK_EQ(lockdep_held(), 1);
    lockdep_release(&a);
    unit_become_cpu(0);
    lockdep_release(&b);
}

TEST(two_of_a_kind_by_address) {
    make_locks();
    nest(&twin[0], &twin[1]);
    lockdep_acquire(&twin[1]);
    CHECK_PANICS(lockdep_acquire(&twin[0]));
}

TEST(recursion) {
    make_locks();
    lockdep_acquire(&a);
    CHECK_PANICS(lockdep_acquire(&a));
}

TEST(a_lock_got_by_trying_may_be_out_of_order) {
    make_locks();
    nest(&a, &b);
    lockdep_acquire(&b);
    lockdep_acquire_try(&a);  // it could not have waited
    CHECK_EQ(lockdep_held(), 2);
    lockdep_release(&b);
    lockdep_release(&a);
    nest(&a, &b);
}

TEST(what_is_taken_below_one_got_by_trying_counts) {
    make_locks();
    lockdep_acquire_try(&a);
    lockdep_acquire(&b);
    lockdep_release(&b);
    lockdep_release(&a);
    lockdep_acquire(&b);
    CHECK_PANICS(lockdep_acquire(&a));
}

TEST(released_in_any_order) {
    make_locks();
    lockdep_acquire(&a);
    lockdep_acquire(&b);
    lockdep_acquire(&c);
    lockdep_release(&a);
    lockdep_release(&c);
    CHECK_EQ(lockdep_held(), 1);
    lockdep_release(&b);
    CHECK_EQ(lockdep_held(), 0);
}

TEST(released_by_one_that_does_not_hold_it) {
    make_locks();
    lockdep_acquire(&a);
    unit_become_cpu(1);
    CHECK_PANICS(lockdep_release(&a));
    unit_become_cpu(0);
    CHECK_PANICS(lockdep_release(&b));
}

TEST(a_lock_without_a_name) {
    struct spinlock one = {}, two = {};
    make_locks();
    nest(&a, &one);
    lockdep_acquire(&two);  // all without a name are one class
    CHECK_PANICS(lockdep_acquire(&a));
}

// ---- orders drawn at random ------------------------------------------------------------------------------------------------

enum { CLASSES = 24, ROUNDS = 40, NESTINGS = 60, DEPTH = 5 };
static struct spinlock drawn[CLASSES];
static char drawn_names[CLASSES][4];
static uint8_t rank_of[CLASSES];          // the order that nestings keep
static bool before[CLASSES][CLASSES];     // an independent account of what was seen, closed under "and so"

static void draw_order(void) {
    start_over();
    memset(before, 0, sizeof(before));
    for (unsigned i = 0; i < CLASSES; i++) {
        drawn_names[i][0] = 'A' + (char)i;
        spin_init(&drawn[i], drawn_names[i]);
        rank_of[i] = (uint8_t)i;
    }
    for (unsigned i = CLASSES - 1; i > 0; i--) {
        unsigned other = (unsigned)(unit_random() % (i + 1));
        uint8_t kept = rank_of[i];
        rank_of[i] = rank_of[other];
        rank_of[other] = kept;
    }
}

static void note(unsigned outer, unsigned inner) {
    for (unsigned i = 0; i < CLASSES; i++)
        for (unsigned j = 0; j < CLASSES; j++)
            if ((i == outer || before[i][outer]) && (j == inner || before[inner][j])) before[i][j] = true;
}

static void nest_at_random(void) {
    unsigned held[DEPTH], count = 0;
    for (unsigned tries = 0; tries < 20 && count < DEPTH; tries++) {
        unsigned next = (unsigned)(unit_random() % CLASSES);
        if (count != 0 && rank_of[next] <= rank_of[held[count - 1]]) continue;
        lockdep_acquire(&drawn[next]);
        for (unsigned i = 0; i < count; i++) note(held[i], next);
        held[count++] = next;
    }
    while (count > 0) lockdep_release(&drawn[held[--count]]);
}

// Each round ends with one pair taken the wrong way round: it is caught exactly if the right way was seen.
TEST(a_seeded_inversion_is_caught_exactly_if_it_is_one) {
    unsigned caught = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        draw_order();
        for (unsigned i = 0; i < NESTINGS / 8 * (round % 8 + 1); i++) nest_at_random();
        unsigned x = (unsigned)(unit_random() % CLASSES), y = (unsigned)(unit_random() % CLASSES);
        if (x == y) continue;
        lockdep_acquire(&drawn[x]);
        if (before[y][x]) {
            CHECK_PANICS(lockdep_acquire(&drawn[y]));
            caught++;
        } else {
            lockdep_acquire(&drawn[y]);
        }
    }
    CHECK(caught > 5 && caught < ROUNDS);
}

// ---- limits --------------------------------------------------------------------------------------------------------------

TEST(more_classes_than_there_is_room_for) {
    static struct spinlock many[MAX_CLASSES + 1];
    static char names[MAX_CLASSES + 1][8];
    make_locks();
    for (unsigned i = 0; i <= MAX_CLASSES; i++) {
        snprintf(names[i], sizeof(names[i]), "n%u", i);
        spin_init(&many[i], names[i]);
    }
    for (unsigned i = 0; i < MAX_CLASSES; i++) {
        lockdep_acquire(&many[i]);
        lockdep_release(&many[i]);
    }
    CHECK_PANICS(lockdep_acquire(&many[MAX_CLASSES]));
    table_lock = 0;  // it went down with the panic
}

TEST(more_locks_held_than_there_is_room_for) {
    static struct spinlock deep[MAX_HELD + 1];
    static char names[MAX_HELD + 1][8];
    make_locks();
    for (unsigned i = 0; i <= MAX_HELD; i++) {
        snprintf(names[i], sizeof(names[i]), "d%u", i);
        spin_init(&deep[i], names[i]);
    }
    for (unsigned i = 0; i < MAX_HELD; i++) lockdep_acquire(&deep[i]);
    CHECK_PANICS(lockdep_acquire(&deep[MAX_HELD]));
}
