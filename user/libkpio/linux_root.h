// Roots for Linux programs that are shown nothing but what is put there.
#pragma once
#include "abi/types.h"

// A directory with /dev, /proc and /sys as Linux programs want them, for a few entries more; all rights, the caller's. Or a negative errno.
[[nodiscard]] int64_t linux_root_make(void);
