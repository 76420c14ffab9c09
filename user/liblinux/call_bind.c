// Names for sockets: bind and listen.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/fmt.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket_names.h"

#define QUEUE_BYTES 16384u  // of the pipe in which connections wait

// The ends of the pipe through which comes what is sent to the name. Nobody could send to the socket before.
static int64_t make_ends(const struct lx_fd *old, struct lx_fd *fd, kpio_handle *writer) {
    const bool datagrams = lx_socket_is(old, LX_SOCK_DGRAM);
    int64_t result = kpio_pipe_create(datagrams ? KPIO_PIPE_MAILBOX : KPIO_PIPE_SEQPACKET, datagrams ? 0 : QUEUE_BYTES, writer);
    if (result < 0) return result;
    fd->handle = (kpio_handle)result;
    const uint64_t flags = datagrams ? lx_object_flags(old->handle, 0, 0) : 0;
    const bool nonblock = datagrams ? flags & KPIO_OBJECT_NONBLOCK : old->flags & LX_FD_NONBLOCK;
    if (nonblock) (void)lx_object_flags(fd->handle, 0, KPIO_OBJECT_NONBLOCK);
    if (lx_socket_wants_credentials(old)) lx_socket_want_credentials(fd, true);
    return 0;
}

static int64_t settle(struct lx_thread *t, uint64_t number, const struct lx_fd *old, const struct lx_socket_key *key) {
    struct lx_fd fd = *old;
    kpio_handle writer;
    int64_t result = make_ends(old, &fd, &writer);
    if (result < 0) return result;
    lx_socket_set_label(fd.handle, &key->name);
    if (lx_socket_is(old, LX_SOCK_DGRAM)) lx_socket_set_label(writer, &key->name);
    result = lx_socket_bind(t, key, fd.device & LX_SOCKET_TYPES, writer);
    if (result > 0 && lx_socket_is(old, LX_SOCK_DGRAM)) {
        const uint64_t peer = old->device & LX_SOCKET_SHARED ? lx_socket_id_of_way(old->second) : 0;
        (void)lx_object_flags(writer, 0, (uint64_t)result << 1 | peer << LX_SOCKET_PEER);
    }
    (void)kpio_handle_close((uint64_t)writer);
    if (result > 0) {
        fd.device |= LX_SOCKET_BOUND;
        (void)lx_object_flags(fd.handle, UINT64_MAX << LX_SOCKET_PEER & KPIO_OBJECT_FLAGS, (uint64_t)result << LX_SOCKET_PEER);
        result = lx_fd_replace(lx_process(t), number, old, &fd);
    }
    const kpio_handle over = result < 0 ? fd.handle : old->handle;
    if (over > 0) (void)kpio_handle_close((uint64_t)over);
    return result;
}

#define AUTOBIND_NAMES 0x100000u
// An abstract name of five digits that nobody has.
static int64_t autobind(struct lx_thread *t, uint64_t number, const struct lx_fd *fd) {
    struct lx_socket_key key = {.name = {.size = 6}};
    for (uint32_t tries = 0; tries < AUTOBIND_NAMES; tries++) {
        uint32_t value;
        int64_t result = kpio_random_get((uint8_t *)&value, sizeof value);
        if (result < 0) return result;
        fmt_print(key.name.path + 1, 6, "%05x", value % AUTOBIND_NAMES);
        result = settle(t, number, fd, &key);
        if (result != -EADDRINUSE) return result;
    }
    return -ENOSPC;
}

// ABI bind: names need posixd; not of datagram sockets that socketpair made
LX_CALL(bind) {
    struct lx_fd fd;
    struct lx_socket_name name;
    struct lx_socket_key key;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error == 0) error = lx_socket_name_in(a1, a2, &name);
    if (error < 0) return error == -LX_NO_FAMILY ? -EINVAL : error;
    if (name.size == 0) return fd.device & LX_SOCKET_BOUND ? 0 : autobind(t, a0, &fd);
    const bool pair = fd.second > 0 && !(fd.device & (LX_SOCKET_ALONE | LX_SOCKET_SHARED));
    if (fd.device & LX_SOCKET_BOUND || pair) return -EINVAL;
    error = lx_socket_key_make(t, &name, &key);
    return error < 0 ? error : settle(t, a0, &fd, &key);
}

#define BACKLOG_MAX 4096u  // Linux's usual net.core.somaxconn
// ABI listen: at most 512 connections wait
LX_CALL(listen) {
    struct lx_fd fd, fresh;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if (lx_socket_is(&fd, LX_SOCK_DGRAM)) return -EOPNOTSUPP;
    if (!(fd.device & LX_SOCKET_BOUND) || fd.second > 0) return -EINVAL;
    const uint32_t backlog = MIN((uint32_t)a1, BACKLOG_MAX), wait = MIN(backlog + 1, KPIO_PIPE_PARCELS_MAX);  // one more, as on Linux
    error = kpio_pipe_limit(fd.handle, wait);
    if (error == 0) error = lx_socket_listen(t, (uint32_t)(lx_object_flags(fd.handle, 0, 0) >> LX_SOCKET_PEER));
    if (error < 0) return error;
    fresh = fd;
    fresh.device |= LX_SOCKET_LISTENS;
    return lx_fd_replace(lx_process(t), a0, &fd, &fresh);
}
