// SO_RCVTIMEO and SO_SNDTIMEO. They are in the descriptor (lx_fd.extra), so duplicates made before do not have them; those made
// afterwards, by fork and exec too, do.
#pragma once
#include "user/liblinux/socket.h"

enum lx_socket_way { LX_SOCKET_RECEIVE, LX_SOCKET_SEND };

uint64_t lx_socket_deadline_slowly(const struct lx_fd *fd, enum lx_socket_way way);
// Until when a call that begins now waits.
static inline uint64_t lx_socket_deadline(const struct lx_fd *fd, enum lx_socket_way way) {
    return fd->extra == 0 ? KPIO_TIME_NEVER : lx_socket_deadline_slowly(fd, way);
}
// As lx_wait_result, with what a time-out changes.
[[nodiscard]] int64_t lx_socket_result(struct lx_thread *t, const struct lx_fd *fd, enum lx_socket_way way, int64_t result);
// The option's value (struct timeval) from the program's memory into *fd: 0, -EINVAL, -EDOM, -EFAULT. And the other way.
[[nodiscard]] int64_t lx_socket_time_take(struct lx_fd *fd, enum lx_socket_way way, uint64_t at, uint32_t size);
void lx_socket_time_give(const struct lx_fd *fd, enum lx_socket_way way, uint64_t out[2]);
