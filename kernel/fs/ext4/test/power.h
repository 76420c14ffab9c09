// A workload of several writers at work on one ext4, and the check of what a power cut leaves of it.
#pragma once
#include "kernel/fs/ext4/test/volume_host.h"
#include "kernel/fs/vfs/test/power_cuts.h"

#define POWER_SUPER_SECTOR 2u  // ext4's superblock is this sector and the next

struct power_run {
    struct volume_host volume;
    struct power_log log;
    uint64_t random;
    uint32_t next_id, next_version, ids[POWER_PATHS], sectors[POWER_FILES];
    unsigned big_directory;    // names in it, while it is filled or emptied
    bool big_shrinks;
};

// `options`: of the mount. Makes the volume, then runs `steps` operations on it under the recorder, and unmounts it.
void power_work(struct power_run *run, const char *mke2fs, const char *size, const char *options, unsigned steps, uint64_t seed);
void power_free(struct power_run *run);
// Cuts the power at `cuts` places and checks what is found then, after our recovery and after e2fsck's. Returns how many of
// them showed a fault; prints the first ones unless `quiet`. Stops at `enough` faults.
unsigned power_check(struct power_run *run, unsigned cuts, uint64_t seed, unsigned enough, bool quiet);
