// links: lib/bitmap.c
#include "lib/bitmap.h"

#include "tests/unit/unit.h"

TEST(bitmap_find_in_empty_map)
{
    uint64_t map[2] = {0};

    CHECK_EQ(bitmap_find_set(map, 128, 0), 128);
    CHECK_EQ(bitmap_find_clear(map, 128, 5), 5);
    CHECK_EQ(bitmap_find_set(map, 0, 0), 0);
}

TEST(bitmap_find_stops_at_the_end)
{
    uint64_t map[2] = {0, 1ull << 40};

    CHECK_EQ(bitmap_find_set(map, 100, 0), 100);
    CHECK_EQ(bitmap_find_set(map, 128, 0), 104);
    CHECK_EQ(bitmap_find_set(map, 128, 105), 128);
}

TEST(bitmap_find_agrees_with_bit_by_bit_search)
{
    uint64_t map[3];

    for (int round = 0; round < 1000; round++) {
        size_t bits = 1 + unit_random() % 192, from = unit_random() % bits, expected = from;

        for (int i = 0; i < 3; i++)
            map[i] = unit_random() & unit_random() & unit_random();
        while (expected < bits && !(map[expected / 64] >> (expected % 64) & 1))
            expected++;
        CHECK_EQ(bitmap_find_set(map, bits, from), expected);
    }
}
