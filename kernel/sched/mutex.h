// Locks that sleep, for code that waits for devices while it holds them. Waits are not ended by a kill: what they wait for
// comes to an end by itself. Those called killable are: 0, or -EINTR and the lock is not held; their lock's memory must be one
// that may be looked at after the wait (kernel/sched/sched.h). No spin lock may be held; not in interrupts.
//
//   struct mutex      one owner; handed over to the longest waiter
//   struct rw_mutex   any number of readers or one writer; in the order of arrival, so that no side starves
#pragma once
#include "kernel/sched/sched.h"

struct mutex {
    struct thread *owner;  // atomic; MUTEX_CONTENDED is set in it while somebody waits
    struct wait_queue queue;
};
void mutex_init(struct mutex *m, const char *name);
void mutex_lock(struct mutex *m);
[[nodiscard]] int mutex_lock_killable(struct mutex *m);
[[nodiscard]] bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_held(const struct mutex *m);  // by the running thread; for assertions

struct rw_mutex {
    uint32_t readers;        // inside; under queue.lock
    bool writing;            // a writer is inside
    struct wait_queue queue; // wait.data[0]: 1 for a writer
};
void rw_mutex_init(struct rw_mutex *m, const char *name);
void rw_mutex_lock_shared(struct rw_mutex *m);
void rw_mutex_unlock_shared(struct rw_mutex *m);
void rw_mutex_lock(struct rw_mutex *m);
[[nodiscard]] int rw_mutex_lock_shared_killable(struct rw_mutex *m);
[[nodiscard]] int rw_mutex_lock_killable(struct rw_mutex *m);
void rw_mutex_unlock(struct rw_mutex *m);
// The writer becomes a reader, without letting another writer in between.
void rw_mutex_downgrade(struct rw_mutex *m);

// Something that is awaited until it has happened once: the end of a request.
struct completion {
    bool done;
    struct wait_queue queue;
};
void completion_init(struct completion *c, const char *name);
void completion_signal(struct completion *c);  // any context, interrupts too
void completion_wait(struct completion *c);
