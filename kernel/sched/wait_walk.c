#include "kernel/sched/wait_walk.h"

void wait_walk_park(struct wait_walk *w) {
    if (!w->bounded) {
        w->end = (struct wait_state){0};
        list_push_back(w->waiters, &w->end.node);
        w->bounded = true;
    }
    w->place = (struct wait_state){0};
    list_insert_before(w->next, &w->place.node);
}

void wait_walk_resume(struct wait_walk *w) {
    w->next = list_next(w->waiters, &w->place.node);
    list_remove(&w->place.node);
    w->looked = 0;
}
