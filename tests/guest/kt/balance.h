// What the whole system holds, before and after a case: nothing may be lost.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "abi/types.h"

struct kt_balance {
    uint64_t free_pages, handles;
    uint64_t objects[KPIO_KIND_COUNT];
};

// Touches what grows once on first use (caches, page tables of the suite), so that it does not count as lost.
void kt_balance_warm_up(void);
// Waits, briefly, until what ended processes left behind is gone.
void kt_balance_take(struct kt_balance *balance);
// Whether nothing was lost; else `reason` says what. Memory may stay in per-CPU caches: some pages are tolerated.
bool kt_balance_equal(const struct kt_balance *before, const struct kt_balance *after, char *reason, size_t size);
