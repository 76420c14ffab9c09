#include "kernel/sched/timer_queue.h"

static struct ktimer *timer_of(const struct rb_node *node) { return rb_entry((struct rb_node *)node, struct ktimer, node); }

void timer_queue_init(struct timer_queue *q) {
    list_init(&q->fresh);
    rb_tree_init(&q->tree, NULL);
}

void timer_queue_remove_sorted(struct timer_queue *q, struct ktimer *timer) {
    rb_remove(&q->tree, &timer->node);
    timer->where = TIMER_OFF;
}

static void insert_sorted(struct timer_queue *q, struct ktimer *timer) {
    struct rb_node *parent = NULL, **slot = &q->tree.root;
    while (*slot != NULL) {
        parent = *slot;
        slot = timer->deadline < timer_of(parent)->deadline ? &parent->left : &parent->right;
    }
    rb_insert_at(&q->tree, &timer->node, parent, slot);
    timer->where = TIMER_TREE;
}

struct ktimer *timer_queue_pop(struct timer_queue *q, nanos_t now) {
    struct ktimer *timer;
    while ((timer = list_pop_front_entry(&q->fresh, struct ktimer, fresh)) != NULL) {
        if (timer->deadline <= now) {
            timer->where = TIMER_OFF;
            return timer;
        }
        insert_sorted(q, timer);
    }
    timer = rb_entry_or_null(rb_first(&q->tree), struct ktimer, node);
    if (timer == NULL || timer->deadline > now) return NULL;
    timer_queue_remove_sorted(q, timer);
    return timer;
}

nanos_t timer_queue_next(const struct timer_queue *q) {
    struct rb_node *first = rb_first(&q->tree);
    return first == NULL ? TIME_NEVER : timer_of(first)->deadline;
}
