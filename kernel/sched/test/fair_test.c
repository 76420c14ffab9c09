// links: kernel/sched/fair.c lib/rbtree.c
#include "kernel/sched/fair.h"
#include "tests/unit/unit.h"

#define MS 1000000ull

static void setup(struct sched_entity *e, uint32_t weight) {
    *e = (struct sched_entity){.weight = weight};
    rb_node_init(&e->node);
}

static void start(struct fair_queue *q, struct sched_entity *e) {
    fair_join(q, e);
    fair_insert(q, e);
}

// Lets the best run for `ns`, `times` times; real time goes to its runtime.
static void run(struct fair_queue *q, uint64_t ns, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        struct sched_entity *e = fair_pick(q);
        CHECK(e != NULL);
        fair_remove(q, e);
        fair_charge(q, e, ns);
        e->runtime += ns;
        fair_insert(q, e);
    }
}

static void check_close(uint64_t got, uint64_t wanted, uint64_t tolerance) {
    CHECK(got + tolerance >= wanted && got <= wanted + tolerance);
}

TEST(fair_empty_queue_picks_nobody) {
    struct fair_queue q;
    fair_init(&q);
    CHECK(fair_pick(&q) == NULL);
}

TEST(fair_equal_weights_share_equally) {
    struct fair_queue q;
    struct sched_entity e[5];
    fair_init(&q);
    for (int i = 0; i < 5; i++) setup(&e[i], FAIR_WEIGHT), start(&q, &e[i]);
    run(&q, MS / 2, 1000);
    for (int i = 0; i < 5; i++) check_close(e[i].runtime, 100 * MS, 2 * FAIR_SLICE_NS);
}

TEST(fair_time_follows_weight) {
    struct fair_queue q;
    struct sched_entity e[3];
    const uint32_t weights[3] = {512, 1024, 2560};
    fair_init(&q);
    for (int i = 0; i < 3; i++) setup(&e[i], weights[i]), start(&q, &e[i]);
    run(&q, MS / 4, 8 * 4096);
    for (int i = 0; i < 3; i++) check_close(e[i].runtime, 2ull * weights[i] * MS, 3 * FAIR_SLICE_NS);
}

TEST(fair_sleeper_is_owed_no_more_than_two_slices) {
    struct fair_queue q;
    struct sched_entity a, b;
    fair_init(&q);
    setup(&a, FAIR_WEIGHT), setup(&b, FAIR_WEIGHT);
    start(&q, &a), start(&q, &b);
    run(&q, MS, 10);
    fair_remove(&q, &b);
    fair_leave(&q, &b);
    run(&q, MS, 1000);
    uint64_t before = b.runtime;
    start(&q, &b);
    run(&q, MS, 100);
    check_close(b.runtime - before, 50 * MS, 3 * FAIR_SLICE_NS);
}

TEST(fair_leaving_and_joining_again_gains_nothing) {
    struct fair_queue q;
    struct sched_entity a, b;
    fair_init(&q);
    setup(&a, FAIR_WEIGHT), setup(&b, FAIR_WEIGHT);
    start(&q, &a), start(&q, &b);
    for (int i = 0; i < 1000; i++) {
        run(&q, MS, 1);
        fair_remove(&q, &b);
        fair_leave(&q, &b);
        start(&q, &b);
    }
    check_close(b.runtime, 500 * MS, 5 * FAIR_SLICE_NS);
}

TEST(fair_new_slice_when_used_up) {
    struct fair_queue q;
    struct sched_entity e;
    fair_init(&q);
    setup(&e, FAIR_WEIGHT);
    fair_join(&q, &e);
    CHECK_EQ(fair_slice_left(&e), FAIR_SLICE_NS);
    CHECK(!fair_charge(&q, &e, FAIR_SLICE_NS - 1));
    CHECK_EQ(fair_slice_left(&e), 1);
    CHECK(fair_charge(&q, &e, 1));
    CHECK_EQ(fair_slice_left(&e), FAIR_SLICE_NS);
}

TEST(fair_pick_agrees_with_a_search) {
    enum { N = 40 };
    struct fair_queue q;
    struct sched_entity e[N];
    fair_init(&q);
    for (int i = 0; i < N; i++) setup(&e[i], 1 + (uint32_t)(unit_random() % 10000));
    for (int step = 0; step < 20000; step++) {
        struct sched_entity *one = &e[unit_random() % N];
        if (one->queued) {
            fair_remove(&q, one);
            if (unit_random() % 2) {
                fair_charge(&q, one, unit_random() % (4 * MS));
                fair_insert(&q, one);
            } else {
                fair_leave(&q, one);
            }
        } else {
            start(&q, one);
        }
        struct sched_entity *best = NULL;
        int64_t sum = 0;
        uint64_t weights = 0;
        for (int i = 0; i < N; i++) {
            if (!e[i].queued) continue;
            sum += (int64_t)(e[i].vruntime - q.base) * (int64_t)e[i].weight;
            weights += e[i].weight;
        }
        CHECK_EQ(sum, q.sum);
        CHECK_EQ(weights, q.sum_weight);
        for (int i = 0; i < N; i++) {
            bool eligible = e[i].queued && (int64_t)(e[i].vruntime - q.base) * (int64_t)weights <= sum;
            if (eligible && (best == NULL || (int64_t)(e[i].deadline - best->deadline) < 0)) best = &e[i];
        }
        struct sched_entity *picked = fair_pick(&q);
        CHECK_EQ(picked == NULL, weights == 0);
        if (best != NULL) CHECK_EQ(picked->deadline, best->deadline);
    }
}

TEST(fair_runs_alone_for_a_year_without_overflow) {
    struct fair_queue q;
    struct sched_entity a, b;
    fair_init(&q);
    setup(&a, 1), setup(&b, 10000);
    fair_join(&q, &a);
    for (int i = 0; i < 365 * 24; i++) fair_charge(&q, &a, 3600ull * 1000 * MS);
    fair_join(&q, &b);
    fair_insert(&q, &a), fair_insert(&q, &b);
    run(&q, MS, 10000);
    CHECK(b.runtime > a.runtime);
}
