// Sets of address ranges: sorted, disjoint, merged, page aligned. For memory maps of unknown quality.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "kernel/arch/x86_64/arch.h"

struct range_set {
    struct mem_range range[BOOT_MAX_RANGES];
    unsigned count;
    bool overflowed;  // a range found no room and was left out
};

// Adds [base, end), which may overlap or touch what is there. end <= base adds nothing.
void range_set_add(struct range_set *set, uint64_t base, uint64_t end);
// Takes [base, end) out. When a split finds no room, the smaller half is dropped.
void range_set_remove(struct range_set *set, uint64_t base, uint64_t end);
bool range_set_contains(const struct range_set *set, uint64_t base, uint64_t end);
