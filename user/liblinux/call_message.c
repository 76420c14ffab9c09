// send, recv and their like with one buffer.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/socket_time.h"

static uint64_t options(uint32_t flags) { return flags & LX_MSG_DONTWAIT ? KPIO_PIPE_NOWAIT : 0; }

LX_CALL(sendto) {
    struct lx_fd fd;
    const uint32_t flags = (uint32_t)a3;
    const bool named = a4 != 0 && (uint32_t)a5 != 0;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    const struct lx_iovec part = {a1, a2};
    const struct lx_outgoing o = {.parts = (uint64_t)&part, .count = 1, .size = a2, .flags = flags};
    const bool plain = lx_socket_is_plain(&fd) && !named && !(flags & LX_MSG_OOB) && a2 != 0;
    if (unlikely(!plain)) return lx_socket_send(t, &fd, &o, a4, (uint32_t)a5);
    int64_t result = lx_block(t, SYS_pipe_write, (uint64_t)fd.second, a1, a2, options(flags),
                              lx_socket_deadline(&fd, LX_SOCKET_SEND), 0);
    return likely(result >= 0) ? result : lx_socket_send_again(t, &fd, result, &o);
}

// ---- receiving ----------------------------------------------------------------------------------------------------------

// Goes on until all has come, the end, an error, or a signal.
static int64_t receive_rest(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t done,
                            uint64_t how, uint64_t deadline) {
    while ((uint64_t)done < size) {
        int64_t more = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, buffer + (uint64_t)done, size - (uint64_t)done, how,
                                deadline, 0);
        if (more <= 0) break;
        done += more;
    }
    return done;
}

// A datagram, and from which name it came.
static int64_t receive_named(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, uint64_t how,
                             uint64_t deadline, struct lx_socket_name *from) {
    struct lx_note note;
    const struct lx_iovec part = {buffer, size};
    struct kpio_pipe_message m = {.parts = (uint64_t)&part, .part_count = 1, .note = (uint64_t)&note, .note_size = sizeof note};
    int64_t result = lx_block(t, SYS_pipe_receive, (uint64_t)fd->handle, (uint64_t)&m, how, deadline, 0, 0);
    from->size = 0;
    if (result >= 0) lx_note_name(&note, m.note_size, from);
    return result;
}

LX_CALL(recvfrom) {
    struct lx_fd fd;
    struct lx_socket_name from;
    const uint32_t flags = (uint32_t)a3;
    int64_t error = lx_socket_get(t, a0, &fd), result;
    if (error < 0) return error;
    if (flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (flags & LX_MSG_ERRQUEUE) return -EAGAIN;
    if (fd.second <= 0) return lx_socket_unconnected(&fd);
    const bool stream = lx_socket_is(&fd, LX_SOCK_STREAM), named = a4 != 0 && lx_socket_is(&fd, LX_SOCK_DGRAM);
    const uint64_t how = options(flags) | (flags & LX_MSG_PEEK ? KPIO_PIPE_PEEK : 0);
    if (a2 == 0 && stream) return 0;
    const uint64_t deadline = lx_socket_deadline(&fd, LX_SOCKET_RECEIVE);
    if (unlikely(named)) result = receive_named(t, &fd, a1, a2, how, deadline, &from);
    else result = lx_block(t, SYS_pipe_read, (uint64_t)fd.handle, a1, a2, how, deadline, 0);
    if (unlikely(result < 0)) return lx_socket_result(t, &fd, LX_SOCKET_RECEIVE, result);
    if (unlikely(flags & LX_MSG_WAITALL && !(flags & LX_MSG_PEEK) && stream && result > 0))
        result = receive_rest(t, &fd, a1, a2, result, how, deadline);
    if (!stream && flags & LX_MSG_TRUNC && (uint64_t)result == a2) result = (int64_t)MAX(t->block->message_bytes, a2);
    if (a4 == 0) return result;
    if (!named) lx_socket_label(fd.second, &from);
    error = from.size == 0 ? lx_copy_out(a5, &(uint32_t){0}, sizeof(uint32_t)) : lx_socket_name_out(&from, a4, a5);
    return error < 0 ? error : result;
}
