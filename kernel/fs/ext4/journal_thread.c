// The journal's thread: commits every 5 s, as ext4 does elsewhere, and writes home in time.
#include "abi/gen/errors.h"
#include "kernel/fs/ext4/journal_internal.h"
#include "kernel/mm/slub.h"

#define PERIOD 2500000000ull  // ns: what is older is committed, so that nothing waits longer than 5 s

// Where it sleeps. The timer of a sleep that ended otherwise may still look at the lock.
struct journal_wake {
    struct wait_queue queue;
    struct rcu_head rcu;
};

static void wake_free(struct rcu_head *head) { kfree(container_of(head, struct journal_wake, rcu)); }

static void run(void *arg) {
    struct journal *j = arg;
    for (;;) {
        spin_lock(&j->wake->queue.lock);
        if (j->stop) break;
        wait_queue_join_unlock(&j->wake->queue, NULL, NULL);
        (void)wait_block(arch_now() + PERIOD);
        journal_tick(j, arch_now(), PERIOD);
    }
    spin_unlock(&j->wake->queue.lock);
    completion_signal(&j->stopped);
}

int journal_start_thread(struct journal *j) {
    j->wake = kzalloc(sizeof *j->wake);
    if (j->wake == NULL) return -ENOMEM;
    wait_queue_init(&j->wake->queue, "journal_thread");
    completion_init(&j->stopped, "journal_thread");
    if (sched_kthread_create("journal", run, j) != NULL) return 0;
    kfree(j->wake);
    j->wake = NULL;
    return -ENOMEM;
}

void journal_thread_wake(struct journal *j) {
    if (j->wake == NULL) return;
    spin_lock(&j->wake->queue.lock);
    (void)wait_queue_wake_locked(&j->wake->queue, UINT32_MAX, 0);
    spin_unlock(&j->wake->queue.lock);
}

void journal_thread_stop(struct journal *j) {
    if (j->wake == NULL) return;
    spin_lock(&j->wake->queue.lock);
    j->stop = true;
    (void)wait_queue_wake_locked(&j->wake->queue, UINT32_MAX, 0);
    spin_unlock(&j->wake->queue.lock);
    completion_wait(&j->stopped);
    rcu_call(&j->wake->rcu, wake_free);
    j->wake = NULL;
}
