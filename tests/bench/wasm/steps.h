// What a host takes for the steps of a start, from one program to the other: time-stamp counter, and differences of it.
#pragma once
#include <stdint.h>

struct start_steps {
    uint64_t began;        // when main() did
    uint64_t engine;       // making the engine
    uint64_t load;         // the artifact: mapped, checked, read
    uint64_t define;       // what the program imports of WASI, into a linker
    uint64_t instantiate;
    uint64_t ended;        // when the program's first function was to be called
};
