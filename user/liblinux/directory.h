// Records of getdents64.
#pragma once
#include "user/liblinux/linux.h"

// Writes one; `next`: the offset behind it; type: mode >> 12. The name may lie where the record comes. Returns its bytes.
uint64_t lx_dirent_put(struct lx_dirent64 *to, uint64_t inode, int64_t next, uint8_t type, const char *name, uint64_t name_bytes);
