// What a power cut leaves of a FAT32: judged by the model of the workload, by fsck.fat, and by going on with it.
#pragma once
#include "kernel/fs/fat32/test/fat_host.h"
#include "kernel/fs/vfs/test/power_cuts.h"

struct fat_judge {
    struct fat_host h;         // the volume under judgement; its own disk
    const struct power_model *model;
    char output[80];           // what fsck.fat says, a file
    char *text;                // the first fault
    bool twins;                // a file has two names: it was being moved
    bool torn;                 // a name that no block holds was being made or removed
};
// For volumes of so many bytes.
void fat_judge_begin(struct fat_judge *judge, uint64_t bytes);
void fat_judge_end(struct fat_judge *judge);
power_judge fat_power_judge;   // its context is a struct fat_judge
