// The timers of one CPU, in two levels: most timers are time-outs that are cancelled soon, so arming and cancelling one
// is a list operation; only timers that live to the next timer interrupt are sorted. Pure logic, no locks.
#pragma once
#include "kernel/sched/thread.h"

struct timer_queue {
    struct list fresh;     // unsorted: armed since the last expiry
    struct rb_tree tree;   // by deadline
};

void timer_queue_init(struct timer_queue *q);

static inline void timer_queue_add(struct timer_queue *q, struct ktimer *timer, nanos_t deadline) {
    timer->deadline = deadline;
    timer->where = TIMER_FRESH;
    list_push_back(&q->fresh, &timer->fresh);
}
static inline void timer_queue_remove_fresh(struct ktimer *timer) {
    list_remove(&timer->fresh);
    timer->where = TIMER_OFF;
}
void timer_queue_remove_sorted(struct timer_queue *q, struct ktimer *timer);
// The timer is armed.
static inline void timer_queue_remove(struct timer_queue *q, struct ktimer *timer) {
    if (likely(timer->where == TIMER_FRESH)) timer_queue_remove_fresh(timer);
    else timer_queue_remove_sorted(q, timer);
}
// Takes out a timer whose deadline is not after now, or NULL; sorts the fresh ones on the way.
struct ktimer *timer_queue_pop(struct timer_queue *q, nanos_t now);
// The earliest deadline of the sorted ones, TIME_NEVER when there is none. After timer_queue_pop returned NULL: of all.
nanos_t timer_queue_next(const struct timer_queue *q);
