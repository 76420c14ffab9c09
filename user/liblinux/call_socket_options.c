// getsockopt and setsockopt.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/socket_time.h"
#include "user/liblinux/unserved.h"

#define SOL_SOCKET 1u
enum {
    SO_DEBUG = 1, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE, SO_OOBINLINE,
    SO_LINGER = 13, SO_REUSEPORT = 15, SO_PASSCRED, SO_PEERCRED, SO_RCVTIMEO = 20, SO_SNDTIMEO, SO_ACCEPTCONN = 30, SO_SNDBUFFORCE = 32,
    SO_RCVBUFFORCE,
    SO_PROTOCOL = 38, SO_DOMAIN, SO_RCVTIMEO_NEW = 66, SO_SNDTIMEO_NEW,
};
#define BUFFER 212992

// Copies out as much as there is room for, and says how much that was.
static int64_t put(uint64_t at, uint64_t size_at, const void *value, uint32_t bytes) {
    int32_t size;
    int64_t error = lx_copy_in(&size, size_at, sizeof size);
    if (error < 0) return error;
    if (size < 0) return -EINVAL;
    size = MIN(size, (int32_t)bytes);
    error = lx_copy_out(at, value, (uint64_t)size);
    return error < 0 ? error : lx_copy_out(size_at, &size, sizeof size);
}

static bool is_time(uint32_t option) {
    return option == SO_RCVTIMEO || option == SO_SNDTIMEO || option == SO_RCVTIMEO_NEW || option == SO_SNDTIMEO_NEW;
}
static enum lx_socket_way way_of(uint32_t option) {
    return option == SO_SNDTIMEO || option == SO_SNDTIMEO_NEW ? LX_SOCKET_SEND : LX_SOCKET_RECEIVE;
}

static int64_t number_of(const struct lx_fd *fd, uint32_t option, int32_t *value) {
    *value = 0;
    switch (option) {
    case SO_TYPE: *value = fd->device & LX_SOCKET_TYPES; return 0;
    case SO_PASSCRED: *value = lx_socket_wants_credentials(fd); return 0;
    case SO_ACCEPTCONN: *value = (fd->device & LX_SOCKET_LISTENS) != 0; return 0;
    case SO_SNDBUF:
    case SO_RCVBUF: *value = BUFFER; return 0;
    case SO_DOMAIN: *value = 1; return 0;
    case SO_ERROR:
    case SO_PROTOCOL:
    case SO_DEBUG:
    case SO_REUSEADDR:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_REUSEPORT: return 0;
    default: return -ENOPROTOOPT;
    }
}

LX_CALL(getsockopt) {
    struct lx_fd fd;
    int32_t value;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if ((uint32_t)a1 != SOL_SOCKET) return -EOPNOTSUPP;
    if ((uint32_t)a2 == SO_PEERCRED) {
        struct lx_credentials peer = {.uid = UINT32_MAX, .gid = UINT32_MAX};
        if (lx_socket_connected(&fd) && !(fd.device & LX_SOCKET_SHARED)) peer = lx_socket_peer(&fd);
        return put(a3, a4, &peer, sizeof peer);
    }
    if (is_time((uint32_t)a2)) {
        uint64_t time[2];
        lx_socket_time_give(&fd, way_of((uint32_t)a2), time);
        return put(a3, a4, time, sizeof time);
    }
    if ((uint32_t)a2 == SO_LINGER) return put(a3, a4, &(uint64_t){0}, sizeof(uint64_t));
    error = number_of(&fd, (uint32_t)a2, &value);
    return error < 0 ? error : put(a3, a4, &value, sizeof value);
}

static int64_t set_credentials(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, bool on) {
    struct lx_fd fresh = *fd;
    if (fd->handle > 0) {
        lx_socket_want_credentials(fd, on);
        return 0;
    }
    fresh.device = (uint16_t)((fd->device & ~LX_SOCKET_CREDENTIALS) | (on ? LX_SOCKET_CREDENTIALS : 0));
    return lx_fd_replace(lx_process(t), number, fd, &fresh);
}

static int64_t set_time(struct lx_thread *t, uint64_t number, const struct lx_fd *fd, uint32_t option, uint64_t at, uint32_t size) {
    struct lx_fd fresh = *fd;
    int64_t error = lx_socket_time_take(&fresh, way_of(option), at, size);
    return error < 0 ? error : lx_fd_replace(lx_process(t), number, fd, &fresh);
}

// ABI setsockopt: buffers keep their size; time-outs are the descriptor's: duplicates made before do not have them
LX_CALL(setsockopt) {
    struct lx_fd fd;
    int32_t value;
    int64_t error = lx_socket_get(t, a0, &fd);
    if (error < 0) return error;
    if ((int32_t)a4 < 0) return -EINVAL;
    if ((uint32_t)a1 != SOL_SOCKET) return -EOPNOTSUPP;
    if ((uint32_t)a4 < sizeof value) return -EINVAL;
    error = lx_copy_in(&value, a3, sizeof value);
    if (error < 0) return error;
    if (is_time((uint32_t)a2)) return set_time(t, a0, &fd, (uint32_t)a2, a3, (uint32_t)a4);
    switch ((uint32_t)a2) {
    case SO_PASSCRED: return set_credentials(t, a0, &fd, value != 0);
    case SO_DEBUG:
    case SO_REUSEADDR:
    case SO_DONTROUTE:
    case SO_BROADCAST:
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
    case SO_KEEPALIVE:
    case SO_OOBINLINE:
    case SO_LINGER:
    case SO_REUSEPORT: return 0;
    default: return lx_unserved_use(t, -ENOPROTOOPT);
    }
}
