// Frees what is too large to be freed on the spot (VMOs, address spaces), in a kernel thread, step by step.
#pragma once
#include "lib/list.h"

struct reap_item {
    struct list_node node;
    // Frees a bounded piece; false when nothing is left (then the item's memory may be gone). Must not block.
    bool (*step)(struct reap_item *item);
};

// Hands an item over. Any context; takes one spin lock.
void reaper_add(struct reap_item *item);
// Does a piece of the reaper's work here, for somebody who has found no memory. True: something was freed. Any lock may
// be held that no step takes (steps take none but those of the allocators and jobs).
bool reaper_help(void);
// Starts the thread. Once, when the scheduler runs. Until then items wait.
void reaper_start(void);
