// Sleeping for a time, in kernel code. Not ended by a kill: code that looks again and again whether something has happened
// would then not sleep any more but spin, and with interrupts off answer no other CPU either.
#include "kernel/sched/mutex.h"

struct sleep {
    struct ktimer timer;
    struct completion over;
};

static void end(struct ktimer *timer) { completion_signal(&container_of(timer, struct sleep, timer)->over); }

void sched_sleep_until(nanos_t deadline) {
    struct sleep s;
    ktimer_init(&s.timer, end);
    completion_init(&s.over, "sleep");
    ktimer_arm(&s.timer, deadline);
    completion_wait(&s.over);
}

// Static, as who kills one of them may look at the lock when that one is gone.
static struct wait_queue nobody = {.lock = SPINLOCK_INIT("kill"), .waiters = LIST_INIT(nobody.waiters)};

void sched_wait_for_kill(void) {
    spin_lock(&nobody.lock);
    wait_queue_join_unlock(&nobody, NULL, NULL);
    (void)wait_block(TIME_NEVER);
}
