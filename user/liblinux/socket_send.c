// How a message leaves a socket: the peer or where an address leads to, and what is to be done when it cannot.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/signal.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/socket_time.h"

#define MESSAGE_MAX 212960u       // bytes, as Linux's default
#define RING_MAX    (256u << 10)  // that holds one

int64_t lx_socket_unconnected(const struct lx_fd *fd) {
    if (fd->device & LX_SOCKET_LISTENS) return -EINVAL;
    return lx_socket_is(fd, LX_SOCK_STREAM) ? -EINVAL : -ENOTCONN;
}

// Its socket is there, but shut.
static bool takes_no_more(kpio_handle to) {
    struct kpio_pipe_info info;
    return kpio_pipe_info(to, &info) == 0 && info.peer;
}

static int64_t failed(struct lx_thread *t, const struct lx_fd *fd, kpio_handle to, int64_t error, uint32_t flags) {
    if (error == -EBUSY) return -ETOOMANYREFS;
    if (error != -EPIPE) return lx_socket_result(t, fd, LX_SOCKET_SEND, error);
    if (lx_socket_is(fd, LX_SOCK_DGRAM)) return takes_no_more(to) ? -EPIPE : -ECONNREFUSED;
    if (!(flags & LX_MSG_NOSIGNAL) && lx_socket_is(fd, LX_SOCK_STREAM)) lx_signal_raise(t, LX_SIGPIPE);
    return error;
}

// Room for a message of this size: 0, or why there is none.
static int64_t make_room(kpio_handle to, uint64_t size) {
    int64_t result;
    if (size > MESSAGE_MAX) return -EMSGSIZE;
    do result = kpio_pipe_resize(to, RING_MAX);
    while (result == -EAGAIN);
    return result < 0 ? -ENOBUFS : 0;
}

static int64_t send_noted(struct lx_thread *t, const struct lx_fd *fd, kpio_handle to, const struct lx_outgoing *o) {
    int64_t result = fd->device & LX_SOCKET_SHARED ? lx_socket_may_send(fd, to) : 0;
    if (result < 0) return result;
    result = lx_note_send(t, fd, to, o->parts, o->count, o->who, o->beside, o->flags);
    if (result == -EMSGSIZE) {
        result = make_room(to, o->size);
        if (result == 0) result = lx_note_send(t, fd, to, o->parts, o->count, o->who, o->beside, o->flags);
    }
    return result >= 0 ? result : failed(t, fd, to, result, o->flags);
}

static int64_t send_plain(struct lx_thread *t, const struct lx_fd *fd, const struct lx_outgoing *o) {
    const uint64_t options = o->flags & LX_MSG_DONTWAIT ? KPIO_PIPE_NOWAIT : 0;
    return lx_block(t, SYS_pipe_write_vector, (uint64_t)fd->second, o->parts, o->count, options,
                    lx_socket_deadline(fd, LX_SOCKET_SEND), 0);
}

int64_t lx_socket_send_again(struct lx_thread *t, const struct lx_fd *fd, int64_t error, const struct lx_outgoing *o) {
    if (error == -EMSGSIZE) {
        error = make_room(fd->second, o->size);
        if (error == 0) error = send_plain(t, fd, o);
    }
    if (error == -ENODATA) return send_noted(t, fd, fd->second, o);
    return error >= 0 ? error : failed(t, fd, fd->second, error, o->flags);
}

static int64_t send_to_name(struct lx_thread *t, const struct lx_fd *fd, const struct lx_outgoing *o, uint64_t at, uint32_t size) {
    struct lx_socket_name name;
    struct lx_socket_key key;
    struct lx_socket_found found;
    int64_t result = lx_socket_name_in(at, size, &name);
    if (result == -LX_NO_FAMILY) result = -EINVAL;
    if (result == 0) result = lx_socket_key_find(t, &name, &key);
    if (result == 0) result = lx_socket_find(t, &key, LX_SOCK_DGRAM, &found);
    if (result < 0) return result;
    const struct lx_fd way = {.handle = fd->handle, .extra = fd->extra, .device = fd->device | LX_SOCKET_SHARED};
    result = send_noted(t, &way, found.pipe, o);
    (void)kpio_handle_close((uint64_t)found.pipe);
    return result;
}

int64_t lx_socket_send(struct lx_thread *t, const struct lx_fd *fd, const struct lx_outgoing *o, uint64_t name,
                       uint32_t name_size) {
    const bool datagrams = lx_socket_is(fd, LX_SOCK_DGRAM);
    if (o->flags & LX_MSG_OOB) return -EOPNOTSUPP;
    if (lx_socket_is(fd, LX_SOCK_STREAM) && name != 0 && name_size != 0) return fd->second > 0 ? -EISCONN : -EOPNOTSUPP;
    if (datagrams && fd->device & (LX_SOCKET_SHARED | LX_SOCKET_ALONE | LX_SOCKET_BOUND) &&
        lx_object_flags(fd->handle, 0, 0) & LX_SOCKET_MUTE)
        return -EPIPE;
    if (datagrams && name != 0 && name_size != 0) return send_to_name(t, fd, o, name, name_size);
    if (!lx_socket_connected(fd)) return -ENOTCONN;
    if (o->size == 0 && lx_socket_is(fd, LX_SOCK_STREAM)) return 0;
    if (o->beside != NULL || o->who != NULL || !lx_socket_is_plain(fd)) return send_noted(t, fd, fd->second, o);
    int64_t result = send_plain(t, fd, o);
    return likely(result >= 0) ? result : lx_socket_send_again(t, fd, result, o);
}
