// Timers as objects: a deadline, a period, and how often it fired since somebody last asked.
// Lock: timer->waiters.lock; ktimer calls and waking inside.
#pragma once
#include "kernel/object/handle.h"
#include "kernel/sched/sched.h"

#define TIMER_PERIOD_MIN_NS 50000u  // a shorter period counts right but interrupts no oftener

struct timer {
    struct object object;
    struct wait_queue waiters;
    struct ktimer ktimer;
    nanos_t next;      // TIME_NEVER: stopped
    uint64_t period;   // 0: once
    uint64_t fired;    // since it was read or set
    bool closed;       // unreachable: never armed again
};
static inline struct timer *timer_of(struct object *o) { return (struct timer *)o; }

void timer_init(void);
[[nodiscard]] int timer_create(struct job *job, struct timer **out);
// Forgets what fired, fires at deadline and every period ns after it (0: once). TIME_NEVER stops it.
void timer_set(struct timer *timer, nanos_t deadline, uint64_t period);
void timer_describe(struct timer *timer, struct kpio_timer_info *info);
// Takes the number of times it fired; waits while it is 0. -EAGAIN (with nowait), -ETIMEDOUT, ...
[[nodiscard]] int64_t timer_read(struct handle *via, bool nowait, nanos_t deadline);

// How often a timer that was due at `next` has fired by now; moves next beyond now. Pure.
uint64_t timer_advance(nanos_t *next, uint64_t period, nanos_t now);
