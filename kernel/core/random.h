// Random numbers for the whole kernel and, through it, for user space: ChaCha20 with fast key erasure, one stream per
// CPU, seeded at boot before anything else draws.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Seeds the boot CPU's stream. Until then random_bytes may not be called.
void random_init(const uint8_t seed[32]);
// Stirs in more: 32 bytes of any quality.
void random_add(const uint8_t data[32]);
// Fills buf. Any context of the kernel (interrupts off).
void random_bytes(void *buf, size_t n);
uint64_t random_u64(void);
// Even over 0 .. limit-1; limit > 0.
uint64_t random_below(uint64_t limit);
