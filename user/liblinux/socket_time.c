#include "user/liblinux/socket_time.h"

#include "abi/gen/errors.h"
#include "lib/util.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/time.h"

// A half of lx_fd.extra: 0 for no time-out, else a number of 4 ms, or with the highest bit of seconds; rounded up. Times too long for
// that are none.
#define STEP    4000000ull
#define SECONDS 0x8000u
#define MOST    0x7fffu

struct timeval {
    int64_t seconds, microseconds;
};
static unsigned shift_of(enum lx_socket_way way) { return way == LX_SOCKET_SEND ? 16 : 0; }

static uint64_t time_of(const struct lx_fd *fd, enum lx_socket_way way) {
    const uint32_t half = fd->extra >> shift_of(way) & 0xffff;
    return half & SECONDS ? (half & MOST) * LX_SECOND : half * STEP;
}

uint64_t lx_socket_deadline_slowly(const struct lx_fd *fd, enum lx_socket_way way) {
    const uint64_t ns = time_of(fd, way);
    return ns == 0 ? KPIO_TIME_NEVER : lx_now() + ns;
}

int64_t lx_socket_result(struct lx_thread *t, const struct lx_fd *fd, enum lx_socket_way way, int64_t result) {
    if (result == -ETIMEDOUT) return -EAGAIN;
    if (result == -EINTR && time_of(fd, way) != 0) return result;  // made again it would wait for longer
    return lx_wait_result(t, result);
}

int64_t lx_socket_time_take(struct lx_fd *fd, enum lx_socket_way way, uint64_t at, uint32_t size) {
    struct timeval tv;
    uint64_t half = 0;
    if (size < sizeof tv) return -EINVAL;
    int64_t error = lx_copy_in(&tv, at, sizeof tv);
    if (error < 0) return error;
    if (tv.microseconds < 0 || tv.microseconds >= 1000000) return -EDOM;
    if (tv.seconds < 0) half = 1;  // at once
    else if (tv.seconds <= (int64_t)(MOST * STEP / LX_SECOND) - 1)
        half = ((uint64_t)tv.seconds * LX_SECOND + (uint64_t)tv.microseconds * 1000 + STEP - 1) / STEP;
    else if (tv.seconds < (int64_t)MOST) half = SECONDS | ((uint64_t)tv.seconds + (tv.microseconds != 0));
    fd->extra = (fd->extra & ~(0xffffu << shift_of(way))) | (uint32_t)half << shift_of(way);
    return 0;
}

void lx_socket_time_give(const struct lx_fd *fd, enum lx_socket_way way, uint64_t out[2]) {
    const uint64_t ns = time_of(fd, way);
    out[0] = ns / LX_SECOND;
    out[1] = ns % LX_SECOND / 1000;
}
