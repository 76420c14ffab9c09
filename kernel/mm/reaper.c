#include "kernel/mm/reaper.h"

#include "abi/types.h"
#include "kernel/core/assert.h"
#include "kernel/sched/sched.h"

#define HELP_STEPS 2
#define REAPER_WEIGHT 64u  // of 1,024: whoever wakes goes before it, and who needs what it frees does its work himself

static struct spinlock reaper_lock = SPINLOCK_INIT("reaper");
static struct list items = LIST_INIT(items);   // with something that anybody may free
static struct list ending = LIST_INIT(ending); // for the thread
static struct thread *idle_reaper;             // the thread, while it waits; guarded by reaper_lock
static uint64_t added, ended;                  // items ever; atomic

void reaper_add(struct reap_item *item) {
    spin_lock(&reaper_lock);
    list_push_back(item->free_some != NULL ? &items : &ending, &item->node);
    struct thread *t = idle_reaper;
    idle_reaper = NULL;
    __atomic_fetch_add(&added, 1, __ATOMIC_RELAXED);
    if (t) wait_wake_locked(t, 0);
    spin_unlock(&reaper_lock);
}

static struct reap_item *take(struct list *list) {
    spin_lock(&reaper_lock);
    struct reap_item *item = list_pop_front_entry(list, struct reap_item, node);
    spin_unlock(&reaper_lock);
    return item;
}

// Takes an item out for the time of one step, so that nobody else works on it.
static bool help_step(void) {
    struct reap_item *item = take(&items);
    if (!item) return false;
    bool more = item->free_some(item);
    spin_lock(&reaper_lock);
    list_push_front(more ? &items : &ending, &item->node);
    spin_unlock(&reaper_lock);
    return true;
}

bool reaper_help(void) {
    unsigned steps = 0;
    while (steps < HELP_STEPS && help_step()) steps++;
    return steps > 0;
}

bool reaper_end_next(void) {
    while (help_step()) (void)sched_preempt_point();
    struct reap_item *item = take(&ending);
    if (!item) return false;
    item->end(item);
    __atomic_fetch_add(&ended, 1, __ATOMIC_RELEASE);
    return true;
}

uint64_t reaper_added(void) { return __atomic_load_n(&added, __ATOMIC_ACQUIRE); }
uint64_t reaper_ended(void) { return __atomic_load_n(&ended, __ATOMIC_ACQUIRE); }

static void reaper_unlink(struct thread *t) { idle_reaper = NULL; }

static void reaper_main(void *arg) {
    sched_set_schedule(current_thread(), KPIO_SCHED_FAIR, 0, REAPER_WEIGHT, current_thread()->affinity);
    for (;;) {
        while (reaper_end_next()) (void)sched_preempt_point();
        spin_lock(&reaper_lock);
        if (!list_is_empty(&items) || !list_is_empty(&ending)) {
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
