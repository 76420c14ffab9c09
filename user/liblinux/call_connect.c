// How unix sockets come together: connect and accept.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/socket_time.h"

// ---- connect: streams and seqpackets ------------------------------------------------------------------------------------

// Sends the server's ends there.
static int64_t send_ends(struct lx_thread *t, const struct lx_fd *fd, kpio_handle queue, const struct lx_fd *side, bool nonblock) {
    const kpio_handle ends[2] = {side->handle, side->second};
    const uint8_t greeting = 0;
    for (unsigned i = 0; i < 2; i++)
        t->block->handles[i] = (struct kpio_message_handle){.handle = ends[i], .rights = KPIO_RIGHTS_SAME, .mode = KPIO_SEND_MOVE};
    const uint64_t options = KPIO_PIPE_SEND_HANDLES(2) | (nonblock ? KPIO_PIPE_NOWAIT : 0);
    int64_t result = lx_block(t, SYS_pipe_write, (uint64_t)queue, (uint64_t)&greeting, sizeof greeting, options,
                              lx_socket_deadline(fd, LX_SOCKET_SEND), 0);
    if (result >= 0) return 0;
    lx_fd_close(side);
    return result == -EPIPE ? -ECONNREFUSED : lx_socket_result(t, fd, LX_SOCKET_SEND, result);
}

static bool is_nonblock(const struct lx_fd *fd) {
    if (fd->handle > 0) return lx_object_flags(fd->handle, 0, 0) & KPIO_OBJECT_NONBLOCK;
    return fd->flags & LX_FD_NONBLOCK;
}

static void name_ends(const struct lx_socket_pair *pair, const struct lx_socket_name *client, const struct lx_socket_name *server) {
    lx_socket_set_label(pair->side[0].handle, client);
    lx_socket_set_label(pair->side[0].second, server);
    lx_socket_set_label(pair->side[1].handle, server);
    lx_socket_set_label(pair->side[1].second, client);
}

static int64_t join(struct lx_thread *t, uint64_t number, const struct lx_fd *old, const struct lx_socket_found *found) {
    struct lx_process *p = lx_process(t);
    struct lx_socket_name name;
    struct lx_socket_pair pair;
    const struct lx_credentials who[2] = {lx_socket_self(p), found->owner};
    const bool nonblock = is_nonblock(old);
    int64_t result = lx_socket_make_pair(old->device & LX_SOCKET_TYPES, who, &pair);
    if (result < 0) return result;
    struct lx_fd *own = &pair.side[0];
    lx_socket_label(old->handle, &name);
    name_ends(&pair, &name, &found->name);
    own->flags = old->flags & (uint8_t)~LX_FD_NONBLOCK;
    own->extra = old->extra;
    if (lx_socket_wants_credentials(old)) lx_socket_want_credentials(own, true);
    (void)kpio_pipe_demand(pair.side[1].handle, 1);  // until it is accepted: who accepts it may ask for credentials then
    if (nonblock) (void)lx_object_status(own, 0, LX_O_NONBLOCK);
    result = send_ends(t, old, found->pipe, &pair.side[1], nonblock);
    if (result == 0) result = lx_fd_replace(p, number, old, own);
    if (result < 0) lx_fd_close(own);
    else if (old->handle > 0) (void)kpio_handle_close((uint64_t)old->handle);  // of its name
    return result;
}

// ---- connect: datagrams -------------------------------------------------------------------------------------------------

static int64_t replace_way(struct lx_thread *t, uint64_t number, const struct lx_fd *old, kpio_handle way, uint16_t how) {
    struct lx_fd fd = *old;
    fd.second = way;
    fd.device = (uint16_t)((old->device & ~(LX_SOCKET_ALONE | LX_SOCKET_SHARED)) | how);
    int64_t result = lx_fd_replace(lx_process(t), number, old, &fd);
    (void)kpio_handle_close((uint64_t)(result < 0 ? way : old->second));
    return result;
}

// What a former peer sent goes with it.
static void forget_messages(const struct lx_fd *fd) {
    struct kpio_pipe_info info;
    uint8_t byte;
    while (kpio_pipe_info(fd->handle, &info) == 0 && info.readable > 0)
        if (kpio_pipe_read(fd->handle, &byte, 1, KPIO_PIPE_NOWAIT, 0) < 0) break;
}

static int64_t part(struct lx_thread *t, uint64_t number, const struct lx_fd *old) {
    kpio_handle way;
    if (old->device & LX_SOCKET_ALONE) return 0;
    int64_t result = lx_socket_make_blind(&way);
    if (result >= 0) result = replace_way(t, number, old, way, LX_SOCKET_ALONE);
    if (result < 0) return result;
    forget_messages(old);
    return old->device & LX_SOCKET_BOUND ? lx_socket_tell_peer(t, lx_socket_own_id(old), 0) : 0;
}

