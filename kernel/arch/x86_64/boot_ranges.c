#include "kernel/arch/x86_64/ranges.h"

static void delete_at(struct range_set *set, unsigned at) {
    for (unsigned i = at; i + 1 < set->count; i++) set->range[i] = set->range[i + 1];
    set->count--;
}

static bool insert_at(struct range_set *set, unsigned at, uint64_t base, uint64_t end) {
    if (set->count == BOOT_MAX_RANGES) {
        set->overflowed = true;
        return false;
    }
    for (unsigned i = set->count; i > at; i--) set->range[i] = set->range[i - 1];
    set->range[at] = (struct mem_range){.base = base, .size = end - base};
    set->count++;
    return true;
}

void range_set_add(struct range_set *set, uint64_t base, uint64_t end) {
    if (end <= base) return;
    unsigned at = 0;
    while (at < set->count && set->range[at].base + set->range[at].size < base) at++;
    // Everything from `at` on that starts at or before `end` touches the new range: swallow it.
    while (at < set->count && set->range[at].base <= end) {
        uint64_t old_end = set->range[at].base + set->range[at].size;
        if (set->range[at].base < base) base = set->range[at].base;
        if (old_end > end) end = old_end;
        delete_at(set, at);
    }
    insert_at(set, at, base, end);
}

void range_set_remove(struct range_set *set, uint64_t base, uint64_t end) {
    if (end <= base) return;
    for (unsigned i = 0; i < set->count;) {
        uint64_t low = set->range[i].base, high = low + set->range[i].size;
        if (high <= base || low >= end) {
            i++;
            continue;
        }
        bool keep_low = low < base, keep_high = high > end;
        if (keep_low && keep_high && set->count == BOOT_MAX_RANGES) {
            set->overflowed = true;
            if (base - low >= high - end)
                keep_high = false;
            else
                keep_low = false;
        }
        delete_at(set, i);
        if (keep_low) insert_at(set, i++, low, base);
        if (keep_high) insert_at(set, i++, end, high);
    }
}

bool range_set_contains(const struct range_set *set, uint64_t base, uint64_t end) {
    for (unsigned i = 0; i < set->count; i++) {
        const struct mem_range *r = &set->range[i];
        if (base >= r->base && end <= r->base + r->size) return base <= end;
    }
    return false;
}
