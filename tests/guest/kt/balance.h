// What the whole system holds, before and after a case: nothing may be lost.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "abi/types.h"

struct kt_balance {
    uint64_t free_pages, handles;
    uint64_t objects[KPIO_KIND_COUNT];
};

// Touches what grows once on first use (caches, page tables of the suite), so that it does not count as lost. Returns when whoever
// started this program is done with that.
void kt_balance_warm_up(void);
// Waits until no more jobs, processes and threads are there than after the warm-up: all that earlier cases started has ended and is
// gone. What stays for a minute is taken to stay for good, and counts from then on.
void kt_balance_settle(void);
// Waits, briefly, until what ended processes left behind is gone.
void kt_balance_take(struct kt_balance *balance);
// Whether nothing was lost; else `reason` says what. Memory may stay in per-CPU caches: some pages are tolerated.
bool kt_balance_equal(const struct kt_balance *before, const struct kt_balance *after, char *reason, size_t size);
