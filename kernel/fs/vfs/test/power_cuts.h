// Cuts the power at places of a device's record, and lets a file system's own judge look at what may be on the medium then.
#pragma once
#include "kernel/block/test/recorder.h"
#include "kernel/fs/vfs/test/power_model.h"

#define POWER_FAULT_ROOM 512u

struct power_log {
    struct recorder record;
    struct power_events events;
    uint8_t *medium;           // as it was when the record began
    uint64_t bytes;
};
void power_log_free(struct power_log *log);

// Looks at an image of log->bytes. Writes the first fault into `text` (POWER_FAULT_ROOM bytes), which is empty before.
typedef void power_judge(void *context, const struct power_model *model, uint8_t *image, uint64_t bytes, char *text);

struct power_plan {
    unsigned cuts;
    uint64_t seed;
    uint64_t sector;           // written in place when the volume is mounted and unmounted: a quarter of the cuts are there
    unsigned enough;           // faults, after which no more cuts are made
    bool quiet;                // else the first ones are printed
    power_judge *judge;
    void *context;
};
// How many cuts showed a fault.
unsigned power_check_cuts(const struct power_log *log, const struct power_plan *plan);
