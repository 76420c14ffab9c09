#include "lib/crc32c.h"

#include <stdbool.h>

// Remainders of the 16 values of four bits, for the reversed polynomial 0x82f63b78: a table that costs one cache line.
static const uint32_t nibble_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size) {
    const uint8_t *at = data;

    for (; size != 0; at++, size--) {
        crc ^= *at;
        crc = crc >> 4 ^ nibble_table[crc & 15];
        crc = crc >> 4 ^ nibble_table[crc & 15];
    }
    return crc;
}

// A checksum is a polynomial over GF(2), x^0 in its highest bit, and a bit more is a multiplication by x. Modulo the polynomial
// of the CRC, which has an x^0, there is an x^-1.
#define POLYNOMIAL 0x82f63b78u
#define ONE 0x80000000u
#define ONE_OVER_X ((ONE ^ POLYNOMIAL) << 1 | 1)

static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;

    for (; a != 0; a <<= 1) {
        if (a & ONE) product ^= b;
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

uint32_t crc32c_before_zeros(uint32_t crc, size_t size) {
    uint32_t power = ONE_OVER_X;  // of 2^n bits

    for (int i = 0; i < 3; i++) power = multiply(power, power);
    for (; size != 0; size >>= 1) {
        if (size & 1) crc = multiply(crc, power);
        power = multiply(power, power);
    }
    return crc;
}

// Of data and what comes before, each alone, the checksums add up.
uint32_t crc32c_before(uint32_t crc, const void *data, size_t size) {
    return crc32c_before_zeros(crc ^ crc32c(0, data, size), size);
}

#if defined(__x86_64__)
static bool has_instruction(void) {
    static int known;  // 0 not asked yet, 1 no, 2 yes; asking twice does no harm
    int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (answer == 0) {
        uint32_t eax = 1, ebx, ecx = 0, edx;

        __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
        answer = ecx >> 20 & 1 ? 2 : 1;  // SSE4.2; the instruction itself uses general registers
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}

struct unaligned {
    uint64_t word;
} __attribute__((packed, may_alias));

// One instruction for 8 bytes at `offset`; they need not be aligned.
#define STEP(offset) __asm__("crc32q %1, %0" : "+r"(value) : "m"(*(const struct unaligned *)(at + (offset))))

static uint32_t crc32c_instruction(uint32_t crc, const uint8_t *at, size_t size) {
    uint64_t value = crc;

    for (; size >= 64; at += 64, size -= 64) {
        STEP(0);
        STEP(8);
        STEP(16);
        STEP(24);
        STEP(32);
        STEP(40);
        STEP(48);
        STEP(56);
    }
    for (; size >= 8; at += 8, size -= 8) STEP(0);
    if (size >= 4) {
        uint32_t half;

        __builtin_memcpy(&half, at, sizeof(half));
        value = (uint32_t)value;
        __asm__("crc32l %1, %k0" : "+r"(value) : "r"(half));
        at += 4;
        size -= 4;
    }
    for (; size != 0; at++, size--) __asm__("crc32b %1, %0" : "+r"(value) : "r"(*at));
    return (uint32_t)value;
}
#undef STEP

uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    return has_instruction() ? crc32c_instruction(crc, data, size) : crc32c_portable(crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size) {
    return crc32c_portable(crc, data, size);
}
#endif
