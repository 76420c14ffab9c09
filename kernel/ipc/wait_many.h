// Waiting for signals of several objects at once: a thread links a place for each into the object's watchers, looks, and
// sleeps until one of them is told.
// Lock: thread->many_lock guards the sleep; a place is guarded by its source's watch lock. A place that was linked is let go
// only under that lock, so whoever holds it may still use the thread's memory.
#pragma once
#include "kernel/ipc/watch.h"

struct wait_many;
struct wait_place {
    struct watcher watch;
    struct spinlock *lock;   // its source's; NULL: it was never linked
    struct wait_many *many;
};

// What waits: `count` items, each with a place. The memory is the caller's.
struct wait_many {
    struct thread *thread;
    struct kpio_wait_item *items;
    struct wait_place *places;
    uint32_t count;
    bool woken;              // something happened while the thread did not sleep
};

// Fills in `asserted` of each item and returns how many have some; waits while there is none, but not for deadline 0.
// 0: the deadline passed. -EBADF, -EACCES, -EINVAL (a kind that cannot be waited on, unknown signals), -EINTR, -ECANCELED
// (the thread ends).
[[nodiscard]] int64_t wait_many(struct wait_many *m, nanos_t deadline);
