#include "lib/bitmap.h"

// `flip` is 0 to look for set bits, all ones to look for clear ones.
static size_t find_bit(const uint64_t *map, size_t bits, size_t from, uint64_t flip)
{
    size_t word = from / 64;
    uint64_t value;

    if (from >= bits)
        return bits;
    value = (map[word] ^ flip) & (~0ull << (from % 64));
    while (value == 0) {
        word++;
        if (word * 64 >= bits)
            return bits;
        value = map[word] ^ flip;
    }
    return MIN(word * 64 + (size_t)__builtin_ctzll(value), bits);
}

size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from)
{
    return find_bit(map, bits, from, 0);
}

size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from)
{
    return find_bit(map, bits, from, ~0ull);
}

size_t bitmap_find_clear_run(const uint64_t *map, size_t bits, size_t from, size_t count)
{
    while (from < bits) {
        size_t start = bitmap_find_clear(map, bits, from);
        size_t end = bitmap_find_set(map, bits, start);

        if (end - start >= count)
            return start;
        from = end;
    }
    return bits;
}

// The bits of word `word` that lie in [from, from + count).
static uint64_t word_mask(size_t word, size_t from, size_t end)
{
    uint64_t mask = ~0ull;

    if (word == from / 64)
        mask &= ~0ull << (from % 64);
    if (word == end / 64)
        mask &= (1ull << (end % 64)) - 1;
    return mask;
}

void bitmap_set_range(uint64_t *map, size_t from, size_t count)
{
    size_t end = from + count;

    for (size_t word = from / 64; word * 64 < end; word++)
        map[word] |= word_mask(word, from, end);
}

void bitmap_clear_range(uint64_t *map, size_t from, size_t count)
{
    size_t end = from + count;

    for (size_t word = from / 64; word * 64 < end; word++)
        map[word] &= ~word_mask(word, from, end);
}

size_t bitmap_count_set(const uint64_t *map, size_t bits)
{
    size_t count = 0;

    for (size_t word = 0; word * 64 < bits; word++)
        count += popcount64(map[word] & word_mask(word, 0, bits));
    return count;
}
