#include "user/liblinux/socket.h"

#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "user/liblinux/linux.h"
#include "user/liblinux/object_flags.h"

struct lx_credentials lx_socket_self(const struct lx_process *p) {
    return (struct lx_credentials){.pid = p->pid, .uid = p->euid, .gid = p->egid};
}

int64_t lx_socket_get(struct lx_thread *t, uint64_t number, struct lx_fd *out) {
    int64_t error = lx_fd_get(lx_process(t), number, out);
    if (error != 0) return error;
    return out->kind == LX_KIND_SOCKET ? 0 : -ENOTSOCK;
}

// ---- who is at the other end --------------------------------------------------------------------------------------------

static void tell_peer(const struct lx_fd *fd, const struct lx_credentials *peer) {
    const uint64_t uid = peer->uid & 0x7fffffff, gid = peer->gid & 0x7fffffff, pid = peer->pid & 0x7fffffff;
    (void)lx_object_flags(fd->handle, 0, pid << LX_SOCKET_PEER);
    (void)lx_object_flags(fd->second, 0, uid << 1 | gid << 32);
}

struct lx_credentials lx_socket_peer(const struct lx_fd *fd) {
    const uint64_t first = lx_object_flags(fd->handle, 0, 0), second = lx_object_flags(fd->second, 0, 0);
    return (struct lx_credentials){
        .pid = (uint32_t)(first >> LX_SOCKET_PEER), .uid = (uint32_t)(second >> 1) & 0x7fffffff, .gid = (uint32_t)(second >> 32)};
}

bool lx_socket_wants_credentials(const struct lx_fd *fd) {
    return fd->handle > 0 ? lx_object_flags(fd->handle, 0, 0) & LX_SOCKET_PASSCRED : fd->device & LX_SOCKET_CREDENTIALS;
}

void lx_socket_want_credentials(const struct lx_fd *fd, bool on) {
    (void)lx_object_flags(fd->handle, on ? 0 : LX_SOCKET_PASSCRED, on ? LX_SOCKET_PASSCRED : 0);
    if (fd->second > 0) (void)kpio_pipe_demand(fd->handle, on);  // else it does not read messages, but connections
}

// ---- making them --------------------------------------------------------------------------------------------------------

static uint32_t mode_of(uint32_t type) {
    if (type == LX_SOCK_STREAM) return KPIO_PIPE_STREAM;
    return type == LX_SOCK_DGRAM ? KPIO_PIPE_MAILBOX : KPIO_PIPE_SEQPACKET;
}

int64_t lx_socket_make_blind(kpio_handle *writer) {
    int64_t result = kpio_pipe_create(KPIO_PIPE_MAILBOX, 1, writer);
    if (result > 0) (void)kpio_handle_close((uint64_t)result);
    return result < 0 ? result : 0;
}

int64_t lx_socket_make_alone(struct lx_fd *fd) {
    kpio_handle writer;
    int64_t result = kpio_pipe_create(KPIO_PIPE_MAILBOX, 0, &writer);
    if (result < 0) return result;
    fd->handle = (kpio_handle)result;
    (void)kpio_handle_close((uint64_t)writer);
    result = lx_socket_make_blind(&fd->second);
    if (result < 0) (void)kpio_handle_close((uint64_t)fd->handle);
    fd->device |= LX_SOCKET_ALONE;
    return result;
}

int64_t lx_socket_make_pair(uint32_t type, const struct lx_credentials who[2], struct lx_socket_pair *out) {
    struct lx_fd *a = &out->side[0], *b = &out->side[1];
    *a = *b = (struct lx_fd){.kind = LX_KIND_SOCKET, .flags = LX_FD_READ | LX_FD_WRITE, .device = (uint16_t)type};
    const uint32_t mode = mode_of(type);
    int64_t first = kpio_pipe_create(mode, 0, &b->second);
    if (first < 0) return first;
    a->handle = (kpio_handle)first;
    int64_t second = kpio_pipe_create(mode, 0, &a->second);
    if (second < 0) {
        lx_fd_close(a);
        lx_fd_close(b);
        return second;
    }
    b->handle = (kpio_handle)second;
    tell_peer(a, &who[1]);
    tell_peer(b, &who[0]);
    return 0;
}
