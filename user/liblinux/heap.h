// liblinux's own memory: blocks of powers of two from 32 bytes to 64 KiB, shared by all processes of a space. Zeroed.
#pragma once
#include "user/liblinux/context.h"

#define LX_HEAP_MAX 65536u
[[nodiscard]] void *lx_alloc(struct lx_space *space, uint64_t size);  // NULL: no memory, or size above LX_HEAP_MAX
void lx_free(struct lx_space *space, void *block, uint64_t size);     // NULL is allowed; the size that was asked for
