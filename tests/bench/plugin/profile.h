// How often each instruction ran between the marks. For guests with one CPU.
#pragma once
#include <stdint.h>
#include <stdio.h>

struct profile_slot {
    uint64_t address; // 0: unused
    uint64_t count;
};

// The slot of the instruction at this address, which stays where it is; NULL when there are too many.
struct profile_slot *profile_slot(uint64_t address);
// Writes ,"profile":[[address,count],...] for those that ran, and starts again from nothing.
void profile_write(FILE *out);
