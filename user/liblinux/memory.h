// Mappings of the space: what the loader and the memory calls are made of. Addresses or negative errnos.
#pragma once
#include "user/liblinux/context.h"

// Zeroed memory; flags KPIO_MAP_*; address 0: anywhere.
[[nodiscard]] int64_t lx_map_anonymous(struct lx_space *space, uint64_t size, uint32_t flags, uint64_t address);
// Readable and writable memory for liblinux itself.
[[nodiscard]] int64_t lx_map_own(struct lx_space *space, uint64_t size);
// A part of a file, flags KPIO_MAP_*. A shared mapping may be made writable later if the descriptor may write.
struct lx_fd;
[[nodiscard]] int64_t lx_map_file(struct lx_space *space, const struct lx_fd *fd, uint64_t offset, uint64_t size, uint32_t flags,
                                  uint64_t address);
