// send, recv and their like with one buffer; what all sends share.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/socket_names.h"

#define MESSAGE_MAX 212960u      // bytes, as Linux's default
#define RING_MAX    (256u << 10) // that holds one

int64_t lx_socket_unconnected(const struct lx_fd *fd) {
    if (fd->device & LX_SOCKET_LISTENS) return -EINVAL;
    return (fd->device & LX_SOCKET_TYPES) == LX_SOCK_STREAM ? -EINVAL : -ENOTCONN;
}

static bool is(const struct lx_fd *fd, uint32_t type) { return (fd->device & LX_SOCKET_TYPES) == type; }

static int64_t failed(struct lx_thread *t, const struct lx_fd *fd, int64_t error, uint32_t flags) {
    if (error != -EPIPE) return lx_wait_result(t, error);
    if (is(fd, LX_SOCK_DGRAM)) return -ECONNREFUSED;
    if (!(flags & LX_MSG_NOSIGNAL) && is(fd, LX_SOCK_STREAM)) lx_signal_raise(t, LX_SIGPIPE);
    return error;
}

// Room for a message of this size: 0, or why there is none.
static int64_t make_room(const struct lx_fd *fd, uint64_t size) {
    int64_t result;
    if (size > MESSAGE_MAX) return -EMSGSIZE;
    do result = kpio_pipe_resize(fd->second, RING_MAX);
    while (result == -EAGAIN);
    return result < 0 ? -ENOBUFS : 0;
}

static uint64_t options(uint32_t flags) { return flags & LX_MSG_DONTWAIT ? KPIO_PIPE_NOWAIT : 0; }

int64_t lx_socket_send_failed(struct lx_thread *t, const struct lx_fd *fd, int64_t error, uint64_t buffer, uint64_t size,
                              uint32_t flags) {
    if (error == -EMSGSIZE) {
        error = make_room(fd, size);
        if (error < 0) return error;
        error = lx_block(t, SYS_pipe_write, (uint64_t)fd->second, buffer, size, options(flags), KPIO_TIME_NEVER, 0);
    }
    return error >= 0 ? error : failed(t, fd, error, flags);
}

int64_t lx_socket_send_failed_vector(struct lx_thread *t, const struct lx_fd *fd, int64_t error, uint64_t parts, uint64_t count,
                                     uint32_t flags) {
    if (error == -EMSGSIZE) {
        uint64_t size = 0;
        for (uint64_t i = 0; i < count; i++) {
            struct lx_iovec part;
            error = lx_copy_in(&part, parts + i * sizeof part, sizeof part);
            if (error < 0) return error;
            size += MIN(part.size, (uint64_t)MESSAGE_MAX + 1);
        }
        error = make_room(fd, size);
        if (error < 0) return error;
        error = lx_block(t, SYS_pipe_write_vector, (uint64_t)fd->second, parts, count, options(flags), KPIO_TIME_NEVER, 0);
    }
    return error >= 0 ? error : failed(t, fd, error, flags);
}

#define SEND_FLAGS                                                                                                                 \
    (uint32_t)(LX_MSG_DONTWAIT | LX_MSG_NOSIGNAL | LX_MSG_EOR | LX_MSG_MORE | LX_MSG_WAITALL | LX_MSG_CMSG_CLOEXEC | LX_MSG_TRUNC)

// ABI sendto: no names of datagram sockets
LX_CALL(sendto) {
    struct lx_fd fd;
    const uint32_t flags = (uint32_t)a3;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if (flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (a4 != 0 && (uint32_t)a5 != 0) {
        if (is(&fd, LX_SOCK_DGRAM)) return -EOPNOTSUPP;
        return fd.second > 0 ? -EISCONN : -EOPNOTSUPP;
    }
    if (fd.second <= 0) return -ENOTCONN;
    if (a2 == 0 && is(&fd, LX_SOCK_STREAM)) return 0;
    int64_t result = lx_block(t, SYS_pipe_write, (uint64_t)fd.second, a1, a2, options(flags), KPIO_TIME_NEVER, 0);
    return likely(result >= 0) ? result : lx_socket_send_failed(t, &fd, result, a1, a2, flags);
}

// ---- receiving -----------------------------------------------------------------------------------------------------------

// Goes on until all has come, the end, an error, or a signal.
static int64_t receive_rest(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t done,
                            uint64_t how) {
    while ((uint64_t)done < size) {
        int64_t more = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, buffer + (uint64_t)done, size - (uint64_t)done, how,
                                KPIO_TIME_NEVER, 0);
        if (more <= 0) break;
        done += more;
    }
    return done;
}

LX_CALL(recvfrom) {
    struct lx_fd fd;
    const uint32_t flags = (uint32_t)a3;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if (flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (flags & LX_MSG_ERRQUEUE) return -EAGAIN;
    if (fd.second <= 0) return lx_socket_unconnected(&fd);
    bool stream = is(&fd, LX_SOCK_STREAM);
    const uint64_t how = options(flags) | (flags & LX_MSG_PEEK ? KPIO_PIPE_PEEK : 0);
    if (a2 == 0 && stream) return 0;
    int64_t result = lx_block(t, SYS_pipe_read, (uint64_t)fd.handle, a1, a2, how, KPIO_TIME_NEVER, 0);
    if (unlikely(result < 0)) return lx_wait_result(t, result);
    if (unlikely(flags & LX_MSG_WAITALL && !(flags & LX_MSG_PEEK) && stream && result > 0))
        result = receive_rest(t, &fd, a1, a2, result, how);
    if (!stream && flags & LX_MSG_TRUNC && (uint64_t)result == a2) result = (int64_t)MAX(t->block->message_bytes, a2);
    if (a4 != 0) {
        error = lx_socket_name_out(t, &fd, true, a4, a5);
        if (error < 0) return error;
    }
    return result;
}
