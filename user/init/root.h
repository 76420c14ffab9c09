// The root directory: root=DISK (/dev/vda1, vda1) or root=tmpfs of the kernel's command line; without the word a tmpfs.
#pragma once
#include <stdbool.h>

#include "abi/types.h"

// Mounts it at the first call. 0 when it cannot be mounted, which the log tells.
kpio_handle root_directory(void);
// Whether the command line names one.
bool root_is_named(void);
