// CRC-32C (Castagnoli), as ext4 and iSCSI use it.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Continues a checksum: start with ~0; the usual final inversion is the caller's (ext4 does without).
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

// Back over zeros: the checksum that `size` bytes of them made `crc` of.
uint32_t crc32c_before_zeros(uint32_t crc, size_t size);
// The checksum that `crc` continues: crc32c(crc32c_before(crc, data, size), data, size) == crc.
uint32_t crc32c_before(uint32_t crc, const void *data, size_t size);

// crc32c without the processor's instruction; what it falls back to.
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);
