// links: kernel/sched/timer_queue.c lib/rbtree.c
#include "kernel/sched/timer_queue.h"
#include "tests/unit/unit.h"

TEST(timer_pop_takes_what_is_due_in_any_level) {
    struct timer_queue q;
    struct ktimer a = {0}, b = {0}, c = {0};
    timer_queue_init(&q);
    timer_queue_add(&q, &a, 30);
    timer_queue_add(&q, &b, 10);
    timer_queue_add(&q, &c, 20);
    CHECK(timer_queue_pop(&q, 5) == NULL);
    CHECK_EQ(a.where, TIMER_TREE);
    CHECK_EQ(timer_queue_next(&q), 10);
    CHECK(timer_queue_pop(&q, 20) == &b);
    CHECK(timer_queue_pop(&q, 20) == &c);
    CHECK(timer_queue_pop(&q, 20) == NULL);
    CHECK_EQ(timer_queue_next(&q), 30);
    CHECK_EQ(b.where, TIMER_OFF);
}

TEST(timer_cancel_in_either_level) {
    struct timer_queue q;
    struct ktimer a = {0}, b = {0};
    timer_queue_init(&q);
    timer_queue_add(&q, &a, 1);
    timer_queue_remove(&q, &a);
    CHECK_EQ(a.where, TIMER_OFF);
    timer_queue_add(&q, &a, 50);
    timer_queue_add(&q, &b, 40);
    CHECK(timer_queue_pop(&q, 0) == NULL);
    timer_queue_remove(&q, &b);
    CHECK_EQ(timer_queue_next(&q), 50);
    timer_queue_remove(&q, &a);
    CHECK_EQ(timer_queue_next(&q), TIME_NEVER);
}

static void check_next(struct timer_queue *q, const struct ktimer *t, int n, nanos_t now) {
    nanos_t least = TIME_NEVER;
    for (int i = 0; i < n; i++) {
        if (t[i].where == TIMER_OFF) continue;
        CHECK(t[i].deadline > now);
        if (t[i].deadline < least) least = t[i].deadline;
    }
    CHECK_EQ(timer_queue_next(q), least);
}

TEST(timer_random_operations_lose_and_invent_nothing) {
    enum { N = 64 };
    static struct ktimer t[N];
    struct timer_queue q;
    struct ktimer *due;
    nanos_t now = 0;
    timer_queue_init(&q);
    for (int step = 0; step < 20000; step++) {
        struct ktimer *one = &t[unit_random() % N];
        uint64_t what = unit_random() % 3;
        if (what < 2 && one->where != TIMER_OFF) timer_queue_remove(&q, one);
        if (what == 0) timer_queue_add(&q, one, now + unit_random() % 1000);
        if (what < 2) continue;
        now += unit_random() % 100;
        while ((due = timer_queue_pop(&q, now)) != NULL) CHECK(due->deadline <= now && due->where == TIMER_OFF);
        check_next(&q, t, N, now);
    }
}
