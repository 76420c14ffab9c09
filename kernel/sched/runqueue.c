#include "kernel/sched/runqueue.h"

#include "kernel/core/assert.h"

struct runqueue runqueues[CONFIG_MAX_CPUS];
uint64_t sched_idle_cpus;

void runqueue_init(struct runqueue *rq) {
    fair_init(&rq->fair);
    timer_queue_init(&rq->timers);
    for (unsigned i = 0; i < REALTIME_PRIORITIES; i++) list_init(&rq->realtime[i]);
    list_init(&rq->idle_class);
    rq->slice_end = rq->armed = TIME_NEVER;
}

static bool may_move(const struct sched_entity *e, uint32_t cpu) {
    const struct thread *t = e->thread;
    return sched_is_movable(t) && t != this_cpu()->current && (t->affinity >> cpu & 1);
}

struct sched_entity *runqueue_find_movable(struct runqueue *rq, uint32_t cpu) {
    enum { TRIES = 8 };  // bounded: the longest waiting few of each class
    unsigned tries = TRIES;
    for (int word = 1; word >= 0; word--) {
        for (uint64_t set = rq->realtime_set[word]; set != 0 && tries > 0; tries--) {
            unsigned bit = log2_floor(set);
            set &= ~(1ull << bit);
            struct sched_entity *e =
                list_first_entry(&rq->realtime[(unsigned)word * 64 + bit], struct sched_entity, fifo);
            if (e != NULL && may_move(e, cpu)) return e;
        }
    }
    tries = TRIES;
    if (rq->fair.single != NULL && may_move(rq->fair.single, cpu)) return rq->fair.single;
    for (struct rb_node *node = rb_first(&rq->fair.tree); node != NULL && tries > 0; node = rb_next(node), tries--) {
        struct sched_entity *e = rb_entry(node, struct sched_entity, node);
        if (may_move(e, cpu)) return e;
    }
    struct sched_entity *e = list_first_entry(&rq->idle_class, struct sched_entity, fifo);
    return e != NULL && may_move(e, cpu) ? e : NULL;
}
