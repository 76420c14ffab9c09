// Making sockets and taking them down.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket_names.h"
#include "user/liblinux/unserved.h"

#define AF_UNIX    1u
#define AF_MAX     46u
#define SOCK_RAW   3u
#define TYPE_MASK  0xfu
#define SOCK_LIMIT 11u

// Checks the arguments of socket and socketpair: the type, or a negative errno.
static int64_t check(struct lx_thread *t, uint64_t family, uint64_t type, uint64_t protocol) {
    if ((uint32_t)type & ~(TYPE_MASK | LX_SOCK_FLAGS)) return -EINVAL;
    if ((uint32_t)family != AF_UNIX) return (uint32_t)family < AF_MAX ? lx_unserved_use(t, -EAFNOSUPPORT) : -EAFNOSUPPORT;
    const uint32_t kind = (uint32_t)type & TYPE_MASK;
    if (kind >= SOCK_LIMIT) return -EINVAL;
    if ((uint32_t)protocol != 0 && (uint32_t)protocol != AF_UNIX) return -EPROTONOSUPPORT;
    if (kind == SOCK_RAW) return LX_SOCK_DGRAM;  // as Linux
    return kind == LX_SOCK_STREAM || kind == LX_SOCK_DGRAM || kind == LX_SOCK_SEQPACKET ? (int64_t)kind : -ESOCKTNOSUPPORT;
}

// ABI socket: AF_UNIX alone
LX_CALL(socket) {
    int64_t type = check(t, a0, a1, a2);
    if (type < 0) return type;
    struct lx_fd fd = {.kind = LX_KIND_SOCKET, .flags = LX_FD_READ | LX_FD_WRITE, .device = (uint16_t)type};
    if (a1 & LX_O_CLOEXEC) fd.flags |= LX_FD_CLOEXEC;
    if (type == LX_SOCK_DGRAM) {
        int64_t error = lx_socket_make_alone(&fd);
        if (error < 0) return error;
        if (a1 & LX_O_NONBLOCK) (void)lx_object_status(&fd, 0, LX_O_NONBLOCK);
    } else if (a1 & LX_O_NONBLOCK) fd.flags |= LX_FD_NONBLOCK;
    return lx_fd_install(lx_process(t), &fd, 0);
}

static void drop(struct lx_process *p, int64_t number) {
    struct lx_fd fd;
    if (lx_fd_remove(p, (uint64_t)number, &fd) == 0) lx_fd_close(&fd);
}

LX_CALL(socketpair) {
    struct lx_process *p = lx_process(t);
    struct lx_socket_pair pair;
    const struct lx_credentials self = lx_socket_self(p), who[2] = {self, self};
    int64_t type = check(t, a0, a1, a2);
    if (type < 0) return type;
    int64_t result = lx_socket_make_pair((uint32_t)type, who, &pair);
    if (result < 0) return result;
    int64_t numbers[2];
    for (unsigned i = 0; i < 2; i++) {
        struct lx_fd *fd = &pair.side[i];
        if (a1 & LX_O_CLOEXEC) fd->flags |= LX_FD_CLOEXEC;
        if (a1 & LX_O_NONBLOCK) (void)lx_object_status(fd, 0, LX_O_NONBLOCK);
    }
    numbers[0] = lx_fd_install(p, &pair.side[0], 0);
    if (numbers[0] < 0) {
        lx_fd_close(&pair.side[1]);
        return numbers[0];
    }
    numbers[1] = lx_fd_install(p, &pair.side[1], 0);
    if (numbers[1] < 0) {
        drop(p, numbers[0]);
        return numbers[1];
    }
    const int32_t told[2] = {(int32_t)numbers[0], (int32_t)numbers[1]};
    result = lx_copy_out(a3, told, sizeof told);
    if (result == 0) return 0;
    drop(p, numbers[0]);
    drop(p, numbers[1]);
    return result;
}

enum { SHUT_RD, SHUT_WR, SHUT_RDWR };
// ABI shutdown: of an unconnected socket nothing is remembered
LX_CALL(shutdown) {
    struct lx_fd fd;
    const uint32_t how = (uint32_t)a1;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if (how > SHUT_RDWR) return -EINVAL;
    if (fd.device & (LX_SOCKET_SHARED | LX_SOCKET_ALONE)) {
        if (how != SHUT_RD) (void)lx_object_flags(fd.handle, 0, LX_SOCKET_MUTE);
        return how != SHUT_WR ? kpio_pipe_shut(fd.handle) : 0;
    }
    if (fd.second <= 0) {
        bool waits = fd.device & LX_SOCKET_LISTENS && how != SHUT_WR;
        return waits ? kpio_pipe_shut(fd.handle) : 0;
    }
    if (how != SHUT_RD) error = kpio_pipe_shut(fd.second);
    if (error == 0 && how != SHUT_WR) error = kpio_pipe_shut(fd.handle);
    return error;
}

LX_CALL(getsockname) {
    struct lx_fd fd;
    struct lx_socket_name name;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    lx_socket_label(fd.handle, &name);
    return lx_socket_name_out(&name, a1, a2);
}

LX_CALL(getpeername) {
    struct lx_fd fd;
    struct lx_socket_name name;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if (!lx_socket_connected(&fd)) return -ENOTCONN;
    lx_socket_label(fd.second, &name);
    return lx_socket_name_out(&name, a1, a2);
}
