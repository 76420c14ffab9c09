// adjtimex: what is known of the clock. It is the system's: nobody changes it from here.
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/time.h"

enum { ADJ_OFFSET_READ = 0xa001, STA_UNSYNC = 0x40, TIME_ERROR = 5 };
struct timex {
    uint32_t modes, pad;
    int64_t offset, frequency, max_error, error;
    int32_t status, pad_status;
    int64_t constant, precision, tolerance;
    struct lx_timeval time;
    int64_t tick, pps_frequency, jitter;
    int32_t shift, pad_shift;
    int64_t stability, jitters, calibrations, errors, stabilities;
    int32_t tai, unused[11];
};
_Static_assert(sizeof(struct timex) == 208, "ABI");
#define ERROR_MOST 16000000  // microseconds: nobody knows
#define TOLERANCE  32768000

static int64_t adjust(uint64_t at) {
    struct timex x;
    int64_t error = lx_copy_in(&x, at, sizeof x);
    if (error < 0) return error;
    if (x.modes != 0 && x.modes != ADJ_OFFSET_READ) return -EPERM;
    const uint64_t now = (uint64_t)kpio_clock_get(1);
    x = (struct timex){
        .modes = x.modes,
        .max_error = ERROR_MOST,
        .error = ERROR_MOST,
        .status = STA_UNSYNC,
        .constant = 2,
        .precision = 1,
        .tolerance = TOLERANCE,
        .time = {(int64_t)(now / LX_SECOND), (int64_t)(now % LX_SECOND / 1000)},
        .tick = 10000,
    };
    error = lx_copy_out(at, &x, sizeof x);
    return error < 0 ? error : TIME_ERROR;
}

// ABI adjtimex: tells only (EPERM); the clock is never said to be synchronised
LX_CALL(adjtimex) { return adjust(a0); }
// ABI clock_adjtime: as adjtimex
LX_CALL(clock_adjtime) {
    uint64_t ns;
    int64_t error = lx_clock_read(t, (int32_t)a0, &ns);
    if (error < 0) return error;
    return (int32_t)a0 == LX_CLOCK_REALTIME ? adjust(a1) : -EOPNOTSUPP;
}
