// Sockets as descriptors: read, write and their like.
#include "abi/gen/errors.h"
#include "abi/gen/stubs.h"
#include "lib/util.h"
#include "user/liblinux/call.h"
#include "user/liblinux/entry.h"
#include "user/liblinux/fd_kinds.h"
#include "user/liblinux/message.h"
#include "user/liblinux/object_flags.h"
#include "user/liblinux/socket_time.h"

static int64_t socket_read(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    if (unlikely(fd->second <= 0)) return lx_socket_unconnected(fd);
    if (size == 0 && (fd->device & LX_SOCKET_TYPES) == LX_SOCK_STREAM) return 0;
    int64_t result = lx_block(t, SYS_pipe_read, (uint64_t)fd->handle, buffer, size, 0, lx_socket_deadline(fd, LX_SOCKET_RECEIVE), 0);
    return likely(result >= 0) ? result : lx_socket_result(t, fd, LX_SOCKET_RECEIVE, result);
}

static int64_t socket_write(struct lx_thread *t, const struct lx_fd *fd, uint64_t buffer, uint64_t size, int64_t offset) {
    if (offset != KPIO_OFFSET_CURRENT) return -ESPIPE;
    const struct lx_iovec part = {buffer, size};
    const struct lx_outgoing o = {.parts = (uint64_t)&part, .count = 1, .size = size};
    if (unlikely(!lx_socket_is_plain(fd) || size == 0)) return lx_socket_send(t, fd, &o, 0, 0);
    int64_t result = lx_block(t, SYS_pipe_write, (uint64_t)fd->second, buffer, size, 0, lx_socket_deadline(fd, LX_SOCKET_SEND), 0);
    return likely(result >= 0) ? result : lx_socket_send_again(t, fd, result, &o);
}

static int64_t socket_vector(struct lx_thread *t, const struct lx_fd *fd, uint64_t at, uint64_t count, bool write) {
    if (count == 0) return 0;
    if (!write) {
        if (fd->second <= 0) return lx_socket_unconnected(fd);
        int64_t result =
            lx_block(t, SYS_pipe_read_vector, (uint64_t)fd->handle, at, count, 0, lx_socket_deadline(fd, LX_SOCKET_RECEIVE), 0);
        return likely(result >= 0) ? result : lx_socket_result(t, fd, LX_SOCKET_RECEIVE, result);
    }
    const struct lx_msghdr m = {.parts = at, .count = count};
    struct lx_outgoing o = {.parts = at, .count = count};
    int64_t error = lx_message_size(&m, &o.size);
    return error < 0 ? error : lx_socket_send(t, fd, &o, 0, 0);
}

static int64_t socket_stat(struct lx_thread *t, const struct lx_fd *fd, struct kpio_stat *out) {
    struct kpio_handle_info info = {};
    if (fd->handle > 0) (void)kpio_handle_info(fd->handle, &info);
    *out = (struct kpio_stat){.fs = 8, .inode = info.object_id, .mode = 0140777, .links = 1, .block_size = 4096,
                              .uid = lx_process(t)->uid, .gid = lx_process(t)->gid};
    return 0;
}

static int64_t socket_status(const struct lx_fd *fd, uint32_t clear, uint32_t set) {
    struct lx_fd own = *fd;
    if (fd->device & LX_SOCKET_SHARED) own.second = KPIO_HANDLE_NONE;
    return fd->handle > 0 ? lx_object_status(&own, clear, set) : -LX_NO_OBJECT;
}

// What the peer has not read yet; of a datagram socket it is not known, as others send there too.
enum { SIOCOUTQ = 0x5411 };
static int64_t unread(const struct lx_fd *fd, uint64_t argument) {
    struct kpio_pipe_info info = {.readable = 0};
    if (fd->device & LX_SOCKET_LISTENS) return -EINVAL;
    const bool own = fd->second > 0 && !(fd->device & (LX_SOCKET_SHARED | LX_SOCKET_ALONE));
    const int64_t error = own ? kpio_pipe_info(fd->second, &info) : 0;
    return error < 0 ? error : lx_copy_out(argument, &info.readable, sizeof info.readable);
}

static int64_t socket_ioctl(struct lx_thread *t, const struct lx_fd *fd, uint64_t request, uint64_t argument) {
    if ((uint32_t)request == SIOCOUTQ) return unread(fd, argument);
    return fd->second > 0 ? lx_pipe_ioctl(t, fd, request, argument) : -EINVAL;
}

const struct lx_fd_ops lx_socket_ops = {.read = socket_read,
                                        .write = socket_write,
                                        .vector = socket_vector,
                                        .stat = socket_stat,
                                        .ioctl = socket_ioctl,
                                        .status = socket_status};
