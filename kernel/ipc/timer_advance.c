#include "kernel/ipc/timer.h"

uint64_t timer_advance(nanos_t *next, uint64_t period, nanos_t now) {
    if (*next > now) return 0;
    if (period == 0) {
        *next = TIME_NEVER;
        return 1;
    }
    uint64_t times = (now - *next) / period + 1;
    uint64_t step;
    if (__builtin_mul_overflow(times, period, &step) || __builtin_add_overflow(*next, step, next)) *next = TIME_NEVER;
    return times;
}
