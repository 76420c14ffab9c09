// Line coverage of coverage builds. The compiler gives every basic block a counter (-fsanitize-coverage=inline-8bit-counters
// with a table of addresses); `tests/` maps the addresses back to lines.
#pragma once
#include <stddef.h>
#include <stdint.h>

// Copies records from byte `offset` on: one 64-bit word per basic block, (address - kernel image start) << 8 | count
// (0..255, may wrap). Only whole records; 0 at the end, or in builds without coverage.
size_t coverage_read(uint64_t offset, void *buffer, size_t size);
