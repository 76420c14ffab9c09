// What a guest's processes did (lib/test/power_script.h), as far as their disk's record tells.
#pragma once
#include "kernel/fs/vfs/test/power_cuts.h"

#define POWER_STEPS_MOST 2000u

// Notes each step of the scripts with when it can have begun and must have ended, from where data are seen in the record.
void power_guest_note(struct power_log *log, unsigned steps, uint64_t seed);
// A setting of the environment, or `usual`.
unsigned power_setting(const char *name, unsigned usual);
