#include "kernel/mm/reaper.h"

#include "kernel/core/assert.h"
#include "kernel/sched/sched.h"

#define HELP_STEPS 64

static struct spinlock reaper_lock = SPINLOCK_INIT("reaper");
static struct list items = LIST_INIT(items);
static struct thread *idle_reaper;  // the thread, while it waits; guarded by reaper_lock

void reaper_add(struct reap_item *item) {
    spin_lock(&reaper_lock);
    list_push_back(&items, &item->node);
    struct thread *t = idle_reaper;
    idle_reaper = NULL;
    if (t) wait_wake_locked(t, 0);
    spin_unlock(&reaper_lock);
}

// Takes an item out for the time of one step, so that nobody else works on it.
static bool reap_step(void) {
    spin_lock(&reaper_lock);
    struct reap_item *item = list_pop_front_entry(&items, struct reap_item, node);
    spin_unlock(&reaper_lock);
    if (!item) return false;
    if (item->step(item)) {
        spin_lock(&reaper_lock);
        list_push_front(&items, &item->node);
        spin_unlock(&reaper_lock);
    }
    return true;
}

bool reaper_help(void) {
    unsigned steps = 0;
    while (steps < HELP_STEPS && reap_step()) steps++;
    return steps > 0;
}

static void reaper_unlink(struct thread *t) { idle_reaper = NULL; }

static void reaper_main(void *arg) {
    for (;;) {
        while (reap_step()) (void)sched_preempt_point();
        spin_lock(&reaper_lock);
        if (!list_is_empty(&items)) {
            spin_unlock(&reaper_lock);
            continue;
        }
        idle_reaper = current_thread();
        wait_prepare(&reaper_lock, reaper_unlink, NULL, NULL);
        spin_unlock(&reaper_lock);
        (void)wait_block(TIME_NEVER);
    }
}

void reaper_start(void) {
    verify(sched_kthread_create("mm-reaper", reaper_main, NULL) != NULL);
}
