// Mappings of the space: what the loader and the memory calls are made of. Addresses or negative errnos.
#pragma once
#include "user/liblinux/context.h"

// Zeroed memory; flags KPIO_MAP_*; address 0: anywhere.
[[nodiscard]] int64_t lx_map_anonymous(struct lx_space *space, uint64_t size, uint32_t flags, uint64_t address);
// Readable and writable memory for liblinux itself.
[[nodiscard]] int64_t lx_map_own(struct lx_space *space, uint64_t size);
// A part of a file (a handle on a kernel file), flags KPIO_MAP_*; needs READ on it, for EXECUTE that too.
[[nodiscard]] int64_t lx_map_file(struct lx_space *space, kpio_handle file, uint64_t offset, uint64_t size, uint32_t flags, uint64_t address);