static int64_t turn_to(struct lx_thread *t, uint64_t number, const struct lx_fd *old, kpio_handle way) {
    const uint32_t peer = lx_socket_id_of_way(way);
    const bool other = lx_socket_connected(old) && (!(old->device & LX_SOCKET_SHARED) || lx_socket_id_of_way(old->second) != peer);
    int64_t result = lx_socket_may_send(old, way);
    if (result == 0 && old->device & LX_SOCKET_BOUND) result = lx_socket_tell_peer(t, lx_socket_own_id(old), peer);
    if (result < 0) {
        (void)kpio_handle_close((uint64_t)way);
        return result;
    }
    if (other) forget_messages(old);
    return replace_way(t, number, old, way, LX_SOCKET_SHARED);
}

LX_CALL(connect) {
    struct lx_fd fd;
    struct lx_socket_name name;
    struct lx_socket_key key;
    struct lx_socket_found found;
    int64_t error = lx_socket_get(t, a0, &fd);
    const bool datagrams = error == 0 && lx_socket_is(&fd, LX_SOCK_DGRAM);
    if (error == 0) error = lx_socket_name_in(a1, a2, &name);
    if (error == -LX_NO_FAMILY) return datagrams ? part(t, a0, &fd) : -EINVAL;
    if (error == 0) error = lx_socket_key_find(t, &name, &key);
    if (error < 0) return error;
    if (fd.device & LX_SOCKET_LISTENS) return -EINVAL;
    error = lx_socket_find(t, &key, fd.device & LX_SOCKET_TYPES, &found);
    if (error < 0) return error;
    if (datagrams) return turn_to(t, a0, &fd, found.pipe);
    error = fd.second > 0 ? -EISCONN : join(t, a0, &fd, &found);
    (void)kpio_handle_close((uint64_t)found.pipe);
    return error;
}

// ---- accept -------------------------------------------------------------------------------------------------------------

// The next connection.
static int64_t receive_ends(struct lx_thread *t, const struct lx_fd *fd, struct lx_fd *out) {
    const uint64_t deadline = lx_socket_deadline(fd, LX_SOCKET_RECEIVE);
    for (;;) {
        uint8_t greeting;
        int64_t result = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, (uint64_t)&greeting, sizeof greeting,
                                  KPIO_PIPE_TAKE_HANDLES, deadline, 0);
        if (result <= 0) return result == 0 ? -EINVAL : lx_socket_result(t, fd, LX_SOCKET_RECEIVE, result);
        out->handle = t->block->handles[0].handle;
        out->second = t->block->handles[1].handle;
        if (out->handle > 0 && out->second > 0) return 0;
        bool none = out->handle <= 0 && out->second <= 0;
        lx_fd_close(out);
        if (none) return -EMFILE;
    }
}

static int64_t do_accept(struct lx_thread *t, uint64_t number, uint64_t at, uint64_t size_at, uint32_t flags) {
    struct lx_socket_name peer;
    struct lx_fd fd;
    if (flags & ~LX_SOCK_FLAGS) return -EINVAL;
    int64_t error = lx_socket_get(t, number, &fd);
    if (error < 0) return error;
    if (lx_socket_is(&fd, LX_SOCK_DGRAM)) return -EOPNOTSUPP;
    if (!(fd.device & LX_SOCKET_LISTENS)) return -EINVAL;
    struct lx_fd fresh = {.kind = LX_KIND_SOCKET,
                          .flags = LX_FD_READ | LX_FD_WRITE | (flags & LX_O_CLOEXEC ? LX_FD_CLOEXEC : 0),
                          .device = fd.device & LX_SOCKET_TYPES};
    error = receive_ends(t, &fd, &fresh);
    if (error < 0) return error;
    lx_socket_want_credentials(&fresh, lx_socket_wants_credentials(&fd));
    if (flags & LX_O_NONBLOCK) (void)lx_object_status(&fresh, 0, LX_O_NONBLOCK);
    lx_socket_label(fresh.second, &peer);
    if (at != 0) error = lx_socket_name_out(&peer, at, size_at);
    if (error < 0) {
        lx_fd_close(&fresh);
        return error;
    }
    return lx_fd_install(lx_process(t), &fresh, 0);
}

LX_CALL(accept) { return do_accept(t, a0, a1, a2, 0); }
LX_CALL(accept4) { return do_accept(t, a0, a1, a2, (uint32_t)a3); }
