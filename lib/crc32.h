// CRC-32 as IEEE 802.3, zip and GPT have it: reflected polynomial 0xedb88320, begins and ends inverted.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Continues `crc` over `size` bytes. crc32(0, ...) starts; the result of one call is the `crc` of the next.
uint32_t crc32(uint32_t crc, const void *data, size_t size);
