// The journal's thread: commits every 5 s, as ext4 does elsewhere, and writes home in time.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"

#define PERIOD 2500000000ull  // ns: what is older is committed, so that nothing waits longer than 5 s

static void run(void *arg) {
    struct journal *j = arg;
    for (;;) {
        spin_lock(&j->wake->lock);
        if (j->stop) break;
        wait_queue_join_unlock(j->wake, NULL, NULL);
        (void)wait_block(arch_now() + PERIOD);
        journal_tick(j, arch_now(), PERIOD);
    }
    spin_unlock(&j->wake->lock);
    completion_signal(&j->stopped);
}

int journal_start_thread(struct journal *j) {
    j->wake = kzalloc(sizeof *j->wake);
    if (j->wake == NULL) return -ENOMEM;
    wait_queue_init(j->wake, "journal_thread");
    completion_init(&j->stopped, "journal_thread");
    if (sched_kthread_create("journal", run, j) != NULL) return 0;
    kfree(j->wake);
    j->wake = NULL;
    return -ENOMEM;
}

void journal_thread_wake(struct journal *j) {
    if (j->wake == NULL) return;
    spin_lock(&j->wake->lock);
    (void)wait_queue_wake_locked(j->wake, UINT32_MAX, 0);
    spin_unlock(&j->wake->lock);
}

void journal_thread_stop(struct journal *j) {
    if (j->wake == NULL) return;
    spin_lock(&j->wake->lock);
    j->stop = true;
    (void)wait_queue_wake_locked(j->wake, UINT32_MAX, 0);
    spin_unlock(&j->wake->lock);
    completion_wait(&j->stopped);
    kfree(j->wake);
    j->wake = NULL;
}
