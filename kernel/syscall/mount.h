// What the calls that mount share.
#pragma once
#include "kernel/fs/vfs/fs.h"

#define MOUNT_OPTIONS_MAX 255

// A file system, just mounted, as the root of a tree of its own: a handle on it, or an error. Takes fs over in every case.
int64_t mount_show(struct filesystem *fs);
