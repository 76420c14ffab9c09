// Frees what is too large to be freed on the spot (VMOs, address spaces), in a kernel thread, step by step.
#pragma once
#include "lib/list.h"

struct reap_item {
    struct list_node node;
    // Frees a bounded piece; false when nothing is left that is freed this way. Takes no locks but those of the allocators and
    // jobs, and must not block. May be NULL.
    bool (*free_some)(struct reap_item *item);
    // Frees the rest; then the item's memory may be gone. No lock is held; preemptible.
    void (*end)(struct reap_item *item);
};

// Hands an item over. Any context; takes one spin lock.
void reaper_add(struct reap_item *item);
// Does a piece of the reaper's work here, for somebody who has found no memory. True: something was freed. Any lock may be
// held but those of the allocators and jobs.
bool reaper_help(void);
// Ends the next item, as the thread does. False: there is none. No lock held; preemptible.
bool reaper_end_next(void);
// How many were ever handed over, and how many of them have ended.
uint64_t reaper_added(void);
uint64_t reaper_ended(void);
// Starts the thread. Once, when the scheduler runs. Until then items wait.
void reaper_start(void);
