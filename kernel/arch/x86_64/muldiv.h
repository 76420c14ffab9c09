// 64 x 64 / 64 bits without losing what lies between.
#pragma once
#include <stdint.h>

// a * b / c, rounded down; UINT64_MAX when that does not fit. c > 0.
static inline uint64_t mul_div(uint64_t a, uint64_t b, uint64_t c) {
    unsigned __int128 product = (unsigned __int128)a * b;
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    if (high >= c) return UINT64_MAX;
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(c) : "cc");
    return low;
}
