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

void sched_wait_for_kill(void) {
    struct wait_queue nobody;
    wait_queue_init(&nobody, "kill");
    spin_lock(&nobody.lock);
    wait_queue_join_unlock(&nobody, NULL, NULL);
    (void)wait_block(TIME_NEVER);
}
