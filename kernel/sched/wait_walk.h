// Walks over waiters that may be many: after WAIT_WALK_STEP of them a walk lets go of the lock for a preemption point. Its
// place is kept in the list by a node that is no thread's, and so is the end that the list had then: who comes later is
// not met. Whoever looks at such a list sees a `struct wait_state` first, and passes those that wait for nothing.
//
//     wait_walk_begin(&walk, waiters);                            lock held
//     while ((t = wait_walk_next(&walk)) != NULL) {
//         ... may take t off the list ...
//         if (wait_walk_is_long(&walk)) { wait_walk_park(&walk); unlock; preemption point; lock; wait_walk_resume(&walk); }
//     }
//     wait_walk_end(&walk);
#pragma once
#include "kernel/sched/thread.h"

#define WAIT_WALK_STEP 64

struct wait_walk {
    struct list *waiters;
    struct list_node *next;         // to be looked at next; NULL: none
    unsigned looked;                // since the lock was taken
    bool bounded;                   // `end` is in the list
    struct wait_state place, end;   // nobody waits through these: unlink is NULL, data is 0
};

static inline bool wait_is_marker(const struct wait_state *wait) { return wait->unlink == NULL; }

static inline void wait_walk_begin(struct wait_walk *w, struct list *waiters) {
    w->waiters = waiters;
    w->next = list_first(waiters);
    w->looked = 0;
    w->bounded = false;
}

// NULL at the end.
static inline struct thread *wait_walk_next(struct wait_walk *w) {
    while (w->next != NULL && !(w->bounded && w->next == &w->end.node)) {
        struct wait_state *wait = list_entry(w->next, struct wait_state, node);
        w->next = list_next(w->waiters, w->next);
        w->looked++;
        if (!wait_is_marker(wait)) return container_of(wait, struct thread, wait);
    }
    return NULL;
}

static inline bool wait_walk_is_long(const struct wait_walk *w) { return w->looked >= WAIT_WALK_STEP && w->next != NULL; }
void wait_walk_park(struct wait_walk *w);
void wait_walk_resume(struct wait_walk *w);
static inline void wait_walk_end(struct wait_walk *w) {
    if (w->bounded) list_remove(&w->end.node);
}
