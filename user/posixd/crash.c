// For tests: with the setting crash=N a posixd ends, of itself, at one of about N steps. Steps are where something lasts from here on:
// a part of a change, the whole of it, something done outside of the state.
#include "user/posixd/posixd.h"

static uint64_t one_in, random;

void crash_set_up(void) {
    one_in = startup_number("crash", 0);
    random = time_now();
}

void crash_step(void) {
    if (one_in == 0) return;
    random = random * 6364136223846793005ull + 1442695040888963407ull;
    if ((random >> 33) % one_in == 0)
        for (;;) (void)kpio_process_exit(0);
}
