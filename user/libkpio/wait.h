// Waiting for one thing, and time.
#pragma once
#include "abi/gen/stubs.h"

// Waits until one of `signals` is asserted on an object: 0, and *value, if not NULL, is what a port's packet would tell (its lower
// half). -ETIMEDOUT, -EDESTROYED: the handle has ended, or another negative errno.
[[nodiscard]] int wait_signal(kpio_handle object, uint32_t signals, uint64_t deadline, uint32_t *value);
// Waits for the end of a process, thread or job; *status, if not NULL, gets the exit status of a process.
[[nodiscard]] int wait_terminated(kpio_handle object, uint64_t deadline, int64_t *status);

static inline uint64_t time_now(void) { return (uint64_t)kpio_clock_get(0); }
// A deadline that many milliseconds from now.
static inline uint64_t time_after_ms(uint64_t ms) { return time_now() + ms * 1000000; }
void time_sleep_ms(uint64_t ms);
