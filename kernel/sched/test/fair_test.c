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

// A sleeper beside `hog`, which is charged at every step as by calls that wake others: sleeps for `rest`, then works for `work` if it
// takes the CPU at once. Returns how often it did not, of `times`.
static unsigned count_late(uint64_t rest, uint64_t work, unsigned times, struct sched_entity *sleeper, struct sched_entity *hog) {
    enum { STEP_NS = 10000 };
    struct fair_queue q;
    unsigned late = 0;
    fair_init(&q);
    setup(sleeper, FAIR_WEIGHT), setup(hog, FAIR_WEIGHT);
    fair_join(&q, hog), fair_join(&q, sleeper);
    fair_leave(&q, sleeper);
    for (unsigned i = 0; i < times; i++) {
        for (uint64_t ns = 0; ns < rest; ns += STEP_NS) fair_charge(&q, hog, STEP_NS), hog->runtime += STEP_NS;
        fair_join(&q, sleeper);
        if (fair_preempts(&q, sleeper, hog)) {
            fair_insert(&q, hog);
            fair_charge(&q, sleeper, work), sleeper->runtime += work;
            fair_remove(&q, hog);
        } else {
            late++;
        }
        fair_leave(&q, sleeper);
    }
    return late;
}

TEST(fair_sleeper_goes_first_while_it_takes_less_than_its_share) {
    static const uint64_t works[] = {MS / 100, MS / 5, MS - MS / 100};
    struct sched_entity sleeper, hog;
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) CHECK_EQ(count_late(MS, works[i], 1000, &sleeper, &hog), 0);
    check_close(sleeper.runtime, hog.runtime, hog.runtime / 50);
}

TEST(fair_sleeper_goes_first_no_longer_when_it_takes_more) {
    struct sched_entity sleeper, hog;
    CHECK(count_late(MS, 2 * MS, 1000, &sleeper, &hog) > 0);
    check_close(sleeper.runtime, hog.runtime, 2 * FAIR_SLICE_NS);
}

TEST(fair_sleeping_gains_no_more_than_it_may) {
    struct fair_queue q;
    struct sched_entity a, b;
    fair_init(&q);
    setup(&a, FAIR_WEIGHT), setup(&b, FAIR_WEIGHT);
    fair_join(&q, &a), fair_join(&q, &b);
    fair_leave(&q, &b);
    fair_charge(&q, &a, 1000 * MS);
    fair_join(&q, &b);
    CHECK_EQ(a.vruntime - b.vruntime, FAIR_REST_NS);
}

TEST(fair_rested_one_lets_another_in_after_its_first_slice) {
    struct fair_queue q;
    struct sched_entity hog, a, b;
    fair_init(&q);
    setup(&hog, FAIR_WEIGHT), setup(&a, FAIR_WEIGHT), setup(&b, FAIR_WEIGHT);
    fair_join(&q, &hog), fair_join(&q, &a), fair_join(&q, &b);
    fair_leave(&q, &a), fair_leave(&q, &b);
    fair_charge(&q, &hog, 10 * MS);
    fair_join(&q, &a);
    fair_charge(&q, &hog, FAIR_SLICE_NS / 2);  // what it ran before a woke
    CHECK(fair_preempts(&q, &a, &hog));
    fair_insert(&q, &hog);
    CHECK_EQ(fair_slice_left(&a), FAIR_FIRST_SLICE_NS);
    CHECK(fair_charge(&q, &a, FAIR_FIRST_SLICE_NS));
    CHECK_EQ(fair_slice_left(&a), FAIR_SLICE_NS);
    fair_join(&q, &b);
    CHECK(fair_preempts(&q, &b, &a));
    fair_leave(&q, &b);
    fair_insert(&q, &a);
    CHECK(fair_pick(&q) == &a);  // which still takes less than its share: the hog gains nothing by that
}

TEST(fair_debt_is_given_back_while_others_run) {
    struct fair_queue q;
    struct sched_entity a, b;
    fair_init(&q);
    setup(&a, FAIR_WEIGHT), setup(&b, FAIR_WEIGHT);
    fair_join(&q, &a), fair_join(&q, &b);
    fair_charge(&q, &b, 2 * MS);
    for (uint64_t ahead = 2 * MS; ahead > 0; ahead -= MS) {
        fair_leave(&q, &b);
        fair_join(&q, &b);
        CHECK_EQ(b.vruntime - a.vruntime, ahead);
        CHECK(!fair_preempts(&q, &b, &a));
        fair_charge(&q, &a, MS);
    }
}

TEST(fair_moving_to_another_queue_keeps_the_distance) {
    struct fair_queue q[2];
    struct sched_entity a, b, c;
    fair_init(&q[0]), fair_init(&q[1]);
    setup(&a, FAIR_WEIGHT), setup(&b, FAIR_WEIGHT), setup(&c, FAIR_WEIGHT);
    fair_join(&q[0], &a), fair_join(&q[0], &b);
    fair_charge(&q[0], &b, 2 * MS);
    fair_leave(&q[0], &b);
    fair_join(&q[1], &c);
    fair_charge(&q[1], &c, 500 * MS);
    fair_join(&q[1], &b);
    CHECK_EQ(b.vruntime - c.vruntime, 2 * MS);
}

TEST(fair_sleeps_for_a_year_and_goes_first) {
    struct fair_queue q;
    struct sched_entity a, b;
    fair_init(&q);
    setup(&a, 1), setup(&b, FAIR_WEIGHT);
    fair_join(&q, &a), fair_join(&q, &b);
    fair_leave(&q, &b);
    for (int day = 0; day < 365; day++) {
        for (int i = 0; i < 24 * 4; i++) fair_charge(&q, &a, 900ull * 1000 * MS);
        fair_join(&q, &b);
        CHECK(fair_preempts(&q, &b, &a));
        fair_leave(&q, &b);
        b.vruntime = b.lag = 0;  // as one that left on the first day
    }
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
