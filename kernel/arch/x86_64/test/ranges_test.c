// links: kernel/arch/x86_64/boot_ranges.c
#include "kernel/arch/x86_64/ranges.h"

#include <string.h>

#include "tests/unit/unit.h"

// A map of pages to compare with.
enum { PAGES = 256 };

static void check_against(const struct range_set *set, const bool *model) {
    uint64_t end = 0;
    bool found[PAGES] = {0};
    for (unsigned i = 0; i < set->count; i++) {
        CHECK(set->range[i].size > 0);
        CHECK(i == 0 || set->range[i].base > end);  // sorted, disjoint, and touching ones are merged
        end = set->range[i].base + set->range[i].size;
        for (uint64_t p = set->range[i].base; p < end; p++) found[p] = true;
    }
    CHECK_EQ(memcmp(found, model, sizeof(found)), 0);
}

TEST(ranges_agree_with_a_map_of_pages) {
    for (int round = 0; round < 200; round++) {
        struct range_set set = {0};
        bool model[PAGES] = {0};
        for (int step = 0; step < 60; step++) {
            uint64_t base = unit_random() % PAGES, end = base + unit_random() % (PAGES + 1 - base);
            bool add = unit_random() % 2;
            if (add)
                range_set_add(&set, base, end);
            else
                range_set_remove(&set, base, end);
            for (uint64_t p = base; p < end; p++) model[p] = add;
            CHECK(!set.overflowed);
            check_against(&set, model);
        }
    }
}

TEST(ranges_that_end_before_they_start_add_nothing) {
    struct range_set set = {0};
    range_set_add(&set, 100, 50);
    range_set_add(&set, 100, 100);
    CHECK_EQ(set.count, 0);
}

TEST(ranges_beyond_the_limit_are_left_out) {
    struct range_set set = {0};
    for (uint64_t i = 0; i < 2 * BOOT_MAX_RANGES; i++) range_set_add(&set, 10 * i, 10 * i + 5);
    CHECK_EQ(set.count, BOOT_MAX_RANGES);
    CHECK(set.overflowed);
}

TEST(ranges_split_without_room_keep_the_larger_half) {
    struct range_set set = {0};
    for (uint64_t i = 0; i < BOOT_MAX_RANGES; i++) range_set_add(&set, 1000 * i, 1000 * i + 500);
    range_set_remove(&set, 100, 200);
    CHECK_EQ(set.count, BOOT_MAX_RANGES);
    CHECK_EQ(set.range[0].base, 200);
    CHECK_EQ(set.range[0].size, 300);
    CHECK(range_set_contains(&set, 200, 500));
    CHECK(!range_set_contains(&set, 100, 200));
}
