// The real clock, for the times of files and commits.
#include "kernel/fs/vfs/fs.h"

#define NANOSECONDS 1000000000u

struct fs_time fs_now(void) {
    uint64_t now = arch_clock.realtime_base + arch_now();
    return (struct fs_time){.seconds = (int64_t)(now / NANOSECONDS), .nanoseconds = (uint32_t)(now % NANOSECONDS)};
}
