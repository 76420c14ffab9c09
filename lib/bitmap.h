// Bit arrays in 64-bit words. The caller locks and knows the number of bits.
#pragma once

#include "lib/util.h"

#define BITMAP_WORDS(bits) (((bits) + 63) / 64)
#define BITMAP(name, bits) uint64_t name[BITMAP_WORDS(bits)]

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
    return (map[bit / 64] >> (bit % 64)) & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
    map[bit / 64] |= 1ull << (bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
    map[bit / 64] &= ~(1ull << (bit % 64));
}

// First set (clear) bit at or after `from`; `bits` when there is none.
size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from);

// First run of `count` clear bits at or after `from`; `bits` when there is none. count > 0.
size_t bitmap_find_clear_run(const uint64_t *map, size_t bits, size_t from, size_t count);

void bitmap_set_range(uint64_t *map, size_t from, size_t count);
void bitmap_clear_range(uint64_t *map, size_t from, size_t count);
size_t bitmap_count_set(const uint64_t *map, size_t bits);
