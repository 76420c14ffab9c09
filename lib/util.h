// Small helpers that every module needs: container_of, alignment, bounds, overflow-checked sizes.
// All alignments are powers of two.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef likely
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

// The structure whose `member` is at `ptr`; the type of the pointer is checked, NULL is not allowed.
#define container_of(ptr, type, member)                                                                      \
    ({                                                                                                       \
        __typeof__(((type *)NULL)->member) *container_of_member = (ptr);                                     \
        (type *)((char *)container_of_member - offsetof(type, member));                                      \
    })

#define MIN(a, b)                                                                                            \
    ({                                                                                                       \
        __auto_type min_a = (a);                                                                             \
        __auto_type min_b = (b);                                                                             \
        min_a < min_b ? min_a : min_b;                                                                       \
    })

#define MAX(a, b)                                                                                            \
    ({                                                                                                       \
        __auto_type max_a = (a);                                                                             \
        __auto_type max_b = (b);                                                                             \
        max_a > max_b ? max_a : max_b;                                                                       \
    })

static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

// Wraps to 0 when the result does not fit; use checked_align_up for numbers from outside.
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t alignment)
{
    return (value & (alignment - 1)) == 0;
}

static inline uint64_t div_round_up(uint64_t value, uint64_t divisor)
{
    return value / divisor + (value % divisor != 0);
}

// Position of the highest set bit; value must not be 0.
static inline unsigned log2_floor(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

// Smallest n with 2^n >= value; value must not be 0.
static inline unsigned log2_ceil(uint64_t value)
{
    return value == 1 ? 0 : log2_floor(value - 1) + 1;
}

// Set bits. gcc would call a run-time function that a kernel does not have.
static inline unsigned popcount64(uint64_t value)
{
    value -= value >> 1 & 0x5555555555555555ull;
    value = (value & 0x3333333333333333ull) + (value >> 2 & 0x3333333333333333ull);
    value = (value + (value >> 4)) & 0x0f0f0f0f0f0f0f0full;
    return (unsigned)(value * 0x0101010101010101ull >> 56);
}

// Checked arithmetic: true and the result in *out, or false (and *out untouched) when it does not fit.
[[nodiscard]] static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

[[nodiscard]] static inline bool checked_sub(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b > a)
        return false;
    *out = a - b;
    return true;
}

[[nodiscard]] static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

[[nodiscard]] static inline bool checked_align_up(uint64_t value, uint64_t alignment, uint64_t *out)
{
    uint64_t sum;

    if (__builtin_add_overflow(value, alignment - 1, &sum))
        return false;
    *out = sum & ~(alignment - 1);
    return true;
}

// Does [start, start + length) lie in [0, limit)? Never overflows.
static inline bool range_fits(uint64_t start, uint64_t length, uint64_t limit)
{
    return start <= limit && length <= limit - start;
}
